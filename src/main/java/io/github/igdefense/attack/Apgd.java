package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Auto-PGD (Croce and Hein 2020): projected gradient ascent with momentum that halves its step size
 * by itself. Equal to the reference implementation: in float64 the same seed gives the same points.
 *
 * @param loss what it maximises
 * @param norm L∞, L2 or L1
 * @param epsilon radius
 * @param steps iterations of a run, at least 1; the published evaluations use 100
 * @param restarts runs from new random starts, at least 1
 * @param eotIterations gradients averaged for random models, at least 1
 * @param rho share of steps that must raise the loss for the step size to stay; 0.75 as published
 * @param largerEpsilon for L1: run in balls of 3, 2 and 1 times ε for 30, 30 and 40 % of the steps
 */
public record Apgd(
    Loss loss,
    Norm norm,
    Epsilon epsilon,
    int steps,
    int restarts,
    int eotIterations,
    double rho,
    boolean largerEpsilon)
    implements Attack {
  /** The published share of improving steps. */
  public static final double DEFAULT_RHO = 0.75;

  /** What an untargeted gradient attack maximises. */
  public enum Loss {
    /** Cross-entropy. */
    CE("ce", 2, (y, target) -> LogitLosses.crossEntropy(y)),
    /** Difference of logits ratio; needs three classes. */
    DLR("dlr", 3, (y, target) -> LogitLosses.dlr(y)),
    /** Carlini and Wagner's margin. */
    CW("cw", 2, (y, target) -> LogitLosses.margin(y));

    private final String label;
    private final int classes;
    private final Objective objective;

    Loss(String label, int classes, Objective objective) {
      this.label = label;
      this.classes = classes;
      this.objective = objective;
    }

    /**
     * Parses {@code ce}, {@code dlr} or {@code cw}.
     *
     * @throws InputException naming the three
     */
    public static Loss parse(String text) {
      for (Loss loss : values()) {
        if (loss.label.equals(text)) {
          return loss;
        }
      }
      throw new InputException("expected loss ce, dlr or cw, got '" + text + "'");
    }

    Objective objective() {
      return objective;
    }

    void requireClasses(String attack, int present) {
      LogitLosses.requireClasses(attack, classes, present);
    }

    @Override
    public String toString() {
      return label;
    }
  }

  /** Checks the parameters; see {@link InputException}. */
  public Apgd {
    Parameters.atLeastOne(steps, "step");
    Parameters.atLeastOne(restarts, "restart");
    Parameters.atLeastOne(eotIterations, "EoT iteration");
    checkRho(rho);
    checkLargerEpsilon(norm, steps, largerEpsilon);
  }

  /** One run, no averaging, published constants; for L1 without the larger ball first. */
  public Apgd(Loss loss, Norm norm, Epsilon epsilon, int steps) {
    this(loss, norm, epsilon, steps, 1, 1, DEFAULT_RHO, false);
  }

  static void checkRho(double rho) {
    if (!(rho > 0 && rho <= 1)) {
      throw new InputException("expected rho in (0,1], got " + rho);
    }
  }

  static void checkLargerEpsilon(Norm norm, int steps, boolean largerEpsilon) {
    if (largerEpsilon && norm != Norm.L1) {
      throw new InputException("expected norm L1 for a start in a larger ball, got " + norm);
    }
    if (largerEpsilon && steps < 4) {
      throw new InputException(
          "expected at least 4 steps for a start in a larger ball (three phases), got " + steps);
    }
  }

  @Override
  public Apgd withRestarts(int count) {
    return new Apgd(loss, norm, epsilon, steps, count, eotIterations, rho, largerEpsilon);
  }

  @Override
  public Apgd withEot(int iterations) {
    return new Apgd(loss, norm, epsilon, steps, restarts, iterations, rho, largerEpsilon);
  }

  /** The same with or without the phases in larger balls (L1 alone). */
  public Apgd withLargerEpsilon(boolean on) {
    return new Apgd(loss, norm, epsilon, steps, restarts, eotIterations, rho, on);
  }

  @Override
  public String name() {
    return "apgd-" + loss;
  }

  @Override
  public Map<String, Object> parameters() {
    return Parameters.map(
        "norm", norm.toString(),
        "epsilon", epsilon.value(),
        "steps", steps,
        "restarts", restarts,
        "eot_iterations", eotIterations,
        "rho", rho,
        "larger_epsilon", largerEpsilon);
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
            new ApgdRun(norm, epsilon.value(), steps, rho, largerEpsilon))
        .execute(model, x, labels, context);
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
