package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
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

  /** Iterations of one run from one start; for Square and RayS the queries allowed. */
  int steps();

  /** Every setting that decides the result, by its name in reports, in a fixed order. */
  Map<String, Object> parameters();

  /**
   * The same attack with this many runs from new random starts (per target); an image is broken if
   * one of them breaks it.
   *
   * @throws InputException if {@code count} is below 1, or above it and the attack starts at no
   *     random point
   */
  default Attack withRestarts(int count) {
    if (Parameters.atLeastOne(count, "restart") == 1) {
      return this;
    }
    throw new InputException(
        "expected 1 restart for " + name() + ", which starts at no random point, got " + count);
  }

  /**
   * The same attack with every gradient averaged over this many evaluations of a random model
   * (expectation over transformation, Athalye et al. 2018). Deterministic models are evaluated
   * once.
   *
   * @throws InputException if {@code iterations} is below 1, or above it and the attack uses no
   *     gradients
   */
  default Attack withEot(int iterations) {
    if (Parameters.atLeastOne(iterations, "EoT iteration") == 1) {
      return this;
    }
    throw new InputException(
        "expected 1 EoT iteration for " + name() + ", which uses no gradients, got " + iterations);
  }

  /**
   * Attacks a batch.
   *
   * <p>Costs one forward pass and then, per restart and target, about {@code steps} forward and
   * backward passes (queries: forward passes) over the images selected. Native memory in use beyond
   * the model's own: about ten times the batch, however many steps are run.
   *
   * @param model the classifier under attack
   * @param x images [N,C,H,W] in [0,1], N ≥ 1, float32 or float64; not changed
   * @param labels true classes [N]
   * @param context seed, listener and selection of images
   * @return the points found; the caller closes it
   * @throws InputException if values lie outside [0,1] or are NaN, labels outside the classes, the
   *     model has too few classes for the attack, or returns NaN or another shape
   * @throws IllegalStateException if a point violates the ball or the range: a defect of the attack
   */
  AttackResult run(DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context);
}
