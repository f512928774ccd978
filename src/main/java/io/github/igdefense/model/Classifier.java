package io.github.igdefense.model;

import io.github.igdefense.tensor.Dtype;
import org.bytedeco.pytorch.Tensor;

/**
 * A function from images to logits. Base models, defended models, other defenses: all are one.
 *
 * <p>Images are tensors [N,C,H,W] in [0,1] of the classifier's {@link #dtype()}; normalisation is
 * inside. Threads: unless an implementation says otherwise, calls may run at the same time.
 */
public interface Classifier {
  /** A short name for reports, such as {@code rn18} or {@code ig-defense(layer4, k=50, σ=0)}. */
  String name();

  /** Number of classes K. */
  int classCount();

  /** The type that images must have. Logits are float64 for float64, else float32. */
  Dtype dtype();

  /** Whether the same image always gives the same logits. A smoothed classifier does not. */
  default boolean deterministic() {
    return true;
  }

  /**
   * Logits [N,K] of images [N,C,H,W], without autograd bookkeeping, in the caller's scope.
   *
   * @throws io.github.igdefense.data.InputException if the shape does not fit the model
   */
  Tensor logits(Tensor x);
}
