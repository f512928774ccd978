package io.github.igdefense.attack;

import org.bytedeco.pytorch.Tensor;

/** One run of an attack from one start, over some rows. */
interface SingleRun {
  /** Runs; the tensors of the outcome lie in the caller's scope. */
  Outcome run(Input input);

  /** Whether rows of several restarts or targets may share a run. */
  default boolean abreast() {
    return true;
  }

  /**
   * The task of a run.
   *
   * @param attack the attack's name, for the listener
   * @param lanes the rows under attack
   * @param restart number of the restart of each row [n], from 0
   * @param round restart or target (the first of several), from 0
   * @param rounds restarts and targets in all
   * @param stops whether an image leaves as soon as a misclassified point is found
   * @param context seed stream, listener
   */
  record Input(
      String attack,
      Lanes lanes,
      int[] restart,
      int round,
      int rounds,
      boolean stops,
      AttackContext context) {}

  /**
   * What a run found, for all rows that it began with.
   *
   * @param best points of highest loss [n,C,H,W]
   * @param bestLoss their losses [n]
   * @param adversarial misclassified points [n,C,H,W]; meaningful only where not {@code robust}
   * @param robust whether no misclassified point counted [n]
   * @param zeroGradients rows whose first gradient was zero everywhere
   */
  record Outcome(
      Tensor best, double[] bestLoss, Tensor adversarial, boolean[] robust, int zeroGradients) {}
}
