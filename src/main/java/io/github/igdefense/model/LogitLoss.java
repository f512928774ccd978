package io.github.igdefense.model;

import org.bytedeco.pytorch.Tensor;

/**
 * A differentiable per-image loss of logits [N,K], giving [N]. Labels are held by the
 * implementation.
 */
@FunctionalInterface
public interface LogitLoss {
  /** Losses [N], attached to the autograd graph of {@code logits}. */
  Tensor of(Tensor logits);
}
