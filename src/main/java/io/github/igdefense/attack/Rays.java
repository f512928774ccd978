package io.github.igdefense.attack;

import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * RayS (Chen and Gu 2020, "RayS: a ray searching method for hard-label adversarial attack"): looks
 * among directions of signs for the one in which the nearest misclassified point lies. Uses
 * predictions alone; L∞ only; draws nothing, so the seed plays no part.
 *
 * <p>On a randomly smoothed model single lucky predictions mislead the search: what it leaves
 * robust there is no evidence of robustness.
 *
 * @param epsilon radius
 * @param queries forward passes per image, never exceeded; 10,000 as published
 * @param tolerance of the bisection along a ray, as L2 length of the perturbation; 0.001 as
 *     published
 */
public record Rays(Epsilon epsilon, int queries, double tolerance) implements Attack {
  /** The published number of queries. */
  public static final int DEFAULT_QUERIES = 10_000;

  /** The published tolerance. */
  public static final double DEFAULT_TOLERANCE = 1e-3;

  /** Checks the parameters; see {@link io.github.igdefense.data.InputException}. */
  public Rays {
    Parameters.atLeastOne(queries, "query");
    Parameters.between("tolerance", tolerance, 1e-9, 1);
  }

  /** With the published tolerance. */
  public Rays(Epsilon epsilon, int queries) {
    this(epsilon, queries, DEFAULT_TOLERANCE);
  }

  @Override
  public String name() {
    return "rays";
  }

  @Override
  public Norm norm() {
    return Norm.LINF;
  }

  @Override
  public int steps() {
    return queries;
  }

  @Override
  public Map<String, Object> parameters() {
    return Parameters.map(
        "norm",
        norm().toString(),
        "epsilon",
        epsilon.value(),
        "queries",
        queries,
        "tolerance",
        tolerance);
  }

  @Override
  public AttackResult run(
      DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context) {
    LogitLosses.requireClasses(name(), 2, model.classCount());
    return new Rounds(this, 0, 1, 1, null, new RaysRun(epsilon.value(), queries, tolerance))
        .execute(model, x, labels, context);
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
