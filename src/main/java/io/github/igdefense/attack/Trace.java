package io.github.igdefense.attack;

import org.bytedeco.pytorch.Tensor;

/**
 * Sees the inner state of a run step by step; for comparison with recorded runs of the reference.
 */
interface Trace {
  Trace NONE = new Trace() {};

  /**
   * A run from one random start begins.
   *
   * @param rows positions of its images in the batch
   * @param epsilon radius of this run
   * @param start the point after the random start, [n,C,H,W]
   */
  default void start(int[] rows, double epsilon, Tensor start) {}

  /** The targets of the round that begins, one per image in it. */
  default void targets(long[] targets) {}

  /**
   * A step is done. The arrays are live: copy them. Those that are not of the rows still in the run
   * are by row number.
   *
   * @param point the new iterate [m,C,H,W], before a step-size checkpoint may move it back; null
   *     for runs that change it in place
   * @param loss its losses [m]
   * @param bestLoss best losses so far [n]
   * @param robust whether every point so far was classified as the label [n]
   * @param stepSize step size used [n]; null for attacks without
   * @param sparsity share of coordinates used by an L1 step [n]; null otherwise
   */
  default void step(
      Tensor point,
      double[] loss,
      double[] bestLoss,
      boolean[] robust,
      double[] stepSize,
      double[] sparsity) {}

  /** The run is over. */
  default void end(Tensor bestPoint) {}
}
