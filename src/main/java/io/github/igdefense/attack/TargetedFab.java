package io.github.igdefense.attack;

import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Targeted Fast Adaptive Boundary attack (Croce and Hein 2020): as {@link Fab}, but onto the
 * boundary between the label and one class per run: those with the 2nd, 3rd, … largest logit of the
 * clean image. Costs one gradient per step.
 *
 * @param norm L∞, L2 or L1
 * @param epsilon radius; later restarts begin up to half of it away
 * @param steps iterations of a run
 * @param targets target classes per image, at least 1; the published evaluations use 9. Where the
 *     model has no more classes, all others are targets
 * @param restarts runs per target; the first starts at the image
 * @param eotIterations gradients averaged for random models
 * @param alphaMax largest share of the image's own projection in a step; 0.1 as published
 * @param eta overshoot beyond the boundary; 1.05 as published
 * @param beta share of the distance kept after a misclassified point; 0.9 as published
 */
public record TargetedFab(
    Norm norm,
    Epsilon epsilon,
    int steps,
    int targets,
    int restarts,
    int eotIterations,
    double alphaMax,
    double eta,
    double beta)
    implements Attack {

  /** Checks the parameters; see {@link io.github.igdefense.data.InputException}. */
  public TargetedFab {
    Parameters.atLeastOne(steps, "step");
    Parameters.atLeastOne(targets, "target");
    Parameters.atLeastOne(restarts, "restart");
    Parameters.atLeastOne(eotIterations, "EoT iteration");
    Parameters.between("alpha_max", alphaMax, 0, 1);
    Parameters.between("eta", eta, 1, 10);
    Parameters.between("beta", beta, 0, 1);
  }

  /** One run per target, no averaging, published constants. */
  public TargetedFab(Norm norm, Epsilon epsilon, int steps, int targets) {
    this(
        norm,
        epsilon,
        steps,
        targets,
        1,
        1,
        Fab.DEFAULT_ALPHA_MAX,
        Fab.DEFAULT_ETA,
        Fab.DEFAULT_BETA);
  }

  @Override
  public TargetedFab withRestarts(int count) {
    return new TargetedFab(
        norm, epsilon, steps, targets, count, eotIterations, alphaMax, eta, beta);
  }

  @Override
  public TargetedFab withEot(int iterations) {
    return new TargetedFab(
        norm, epsilon, steps, targets, restarts, iterations, alphaMax, eta, beta);
  }

  @Override
  public String name() {
    return "fab-t";
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
        "alpha_max", alphaMax,
        "eta", eta,
        "beta", beta);
  }

  @Override
  public AttackResult run(
      DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context) {
    LogitLosses.requireClasses(name(), 2, model.classCount());
    return new Rounds(
            this,
            targets,
            restarts,
            eotIterations,
            LogitLosses::difference,
            new FabRun(norm, epsilon.value(), steps, alphaMax, eta, beta))
        .execute(model, x, labels, context);
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
