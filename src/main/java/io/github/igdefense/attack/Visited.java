package io.github.igdefense.attack;

import io.github.igdefense.attack.Lanes.Evaluation;
import io.github.igdefense.attack.SingleRun.Input;
import io.github.igdefense.attack.SingleRun.Outcome;
import java.util.HashSet;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;

/**
 * What a run has seen so far: per row the point of highest loss and the last misclassified point;
 * and which rows may leave.
 */
final class Visited {
  private final Input input;
  private final Lanes lanes;
  private final boolean stops;
  private final int images;
  private final Tensor best;
  private final Tensor adversarial;
  private final double[] bestLoss;
  private final boolean[] robust;
  private final Set<Integer> broken = new HashSet<>();

  /**
   * Nothing seen yet.
   *
   * @param start points [n,C,H,W] to report where nothing better comes; null for runs that keep
   *     their points themselves and only {@link #mark} rows
   * @param stops whether broken images leave
   */
  Visited(Input input, Tensor start, boolean stops) {
    this.input = input;
    this.lanes = input.lanes();
    this.stops = stops;
    this.best = start == null ? null : start.clone();
    this.adversarial = start == null ? null : start.clone();
    int n = lanes.size();
    this.bestLoss = new double[n];
    java.util.Arrays.fill(bestLoss, Double.NEGATIVE_INFINITY);
    this.robust = new boolean[n];
    java.util.Arrays.fill(robust, true);
    Set<Integer> distinct = new HashSet<>();
    for (int image : lanes.images()) {
      distinct.add(image);
    }
    this.images = distinct.size();
  }

  /** Points of highest loss, by row number [n,C,H,W]. */
  Tensor best() {
    return best;
  }

  /** Their losses, by row number [n]; live. */
  double[] bestLoss() {
    return bestLoss;
  }

  /** Whether no misclassified point was seen, by row number [n]; live. */
  boolean[] robust() {
    return robust;
  }

  /**
   * Looks at one point of each row still in the run.
   *
   * @param point [m,C,H,W], copied where it matters
   * @return which rows have their highest loss here
   */
  boolean[] visit(Tensor point, Evaluation now) {
    return visit(point, now.loss(), now.correct());
  }

  /** The same with loss and prediction given apart. */
  boolean[] visit(Tensor point, double[] loss, boolean[] correct) {
    int[] ids = lanes.ids();
    boolean[] wrong = new boolean[ids.length];
    boolean[] better = new boolean[ids.length];
    for (int j = 0; j < ids.length; j++) {
      int id = ids[j];
      wrong[j] = !correct[j];
      better[j] = loss[j] > bestLoss[id];
      bestLoss[id] = better[j] ? loss[j] : bestLoss[id];
    }
    mark(wrong);
    copy(adversarial, point, wrong);
    copy(best, point, better);
    return better;
  }

  /** Notes the rows at which an image is broken [m]. */
  void mark(boolean[] wrong) {
    for (int j = 0; j < wrong.length; j++) {
      if (wrong[j]) {
        robust[lanes.ids()[j]] = false;
        broken.add(lanes.images()[j]);
      }
    }
  }

  /** {@code byNumber[id(j)] = source[j]} for the rows j flagged. */
  void copy(Tensor byNumber, Tensor source, boolean[] flags) {
    int[] from = Rows.where(flags);
    Rows.copy(byNumber, Rows.pick(lanes.ids(), from), source, from);
  }

  /** The positions that stay, or null where none leaves. */
  int[] stay() {
    if (!stops || broken.isEmpty()) {
      return null;
    }
    boolean[] stays = new boolean[lanes.size()];
    int count = 0;
    for (int j = 0; j < stays.length; j++) {
      stays[j] = !broken.contains(lanes.images()[j]);
      count += stays[j] ? 1 : 0;
    }
    return count == stays.length ? null : Rows.where(stays);
  }

  /** Tells the listener that a step is done. */
  void report(int step, int steps) {
    input
        .context()
        .listener()
        .step(
            new AttackListener.Progress(
                input.attack(),
                input.round(),
                input.rounds(),
                step,
                steps,
                images - broken.size(),
                images));
  }

  Outcome outcome(int zeroGradients) {
    return new Outcome(best, bestLoss, adversarial, robust, zeroGradients);
  }
}
