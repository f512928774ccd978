package io.github.igdefense.attack;

import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Fast gradient (sign) method (Goodfellow et al. 2015): one step of length ε up a loss, from the
 * image itself. A screening attack: weak against models trained to resist it.
 *
 * @param loss what it maximises
 * @param norm L∞ (sign of the gradient) or L2 (its direction)
 * @param epsilon radius
 * @param eotIterations gradients averaged for random models
 */
public record Fgsm(Apgd.Loss loss, Norm norm, Epsilon epsilon, int eotIterations)
    implements Attack {
  /** Checks the parameters; see {@link io.github.igdefense.data.InputException}. */
  public Fgsm {
    Parameters.requireNorm("fgsm", norm, Norm.LINF, Norm.L2);
    Parameters.atLeastOne(eotIterations, "EoT iteration");
  }

  /** One gradient evaluation, of the cross-entropy. */
  public Fgsm(Norm norm, Epsilon epsilon) {
    this(Apgd.Loss.CE, norm, epsilon, 1);
  }

  @Override
  public Fgsm withEot(int iterations) {
    return new Fgsm(loss, norm, epsilon, iterations);
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
        "loss", loss.toString(),
        "norm", norm.toString(),
        "epsilon", epsilon.value(),
        "eot_iterations", eotIterations);
  }

  @Override
  public AttackResult run(
      DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context) {
    loss.requireClasses(name(), model.classCount());
    double radius = epsilon.value();
    return new Rounds(
            this, 0, 1, eotIterations, loss.objective(), new PgdRun(norm, radius, 1, radius, false))
        .execute(model, x, labels, context);
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
