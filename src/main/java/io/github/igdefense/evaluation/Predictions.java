package io.github.igdefense.evaluation;

import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Batches;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;

/**
 * Logits of a classifier for all images of a set, computed batch by batch: one evaluation per
 * image, also of classifiers that are random. Immutable; holds no native memory.
 */
public final class Predictions {
  private final double[] logits;
  private final int classCount;
  private final int[] labels;

  private Predictions(double[] logits, int classCount, int[] labels) {
    this.logits = logits;
    this.classCount = classCount;
    this.labels = labels;
  }

  /**
   * Runs the classifier over the set. Native memory: one batch and the model's own.
   *
   * @throws InputException if a label is no class of the classifier, the images do not fit it, or
   *     it returns another shape
   */
  public static Predictions of(
      Classifier classifier, ImageSet images, int batchSize, EvaluationListener listener) {
    checkLabels(classifier, images);
    int classes = classifier.classCount();
    double[] logits = new double[Math.multiplyExact(images.size(), classes)];
    int[] done = new int[1];
    int[] standing = new int[1];
    forEach(
        classifier,
        images,
        batchSize,
        null,
        (batch, x) -> {
          double[] part = logits(classifier, x);
          System.arraycopy(part, 0, logits, done[0] * classes, part.length);
          for (int i = 0; i < batch.size(); i++) {
            standing[0] += argmax(part, i, classes) == batch.labels()[i] ? 1 : 0;
          }
          done[0] += batch.size();
          listener.progress(
              new EvaluationListener.Progress(
                  "clean", done[0], images.size(), standing[0], (double) done[0] / images.size()));
        });
    return new Predictions(logits, classes, images.labels());
  }

  /** As {@link #of(Classifier, ImageSet, int, EvaluationListener)}, telling no one. */
  public static Predictions of(Classifier classifier, ImageSet images, int batchSize) {
    return of(classifier, images, batchSize, EvaluationListener.NONE);
  }

  @FunctionalInterface
  interface BatchBody {
    /** Works on a batch whose tensor, in the classifier's type, lives as long as the call. */
    void run(ImageBatch batch, org.bytedeco.pytorch.Tensor x);
  }

  /**
   * Calls the body for every batch of the images at {@code order} (null: all), in a scope of its
   * own.
   */
  static void forEach(
      Classifier classifier, ImageSet images, int batchSize, int[] order, BatchBody body) {
    boolean asDouble = images.isDouble() && classifier.dtype() == Dtype.FLOAT64;
    try (ImageBatches batches = ImageBatches.of(images, batchSize, order, asDouble)) {
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        try (PointerScope scope = new PointerScope()) {
          body.run(batch, Batches.tensor(batch, classifier.dtype()));
        }
      }
    }
  }

  /** Logits [N·K] of one batch on the host. */
  static double[] logits(Classifier classifier, org.bytedeco.pytorch.Tensor x) {
    try (PointerScope scope = new PointerScope()) {
      org.bytedeco.pytorch.Tensor logits = classifier.logits(x);
      if (logits.dim() != 2
          || logits.size(0) != x.size(0)
          || logits.size(1) != classifier.classCount()) {
        throw new InputException(
            "expected logits ["
                + x.size(0)
                + ","
                + classifier.classCount()
                + "] from "
                + classifier.name()
                + ", got "
                + Arrays.toString(Tensors.shape(logits)));
      }
      return Tensors.toDoubles(logits);
    }
  }

  static void checkLabels(Classifier classifier, ImageSet images) {
    for (int i = 0; i < images.size(); i++) {
      if (images.label(i) >= classifier.classCount()) {
        throw new InputException(
            "expected labels in 0.."
                + (classifier.classCount() - 1)
                + " for "
                + classifier.name()
                + ", got "
                + images.label(i)
                + " for image "
                + i
                + " of "
                + images.name());
      }
    }
  }

  /**
   * The class of a row of logits: its largest entry. The lower index wins ties, NaN never does; 0
   * where all are NaN.
   *
   * @param logits [n·classes], row-major
   */
  public static int argmax(double[] logits, int row, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++) {
      double value = logits[row * classes + c];
      if (value > logits[row * classes + best] || Double.isNaN(logits[row * classes + best])) {
        best = c;
      }
    }
    return best;
  }

  /** Number of images N. */
  public int size() {
    return labels.length;
  }

  /** Number of classes K. */
  public int classCount() {
    return classCount;
  }

  /** Logits [N,K], row-major, in float64 (float32 results widened exactly). A fresh array. */
  public double[] logits() {
    return logits.clone();
  }

  /** Predicted classes [N]. */
  public int[] classes() {
    int[] classes = new int[labels.length];
    Arrays.setAll(classes, i -> argmax(logits, i, classCount));
    return classes;
  }

  /** Whether each image is classified as its label [N]. */
  public boolean[] correct() {
    boolean[] correct = new boolean[labels.length];
    for (int i = 0; i < correct.length; i++) {
      correct[i] = argmax(logits, i, classCount) == labels[i];
    }
    return correct;
  }

  /** Share of images classified as their label. */
  public double accuracy() {
    return Accuracy.of(correct());
  }

  /** The same per class [K]; NaN for classes without images. */
  public double[] perClassAccuracy() {
    return Accuracy.perClass(correct(), labels, classCount);
  }
}
