package io.github.igdefense.evaluation;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Classifier;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * Inference time of a classifier, and how it compares with another measured in the same run.
 *
 * @param batchSize images per call
 * @param repetitions calls measured
 * @param medianSeconds median time of a call
 * @param ratio median over pairs of calls of (time of this classifier / time of the reference); 1
 *     for the reference itself
 */
public record Timing(int batchSize, int repetitions, double medianSeconds, double ratio) {
  private static final int WARM_UP = 3;

  /** Median time per image in seconds. */
  public double medianSecondsPerImage() {
    return medianSeconds / batchSize;
  }

  /**
   * Times a classifier against a reference. Calls alternate, and so does which of the two comes
   * first, so that a machine that becomes slower does so for both.
   *
   * @param images a batch for the reference [N,C,H,W], in its type
   * @param repetitions pairs of calls, at least 3
   * @return the classifier's times; {@link #ratio} is its multiple of the reference's
   */
  public static Timing compare(
      Classifier classifier, Classifier reference, Tensor images, int repetitions) {
    if (repetitions < 3) {
      throw new InputException(
          "expected at least 3 repetitions of a measurement, got " + repetitions);
    }
    try (PointerScope scope = new PointerScope()) {
      Tensor own = io.github.igdefense.tensor.Tensors.to(images, classifier.dtype());
      for (int i = 0; i < WARM_UP; i++) {
        seconds(reference, images);
        seconds(classifier, own);
      }
      double[] times = new double[repetitions];
      double[] ratios = new double[repetitions];
      for (int i = 0; i < repetitions; i++) {
        double before = i % 2 == 0 ? seconds(reference, images) : 0;
        times[i] = seconds(classifier, own);
        double base = i % 2 == 0 ? before : seconds(reference, images);
        ratios[i] = times[i] / base;
      }
      return new Timing((int) images.size(0), repetitions, median(times), median(ratios));
    }
  }

  /** Times a classifier alone. */
  public static Timing of(Classifier classifier, Tensor images, int repetitions) {
    if (repetitions < 3) {
      throw new InputException(
          "expected at least 3 repetitions of a measurement, got " + repetitions);
    }
    for (int i = 0; i < WARM_UP; i++) {
      seconds(classifier, images);
    }
    double[] times = new double[repetitions];
    Arrays.setAll(times, i -> seconds(classifier, images));
    return new Timing((int) images.size(0), repetitions, median(times), 1);
  }

  private static double seconds(Classifier classifier, Tensor images) {
    try (PointerScope scope = new PointerScope()) {
      long start = System.nanoTime();
      // Reading one value waits for the result on devices that compute asynchronously.
      classifier.logits(images).select(0, 0).select(0, 0).item_double();
      return (System.nanoTime() - start) / 1e9;
    }
  }

  static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}
