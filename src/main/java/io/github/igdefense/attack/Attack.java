package io.github.igdefense.attack;

import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * A search for adversarial examples: images within a small ball around given ones that a classifier
 * gets wrong.
 *
 * <p>Attacks are small immutable objects that print their parameters; they hold no native memory
 * and may be shared by threads. A run is confined to the thread that calls it and to its {@link
 * AttackContext}.
 */
public interface Attack {
  /** The name the command line uses, such as {@code apgd-ce}. */
  String name();

  /** The norm of the ball. */
  Norm norm();

  /** The radius of the ball. */
  Epsilon epsilon();

  /** Iterations of one run from one start. */
  int steps();

  /** Every setting that decides the result, by its name in reports, in a fixed order. */
  Map<String, Object> parameters();

  /**
   * Attacks a batch.
   *
   * <p>Costs one forward pass and then, per restart and target, {@code steps + 1} forward and
   * backward passes over the images selected. Native memory in use beyond the model's own: about
   * ten times the batch, however many steps are run.
   *
   * @param model the classifier under attack
   * @param x images [N,C,H,W] in [0,1], N ≥ 1, float32 or float64; not changed
   * @param labels true classes [N]
   * @param context seed, listener and selection of images
   * @return the points found; the caller closes it
   * @throws io.github.igdefense.data.InputException if values lie outside [0,1] or are NaN, labels
   *     outside the classes, the model has too few classes for the attack, or returns NaN or
   *     another shape
   * @throws IllegalStateException if a point violates the ball or the range: a defect of the attack
   */
  AttackResult run(DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context);
}
