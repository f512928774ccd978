package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Targeted Auto-PGD on the targeted DLR loss (Croce and Hein 2020): one run each towards the class
 * with the 2nd, 3rd, … largest logit of the clean image. Needs four classes.
 *
 * <p>Where the model has no more than {@code targets} classes, all other classes are targets. For
 * images that are misclassified from the start (see {@link PointSelection#ALL}) the label itself is
 * no target.
 *
 * @param norm L∞, L2 or L1
 * @param epsilon radius
 * @param steps iterations of a run
 * @param targets target classes per image, at least 1; the published evaluations use 9
 * @param restarts runs per target
 * @param eotIterations gradients averaged for random models
 * @param rho as in {@link Apgd}
 * @param largerEpsilon as in {@link Apgd}
 */
public record TargetedApgd(
    Norm norm,
    Epsilon epsilon,
    int steps,
    int targets,
    int restarts,
    int eotIterations,
    double rho,
    boolean largerEpsilon)
    implements Attack {
  private static final int SMALLEST_CLASS_COUNT = 4;

  /** Checks the parameters; see {@link InputException}. */
  public TargetedApgd {
    Parameters.atLeastOne(steps, "step");
    Parameters.atLeastOne(targets, "target");
    Parameters.atLeastOne(restarts, "restart");
    Parameters.atLeastOne(eotIterations, "EoT iteration");
    Apgd.checkRho(rho);
    Apgd.checkLargerEpsilon(norm, steps, largerEpsilon);
  }

  /** One run per target, no averaging, published constants. */
  public TargetedApgd(Norm norm, Epsilon epsilon, int steps, int targets) {
    this(norm, epsilon, steps, targets, 1, 1, Apgd.DEFAULT_RHO, false);
  }

  /** The same with this many restarts per target. */
  @Override
  public TargetedApgd withRestarts(int count) {
    return new TargetedApgd(
        norm, epsilon, steps, targets, count, eotIterations, rho, largerEpsilon);
  }

  @Override
  public TargetedApgd withEot(int iterations) {
    return new TargetedApgd(
        norm, epsilon, steps, targets, restarts, iterations, rho, largerEpsilon);
  }

  /** The same with or without the phases in larger balls (L1 alone). */
  public TargetedApgd withLargerEpsilon(boolean on) {
    return new TargetedApgd(norm, epsilon, steps, targets, restarts, eotIterations, rho, on);
  }

  @Override
  public String name() {
    return "apgd-t";
  }

  @Override
  public Map<String, Object> parameters() {
    return Parameters.map(
        "norm", norm.toString(),
        "epsilon", epsilon.value(),
        "steps", steps,
        "targets", targets,
        "restarts", restarts,
        "eot_iterations", eotIterations,
        "rho", rho,
        "larger_epsilon", largerEpsilon);
  }

  @Override
  public AttackResult run(
      DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context) {
    LogitLosses.requireClasses(name(), SMALLEST_CLASS_COUNT, model.classCount());
    return new Rounds(
            this,
            targets,
            restarts,
            eotIterations,
            LogitLosses::targetedDlr,
            new ApgdRun(norm, epsilon.value(), steps, rho, largerEpsilon))
        .execute(model, x, labels, context);
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
