package io.github.igdefense.attack;

import io.github.igdefense.model.LogitLoss;
import org.bytedeco.pytorch.Tensor;

/** One run of an attack from one start, for some images of a batch. */
@FunctionalInterface
interface SingleRun {
  /** Runs; the tensors of the outcome lie in the caller's scope. */
  Outcome run(Input input);

  /**
   * The task of a run.
   *
   * @param attack the attack's name, for the listener
   * @param x clean images [n,C,H,W] in the type the attack computes in; not to be changed
   * @param loss the loss to maximise
   * @param gradients loss and gradient of the model under attack for these images
   * @param rows positions of the images in their batch
   * @param round restart or target, from 0
   * @param rounds restarts and targets in all
   * @param context seed stream, listener
   */
  record Input(
      String attack,
      Tensor x,
      LogitLoss loss,
      GradientEstimator gradients,
      int[] rows,
      int round,
      int rounds,
      AttackContext context) {
    int size() {
      return rows.length;
    }
  }

  /**
   * What a run found.
   *
   * @param best points of highest loss [n,C,H,W]
   * @param bestLoss their losses [n]
   * @param adversarial last misclassified points [n,C,H,W]; meaningful only where not {@code
   *     robust}
   * @param robust whether every point visited was classified as the label [n]
   * @param gradients gradients computed per image
   * @param zeroGradients images whose first gradient was zero everywhere
   */
  record Outcome(
      Tensor best,
      double[] bestLoss,
      Tensor adversarial,
      boolean[] robust,
      long gradients,
      int zeroGradients) {}
}
