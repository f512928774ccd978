package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Square attack (Andriushchenko et al. 2020): random search that changes one square window per
 * query and keeps what raises the loss. Uses logits, no gradients.
 *
 * @param norm L∞, L2 or L1
 * @param epsilon radius
 * @param queries forward passes per image and run after the first, at least 1; the published
 *     evaluations use 5,000
 * @param restarts runs from new starts, at least 1
 * @param loss what is raised
 * @param initialShare of the image that the first windows cover; 0.8 as published
 * @param rescaleSchedule whether the schedule of window sizes, made for 10,000 queries, is
 *     compressed into those allowed; the published evaluations do not
 */
public record Square(
    Norm norm,
    Epsilon epsilon,
    int queries,
    int restarts,
    Loss loss,
    double initialShare,
    boolean rescaleSchedule)
    implements Attack {
  /** The published number of queries. */
  public static final int DEFAULT_QUERIES = 5000;

  /** The published share of the image that the first windows cover. */
  public static final double DEFAULT_INITIAL_SHARE = 0.8;

  /** What Square raises. */
  public enum Loss {
    /** Largest other logit minus that of the label. */
    MARGIN("margin"),
    /** Cross-entropy. */
    CE("ce");

    private final String label;

    Loss(String label) {
      this.label = label;
    }

    /**
     * Parses {@code margin} or {@code ce}.
     *
     * @throws InputException naming the two
     */
    public static Loss parse(String text) {
      for (Loss loss : values()) {
        if (loss.label.equals(text)) {
          return loss;
        }
      }
      throw new InputException("expected loss margin or ce for square, got '" + text + "'");
    }

    @Override
    public String toString() {
      return label;
    }
  }

  /** Checks the parameters; see {@link InputException}. */
  public Square {
    Parameters.atLeastOne(queries, "query");
    Parameters.atLeastOne(restarts, "restart");
    Parameters.between("initial share", initialShare, 1e-6, 1);
  }

  /** One run on the margin with the published constants. */
  public Square(Norm norm, Epsilon epsilon, int queries) {
    this(norm, epsilon, queries, 1, Loss.MARGIN, DEFAULT_INITIAL_SHARE, false);
  }

  @Override
  public Square withRestarts(int count) {
    return new Square(norm, epsilon, queries, count, loss, initialShare, rescaleSchedule);
  }

  /** The same with another loss. */
  public Square withLoss(Loss other) {
    return new Square(norm, epsilon, queries, restarts, other, initialShare, rescaleSchedule);
  }

  @Override
  public String name() {
    return "square";
  }

  @Override
  public int steps() {
    return queries;
  }

  @Override
  public Map<String, Object> parameters() {
    return Parameters.map(
        "norm", norm.toString(),
        "epsilon", epsilon.value(),
        "queries", queries,
        "restarts", restarts,
        "loss", loss.toString(),
        "initial_share", initialShare,
        "rescale_schedule", rescaleSchedule);
  }

  @Override
  public AttackResult run(
      DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context) {
    LogitLosses.requireClasses(name(), 2, model.classCount());
    return new Rounds(
            this,
            0,
            restarts,
            1,
            null,
            new SquareRun(norm, epsilon.value(), queries, initialShare, loss, rescaleSchedule))
        .execute(model, x, labels, context);
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
