package io.github.igdefense.attack;

/** Which images of a batch an attack works on. */
public enum PointSelection {
  /**
   * Correctly classified images; those that a restart or target has broken leave the batch after
   * it. The order of the reference implementation.
   */
  CORRECT,
  /**
   * Every image in every restart and target, also those misclassified from the start: for
   * highest-loss points that are carried over to another model, which may classify these images
   * correctly.
   */
  ALL
}
