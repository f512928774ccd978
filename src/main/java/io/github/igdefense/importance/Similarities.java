package io.github.igdefense.importance;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Tensors;
import java.util.List;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** The similarities by name, with their published parameters. Stateless and thread-safe. */
public final class Similarities {
  private static final List<Similarity> ALL =
      List.of(
          SoftWpmi.DEFAULT,
          Wpmi.DEFAULT,
          RankReorder.DEFAULT,
          new CosSimilarity(false),
          CosSimilarityCubed.DEFAULT,
          SoftWpmi.BY_LABEL,
          new CosSimilarity(true),
          new CosSimilarityCubed(CosSimilarityCubed.DEFAULT.minNorm(), true),
          MajorityVote.DEFAULT);

  private Similarities() {}

  /** All names, separated by commas, for help texts. */
  public static String names() {
    return ALL.stream().map(Similarity::name).collect(Collectors.joining(", "));
  }

  /**
   * The similarity of a published name, with its default parameters.
   *
   * @throws InputException listing the names
   */
  public static Similarity parse(String name) {
    for (Similarity similarity : ALL) {
      if (similarity.name().equals(name)) {
        return similarity;
      }
    }
    throw new InputException("expected --similarity " + names() + ", got '" + name + "'");
  }

  /** Images per unit for q [N,U]: {@code topK}, or all for 0. */
  static int images(int topK, Tensor activations) {
    long n = activations.size(0);
    if (topK < 0 || topK > n) {
      throw new InputException(
          "expected a top-k between 1 and the "
              + n
              + " probe images, got "
              + topK
              + "; use a smaller --top-k or more images");
    }
    return topK == 0 ? (int) n : topK;
  }

  /**
   * Columns divided by their Euclidean norm, at least {@code minNorm}; a column of zeros (a unit
   * that never fires) stays one.
   */
  static Tensor unitColumns(Tensor columns, double minNorm) {
    return Tensors.scoped(
        () -> {
          Tensor norm = columns.norm(new ScalarOptional(new Scalar(2.0)), new long[] {0}, true);
          Tensor divisor =
              minNorm > 0
                  ? norm.clamp_min(new Scalar(minNorm))
                  : norm.masked_fill(norm.eq(new Scalar(0.0)), new Scalar(1.0));
          return columns.div(divisor);
        });
  }

  /** units^T · concepts in the wider type of the two, as float64; by label where given. */
  static Tensor product(Tensor units, Tensor concepts, Tensor labels) {
    return Tensors.scoped(
        () -> {
          Tensor used = concepts;
          if (labels != null) {
            Tensor own =
                torch.zeros_like(concepts).scatter(1, labels.unsqueeze(1), new Scalar(1.0));
            used = concepts.mul(own);
          }
          boolean wide =
              units.scalar_type().intern() == ScalarType.Double
                  || used.scalar_type().intern() == ScalarType.Double;
          ScalarType type = wide ? ScalarType.Double : ScalarType.Float;
          return units.to(type).t().matmul(used.to(type)).to(ScalarType.Double);
        });
  }
}
