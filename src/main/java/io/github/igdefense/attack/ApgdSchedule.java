package io.github.igdefense.attack;

import java.util.Arrays;

/**
 * When and how Auto-PGD changes step sizes, per row (Croce and Hein 2020, sec. 3; L1: 2021, alg.
 * 1). All arrays are by row number.
 *
 * <p>As in the reference implementation the first checkpoint compares the first loss with a table
 * row that is still zero, and the checkpoints follow from the iterations of the whole attack, also
 * in the phases of the L1 attack.
 */
final class ApgdSchedule {
  private static final double L1_STEP_DIVISOR = 1.5;
  private static final double L1_SMALLEST_STEP = 10;
  private static final double L1_START_SPARSITY = 0.2;

  private final boolean sparse;
  private final int steps;
  private final double rho;
  private final double largestStep;
  private final long values;
  private final double[] stepSize;
  private final double[] sparsity;
  private final double[] supportAtCheckpoint;
  private final double[][] losses;
  private final boolean[] reducedAtCheckpoint;
  private final double[] bestLossAtCheckpoint;
  private int window;
  private int sinceCheckpoint;

  /**
   * A schedule at its start.
   *
   * @param n rows
   * @param steps iterations of the whole attack
   * @param iterations iterations of this phase
   * @param values of one image
   * @param firstLoss at the start [n]
   */
  ApgdSchedule(
      Norm norm,
      int n,
      int steps,
      int iterations,
      double rho,
      double radius,
      long values,
      double[] firstLoss) {
    this.sparse = norm == Norm.L1;
    this.steps = steps;
    this.rho = rho;
    this.largestStep = (sparse ? 1 : 2) * radius;
    this.values = values;
    this.losses = new double[iterations][n];
    this.stepSize = new double[n];
    Arrays.fill(stepSize, largestStep);
    this.reducedAtCheckpoint = new boolean[n];
    Arrays.fill(reducedAtCheckpoint, true);
    this.bestLossAtCheckpoint = firstLoss.clone();
    this.window = Math.max((int) (sparse ? .04 * iterations : 0.22 * steps), 1);
    this.sparsity = sparse ? new double[n] : null;
    this.supportAtCheckpoint = sparse ? new double[n] : null;
    if (sparse) {
      Arrays.fill(sparsity, L1_START_SPARSITY);
      Arrays.fill(supportAtCheckpoint, values);
    }
  }

  /** For a run that starts from another run's point: its sparsity follows from that point. */
  void startFrom(double[] support) {
    for (int i = 0; i < support.length; i++) {
      supportAtCheckpoint[i] = support[i];
      sparsity[i] = support[i] / values / L1_STEP_DIVISOR;
    }
  }

  /** Step sizes; live. */
  double[] stepSize() {
    return stepSize;
  }

  /** Share of coordinates an L1 step uses; null for other norms; live. */
  double[] sparsity() {
    return sparsity;
  }

  /**
   * Notes a step's losses.
   *
   * @return whether this step is a checkpoint
   */
  boolean record(int step, double[] loss, int[] ids) {
    for (int j = 0; j < ids.length; j++) {
      losses[step][ids[j]] = loss[j];
    }
    if (++sinceCheckpoint < window) {
      return false;
    }
    sinceCheckpoint = 0;
    return true;
  }

  /**
   * A checkpoint for L∞ and L2: halves the step size where progress stalls.
   *
   * @return which of the rows {@code ids} go back to their best point
   */
  boolean[] checkpoint(int step, double[] bestLoss, int[] ids) {
    boolean[] back = new boolean[ids.length];
    for (int j = 0; j < ids.length; j++) {
      int i = ids[j];
      boolean stuck = !reducedAtCheckpoint[i] && bestLossAtCheckpoint[i] >= bestLoss[i];
      back[j] = stuck || increases(step, i) <= window * rho;
      stepSize[i] = back[j] ? stepSize[i] / 2 : stepSize[i];
      reducedAtCheckpoint[i] = back[j];
      bestLossAtCheckpoint[i] = bestLoss[i];
    }
    window =
        Math.max(window - Math.max((int) (0.03 * steps), 1), Math.max((int) (0.06 * steps), 1));
    return back;
  }

  /**
   * A checkpoint for L1: sparsity follows the best point's; where that shrank, the step size starts
   * again.
   *
   * @param support values changed in the best point of each row [m]
   */
  boolean[] sparseCheckpoint(double[] support, int[] ids) {
    boolean[] back = new boolean[ids.length];
    for (int j = 0; j < ids.length; j++) {
      int i = ids[j];
      back[j] = support[j] / supportAtCheckpoint[i] < .95;
      sparsity[i] = support[j] / values / L1_STEP_DIVISOR;
      stepSize[i] =
          back[j]
              ? largestStep
              : Math.max(stepSize[i] / L1_STEP_DIVISOR, largestStep / L1_SMALLEST_STEP);
      supportAtCheckpoint[i] = support[j];
    }
    return back;
  }

  /** How often the loss rose in the window; the row before the first is the table's last. */
  private int increases(int step, int row) {
    int count = 0;
    for (int s = step; s > step - window; s--) {
      double before = losses[Math.floorMod(s - 1, losses.length)][row];
      count += losses[s][row] > before ? 1 : 0;
    }
    return count;
  }
}
