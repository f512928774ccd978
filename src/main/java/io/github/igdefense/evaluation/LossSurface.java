package io.github.igdefense.evaluation;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.LogitLosses;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;

/**
 * The mean cross-entropy over a square around images: x + a·g + b·o, with g the sign of the loss
 * gradient at the image and o a sign pattern orthogonal to it, a and b in [−ε,ε], clipped to [0,1].
 * A smooth, rising surface along g is what gradient attacks need; a rugged one is a sign that they
 * are misled.
 *
 * <p>o flips g at a random half of the pixels, so g·o = 0 exactly, and the L∞ distance of a point
 * is |a| + |b|: the ε-ball is the diamond within the square. Immutable.
 *
 * @param classifier whose loss
 * @param images images averaged
 * @param epsilon ε
 * @param grid the values of a and of b, ascending, 0 in the middle
 * @param loss mean loss, rows by b, columns by a
 */
@JsonPropertyOrder({"classifier", "images", "epsilon", "grid", "loss"})
public record LossSurface(
    @JsonProperty("classifier") String classifier,
    @JsonProperty("images") int images,
    @JsonProperty("epsilon") double epsilon,
    @JsonProperty("grid") List<Double> grid,
    @JsonProperty("loss") List<List<Double>> loss) {

  /**
   * Computes a surface: one gradient and points² forward passes per image.
   *
   * @param classifier deterministic, so that the surface is that of one function
   * @param points per axis, odd, at least 3
   * @param seed of the orthogonal directions, which depend on it and the image's position alone
   * @throws InputException for a random classifier or an even number of points
   */
  public static LossSurface of(
      DifferentiableClassifier classifier,
      ImageSet images,
      Epsilon epsilon,
      int points,
      int batchSize,
      long seed,
      EvaluationListener listener) {
    if (points < 3 || points % 2 == 0) {
      throw new InputException(
          "expected an odd number of at least 3 points per axis, got " + points);
    }
    if (!classifier.deterministic()) {
      throw new InputException(
          "expected a deterministic classifier for a loss surface, got "
              + classifier.name()
              + "; fix its noise");
    }
    Predictions.checkLabels(classifier, images);
    List<Double> grid = new ArrayList<>();
    for (int i = 0; i < points; i++) {
      grid.add(epsilon.value() * (2.0 * i / (points - 1) - 1));
    }
    double[][] sums = new double[points][points];
    int[] done = new int[1];
    Predictions.forEach(
        classifier,
        images,
        batchSize,
        null,
        (batch, x) -> {
          Tensor labels = Tensors.of(batch.labels(), batch.size());
          Tensor along =
              classifier.lossGradient(x, LogitLosses.crossEntropy(labels)).gradient().sign();
          Tensor across = along.mul(flips(along, batch.indices(), seed));
          for (int row = 0; row < points; row++) {
            for (int column = 0; column < points; column++) {
              try (PointerScope scope = new PointerScope()) {
                Tensor point =
                    x.add(along.mul(Tensors.scalar(grid.get(column))))
                        .add_(across.mul(Tensors.scalar(grid.get(row))))
                        .clamp_(
                            new ScalarOptional(Tensors.scalar(0)),
                            new ScalarOptional(Tensors.scalar(1)));
                sums[row][column] +=
                    Tensors.sum(LogitLosses.crossEntropy(labels).of(classifier.logits(point)));
              }
            }
            listener.progress(
                new EvaluationListener.Progress(
                    "loss surface of " + classifier.name(),
                    done[0],
                    images.size(),
                    0,
                    (done[0] + (row + 1.0) / points * batch.size()) / images.size()));
          }
          done[0] += batch.size();
        });
    List<List<Double>> loss = new ArrayList<>();
    for (double[] row : sums) {
      List<Double> mean = new ArrayList<>();
      for (double sum : row) {
        mean.add(sum / images.size());
      }
      loss.add(mean);
    }
    return new LossSurface(classifier.name(), images.size(), epsilon.value(), grid, loss);
  }

  /** Per image +1 and −1 in equal numbers where the direction is not 0, else 0. */
  private static Tensor flips(Tensor along, int[] indices, long seed) {
    double[] signs = Tensors.toDoubles(along);
    int length = signs.length / indices.length;
    double[] flips = new double[signs.length];
    for (int i = 0; i < indices.length; i++) {
      int[] order = new int[length];
      int count = 0;
      SplittableRandom random = new SplittableRandom(seed * 0x9E3779B97F4A7C15L + indices[i]);
      for (int p = 0; p < length; p++) {
        if (signs[i * length + p] != 0) {
          int at = random.nextInt(count + 1);
          order[count] = order[at];
          order[at] = p;
          count++;
        }
      }
      for (int p = 0; p < count - count % 2; p++) {
        flips[i * length + order[p]] = p < count / 2 ? 1 : -1;
      }
    }
    return Tensors.of(flips, Tensors.shape(along)).to(along.scalar_type());
  }

  /** Loss at the image itself. */
  public double middle() {
    int middle = grid.size() / 2;
    return loss.get(middle).get(middle);
  }

  /** The highest loss on the grid within the ε-ball. */
  public double highestInBall() {
    double highest = Double.NEGATIVE_INFINITY;
    for (int row = 0; row < grid.size(); row++) {
      for (int column = 0; column < grid.size(); column++) {
        if (Math.abs(grid.get(row)) + Math.abs(grid.get(column)) <= epsilon * (1 + 1e-9)) {
          highest = Math.max(highest, loss.get(row).get(column));
        }
      }
    }
    return highest;
  }

  /** Loss at x + ε·g. */
  public double alongGradient() {
    return loss.get(grid.size() / 2).get(grid.size() - 1);
  }
}
