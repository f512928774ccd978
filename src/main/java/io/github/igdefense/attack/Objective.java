package io.github.igdefense.attack;

import io.github.igdefense.model.LogitLoss;
import org.bytedeco.pytorch.Tensor;

/** Makes the loss that a run maximises, for some images of a batch. */
@FunctionalInterface
interface Objective {
  /**
   * The loss of some images.
   *
   * @param y their labels [n], int64
   * @param target the classes to move towards [n], int64; null for untargeted attacks
   */
  LogitLoss of(Tensor y, Tensor target);
}
