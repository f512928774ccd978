package io.github.igdefense.model;

import org.bytedeco.pytorch.Tensor;

/** A classifier that also gives the gradient of a loss with respect to its input. */
public interface DifferentiableClassifier extends Classifier {
  /**
   * One forward and one backward pass.
   *
   * @param x images [N,C,H,W]; not changed
   * @param loss per-image loss of the logits
   * @return logits [N,K], loss [N] and the gradient [N,C,H,W] of the losses' sum, in the caller's
   *     scope
   */
  LossGradient lossGradient(Tensor x, LogitLoss loss);

  /**
   * What one pass gives.
   *
   * @param logits [N,K], detached
   * @param loss [N], detached
   * @param gradient [N,C,H,W] of the sum of the losses
   */
  record LossGradient(Tensor logits, Tensor loss, Tensor gradient) {}
}
