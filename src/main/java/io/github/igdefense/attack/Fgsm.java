package io.github.igdefense.attack;

import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Fast gradient (sign) method (Goodfellow et al. 2015): one step of length ε up the cross-entropy,
 * from the image itself. A screening attack: weak against models trained to resist it.
 *
 * @param norm L∞ (sign of the gradient) or L2 (its direction)
 * @param epsilon radius
 * @param eotIterations gradients averaged for random models
 */
public record Fgsm(Norm norm, Epsilon epsilon, int eotIterations) implements Attack {
  /** Checks the parameters; see {@link io.github.igdefense.data.InputException}. */
  public Fgsm {
    Parameters.requireNorm("fgsm", norm, Norm.LINF, Norm.L2);
    Parameters.atLeastOne(eotIterations, "EoT iteration");
  }

  /** One gradient evaluation. */
  public Fgsm(Norm norm, Epsilon epsilon) {
    this(norm, epsilon, 1);
  }

  @Override
  public String name() {
    return "fgsm";
  }

  @Override
  public int steps() {
    return 1;
  }

  @Override
  public Map<String, Object> parameters() {
    return Parameters.map(
        "norm", norm.toString(), "epsilon", epsilon.value(), "eot_iterations", eotIterations);
  }

  @Override
  public AttackResult run(
      DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context) {
    double radius = epsilon.value();
    return Rounds.restarts(
            this,
            1,
            eotIterations,
            LogitLosses::crossEntropy,
            new PgdRun(norm, radius, 1, radius, false))
        .execute(model, x, labels, context);
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
