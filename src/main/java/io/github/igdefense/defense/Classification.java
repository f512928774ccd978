package io.github.igdefense.defense;

import java.util.Arrays;

/**
 * What a {@link DefendedClassifier} says about one image or a batch; made once, it can receive any
 * number of calls. Values are copies in Java memory and stay valid when the classifier is closed.
 *
 * <p>Methods without an image's index speak of image 0. Those that give arrays make them anew; all
 * others make no object. Not thread-safe: one thread at a time fills and reads it.
 */
public final class Classification {
  private final int size;
  private final int classCount;
  private final int[][] retained;
  final float[] logits;
  private final float[] probabilities;
  private final int[] labels;
  final int[] pseudoLabels;

  /**
   * Room for {@code size} images.
   *
   * @param retained units kept for each class, ascending; shared, not copied
   */
  Classification(int size, int classCount, int[][] retained) {
    this.size = size;
    this.classCount = classCount;
    this.retained = retained;
    this.logits = new float[Math.multiplyExact(size, classCount)];
    this.probabilities = new float[logits.length];
    this.labels = new int[size];
    this.pseudoLabels = new int[size];
    Arrays.fill(labels, -1);
    Arrays.fill(pseudoLabels, -1);
  }

  /** Labels and probabilities from the logits. */
  void finish() {
    for (int i = 0; i < size; i++) {
      int first = i * classCount;
      int best = 0;
      boolean broken = false;
      for (int c = 0; c < classCount; c++) {
        broken |= Float.isNaN(logits[first + c]);
        best = logits[first + c] > logits[first + best] ? c : best;
      }
      labels[i] = broken ? -1 : best;
      double sum = 0;
      for (int c = 0; c < classCount; c++) {
        sum += Math.exp(logits[first + c] - (double) logits[first + best]);
      }
      for (int c = 0; c < classCount; c++) {
        probabilities[first + c] =
            (float) (Math.exp(logits[first + c] - (double) logits[first + best]) / sum);
      }
    }
  }

  /** Number of images N. */
  public int size() {
    return size;
  }

  /** Number of classes K. */
  public int classCount() {
    return classCount;
  }

  /** The class predicted by the defended model; −1 where a logit is not a number. */
  public int label() {
    return label(0);
  }

  /** The same of an image. */
  public int label(int image) {
    return labels[image];
  }

  /** The class of the first pass, whose units were kept; −1 where a logit is not a number. */
  public int pseudoLabel() {
    return pseudoLabel(0);
  }

  /** The same of an image. */
  public int pseudoLabel(int image) {
    return pseudoLabels[image];
  }

  /** The defended model's logit of a class. */
  public float logit(int image, int classIndex) {
    return logits[at(image, classIndex)];
  }

  /** Softmax of the logits, for a class: in [0,1], adding up to 1 over the classes. */
  public float probability(int image, int classIndex) {
    return probabilities[at(image, classIndex)];
  }

  /** Probability of the predicted class; NaN without one. */
  public float confidence() {
    return labels[0] < 0 ? Float.NaN : probabilities[labels[0]];
  }

  /** All logits [K], a copy. */
  public float[] logits() {
    return logits(0);
  }

  /** The same of an image. */
  public float[] logits(int image) {
    return Arrays.copyOfRange(logits, at(image, 0), at(image, 0) + classCount);
  }

  /** All probabilities [K], a copy. */
  public float[] probabilities() {
    return probabilities(0);
  }

  /** The same of an image. */
  public float[] probabilities(int image) {
    return Arrays.copyOfRange(probabilities, at(image, 0), at(image, 0) + classCount);
  }

  /** The units that the pseudo-label's mask keeps, ascending, a copy; empty without one. */
  public int[] retainedUnits() {
    return retainedUnits(0);
  }

  /** The same of an image. */
  public int[] retainedUnits(int image) {
    return pseudoLabels[image] < 0 ? new int[0] : retained[pseudoLabels[image]].clone();
  }

  /** Whether the pseudo-label's mask keeps a unit. */
  public boolean retains(int image, int unit) {
    return pseudoLabels[image] >= 0
        && Arrays.binarySearch(retained[pseudoLabels[image]], unit) >= 0;
  }

  private int at(int image, int classIndex) {
    if (classIndex < 0 || classIndex >= classCount) {
      throw new IndexOutOfBoundsException("class " + classIndex + " of " + classCount);
    }
    return Math.addExact(Math.multiplyExact(image, classCount), classIndex);
  }
}
