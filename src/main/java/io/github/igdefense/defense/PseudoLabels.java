package io.github.igdefense.defense;

import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Locale;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * How often the smoothed pass in one arithmetic gives the pseudo-label of another, for the same
 * noise.
 *
 * @param arithmetic judged, as {@link StagedNetwork#arithmetic}
 * @param reference the one it is compared with
 * @param images compared
 * @param agreement share of images with the same pseudo-label, 0 to 1
 * @param largestDifference of a logit z, over the largest |z| of the reference
 */
public record PseudoLabels(
    String arithmetic, String reference, int images, double agreement, double largestDifference) {

  /**
   * Compares both on images. Costs one pass of n·n_s noisy images through each.
   *
   * @param network the reference
   * @param other the same model in the arithmetic judged
   * @param images at least one; of the networks' size
   * @param batchSize images at a time
   * @param seed of the noise
   * @throws InputException as {@link IgDefense#withPseudoLabels}
   */
  public static PseudoLabels compare(
      StagedNetwork network,
      StagedNetwork other,
      ImageSet images,
      int batchSize,
      Smoothing smoothing,
      long seed) {
    check(network, other, smoothing);
    Tally tally = new Tally(network.classCount());
    try (Rng rng = new Rng(seed);
        ImageBatches batches = ImageBatches.of(images, batchSize, null, false)) {
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        try (PointerScope scope = new PointerScope()) {
          Tensor noisy = noisy(network.tensor(batch), smoothing, rng);
          tally.add(
              batch.size(), network.logits(noisy), other.logits(Tensors.to(noisy, other.dtype())));
        }
      }
    }
    return new PseudoLabels(
        other.arithmetic(),
        network.arithmetic(),
        tally.images,
        (double) tally.same / tally.images,
        tally.most == 0 ? 0 : tally.largest / tally.most);
  }

  private static Tensor noisy(Tensor x, Smoothing smoothing, Rng rng) {
    long samples = smoothing.samples();
    Tensor repeated = Smoothing.forEachDraw(x, samples);
    Tensor draws = rng.normal(Dtype.FLOAT32, Tensors.shape(repeated));
    return repeated.add(draws.mul(Tensors.scalar(smoothing.sigma())));
  }

  /** Counts over batches. */
  private static final class Tally {
    private final int classes;
    private int images;
    private int same;
    private double most;
    private double largest;

    Tally(int classes) {
      this.classes = classes;
    }

    void add(int n, Tensor reference, Tensor judged) {
      double[] expected = labels(reference, n, classes);
      double[] found = labels(judged, n, classes);
      for (int i = 0; i < n; i++) {
        same += argmax(expected, i, classes) == argmax(found, i, classes) ? 1 : 0;
        for (int c = 0; c < classes; c++) {
          int at = i * classes + c;
          most = Math.max(most, Math.abs(expected[at]));
          largest = Math.max(largest, Math.abs(expected[at] - found[at]));
        }
      }
      images += n;
    }
  }

  private static double[] labels(Tensor logits, long n, int classes) {
    return Tensors.toDoubles(logits.view(n, -1, classes).mean(1));
  }

  private static int argmax(double[] values, int row, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++) {
      if (values[row * classes + c] > values[row * classes + best]) {
        best = c;
      }
    }
    return best;
  }

  /** A sentence with the numbers. */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%s gives the pseudo-label of %s for %.2f %% of %d noisy images"
            + " (largest difference of a logit %.2g of the largest)",
        arithmetic,
        reference,
        100 * agreement,
        images,
        largestDifference);
  }

  /** Refuses two networks that are not one model, and what has no noisy pass. */
  static void check(StagedNetwork network, StagedNetwork other, Smoothing smoothing) {
    if (!smoothing.enabled()) {
      throw new InputException(
          "expected smoothing with pseudo-labels in "
              + other.arithmetic()
              + ": without noise both passes share one prefix; set a sigma above 0");
    }
    boolean bfloat16 = network.dtype() == Dtype.FLOAT32 && other.dtype() == Dtype.BFLOAT16;
    boolean coarser =
        network.dtype() == Dtype.FLOAT32
            && other.dtype() == Dtype.FLOAT32
            && other.float32Precision().coarserThan(network.float32Precision());
    if (!bfloat16 && !coarser) {
      throw new InputException(
          "expected a float32 network with pseudo-labels in bfloat16, or in float32 at a lower"
              + " precision than its own, got "
              + network.arithmetic()
              + " and "
              + other.arithmetic());
    }
    if (!network.architecture().equals(other.architecture())
        || !network.sha256().equals(other.sha256())
        || network.classCount() != other.classCount()) {
      throw new InputException(
          "expected one model in both arithmetics, got "
              + network.architecture()
              + " ("
              + network.sha256()
              + ") and "
              + other.architecture()
              + " ("
              + other.sha256()
              + ")");
    }
  }
}
