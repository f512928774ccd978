package io.github.igdefense.attack;

import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Fast Adaptive Boundary attack (Croce and Hein 2020, "Minimally distorted adversarial examples"):
 * looks for the nearest misclassified point, stepping onto the nearest linearised boundary between
 * the label and any other class. Costs a gradient per other class and step, from one forward pass
 * where the classifier keeps it.
 *
 * @param norm L∞, L2 or L1
 * @param epsilon radius; later restarts begin up to half of it away
 * @param steps iterations of a run
 * @param restarts runs; the first starts at the image
 * @param eotIterations gradients averaged for random models
 * @param alphaMax largest share of the image's own projection in a step; 0.1 as published
 * @param eta overshoot beyond the boundary; 1.05 as published
 * @param beta share of the distance kept after a misclassified point; 0.9 as published
 */
public record Fab(
    Norm norm,
    Epsilon epsilon,
    int steps,
    int restarts,
    int eotIterations,
    double alphaMax,
    double eta,
    double beta)
    implements Attack {
  /** The published largest share of the image's own projection. */
  public static final double DEFAULT_ALPHA_MAX = 0.1;

  /** The published overshoot. */
  public static final double DEFAULT_ETA = 1.05;

  /** The published share of the distance kept. */
  public static final double DEFAULT_BETA = 0.9;

  /** Checks the parameters; see {@link io.github.igdefense.data.InputException}. */
  public Fab {
    Parameters.atLeastOne(steps, "step");
    Parameters.atLeastOne(restarts, "restart");
    Parameters.atLeastOne(eotIterations, "EoT iteration");
    Parameters.between("alpha_max", alphaMax, 0, 1);
    Parameters.between("eta", eta, 1, 10);
    Parameters.between("beta", beta, 0, 1);
  }

  /** One run, no averaging, published constants. */
  public Fab(Norm norm, Epsilon epsilon, int steps) {
    this(norm, epsilon, steps, 1, 1, DEFAULT_ALPHA_MAX, DEFAULT_ETA, DEFAULT_BETA);
  }

  @Override
  public Fab withRestarts(int count) {
    return new Fab(norm, epsilon, steps, count, eotIterations, alphaMax, eta, beta);
  }

  @Override
  public Fab withEot(int iterations) {
    return new Fab(norm, epsilon, steps, restarts, iterations, alphaMax, eta, beta);
  }

  @Override
  public String name() {
    return "fab";
  }

  @Override
  public Map<String, Object> parameters() {
    return Parameters.map(
        "norm", norm.toString(),
        "epsilon", epsilon.value(),
        "steps", steps,
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
            0,
            restarts,
            eotIterations,
            null,
            new FabRun(norm, epsilon.value(), steps, alphaMax, eta, beta))
        .execute(model, x, labels, context);
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
