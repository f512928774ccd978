package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Projected gradient descent (Madry et al. 2018): fixed steps up a loss.
 *
 * @param loss what it maximises
 * @param norm L∞ or L2
 * @param epsilon radius
 * @param steps iterations, at least 1
 * @param stepSize length of a step
 * @param restarts runs from new starts, at least 1
 * @param randomStart whether a run starts at a random point of the ball (L∞: uniform; L2: uniform
 *     direction, uniform distance) or at the image
 * @param eotIterations gradients averaged for random models
 */
public record Pgd(
    Apgd.Loss loss,
    Norm norm,
    Epsilon epsilon,
    int steps,
    double stepSize,
    int restarts,
    boolean randomStart,
    int eotIterations)
    implements Attack {
  /** Checks the parameters; see {@link InputException}. */
  public Pgd {
    Parameters.requireNorm("pgd", norm, Norm.LINF, Norm.L2);
    Parameters.atLeastOne(steps, "step");
    Parameters.atLeastOne(restarts, "restart");
    Parameters.atLeastOne(eotIterations, "EoT iteration");
    if (!(stepSize > 0) || Double.isInfinite(stepSize)) {
      throw new InputException("expected a positive step size for pgd, got " + stepSize);
    }
    if (restarts > 1 && !randomStart) {
      throw new InputException(
          "expected a random start with " + restarts + " restarts: they would be equal");
    }
  }

  /** One run up the cross-entropy from a random start with steps of 2.5·ε/steps. */
  public Pgd(Norm norm, Epsilon epsilon, int steps) {
    this(Apgd.Loss.CE, norm, epsilon, steps, defaultStepSize(epsilon, steps), 1, true, 1);
  }

  @Override
  public Pgd withRestarts(int count) {
    return new Pgd(loss, norm, epsilon, steps, stepSize, count, randomStart, eotIterations);
  }

  @Override
  public Pgd withEot(int iterations) {
    return new Pgd(loss, norm, epsilon, steps, stepSize, restarts, randomStart, iterations);
  }

  /** 2.5·ε/steps: every run can cross the ball, with room to turn. */
  public static double defaultStepSize(Epsilon epsilon, int steps) {
    return 2.5 * epsilon.value() / Parameters.atLeastOne(steps, "step");
  }

  @Override
  public String name() {
    return "pgd";
  }

  @Override
  public Map<String, Object> parameters() {
    return Parameters.map(
        "loss", loss.toString(),
        "norm", norm.toString(),
        "epsilon", epsilon.value(),
        "steps", steps,
        "step_size", stepSize,
        "restarts", restarts,
        "random_start", randomStart,
        "eot_iterations", eotIterations);
  }

  @Override
  public AttackResult run(
      DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context) {
    loss.requireClasses(name(), model.classCount());
    return new Rounds(
            this,
            0,
            restarts,
            eotIterations,
            loss.objective(),
            new PgdRun(norm, epsilon.value(), steps, stepSize, randomStart))
        .execute(model, x, labels, context);
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
