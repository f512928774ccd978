package io.github.igdefense.data;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A labelled, ordered set of equally sized images with values in [0,1].
 *
 * <p>Immutable and safe for use by several threads at once. Access is random; a folder of image
 * files decodes on every {@link #read}, so use {@link ImageBatches} (parallel, ahead of use) or
 * {@link #inMemory()} for repeated passes. Layout of one image: channels, rows, columns (CHW),
 * row-major, {@link #imageLength()} values. Integer pixels become {@code v / 255f}.
 *
 * <p>Views made by {@link #limit}, {@link #select} and {@link #withClassCount} share their source;
 * closing one closes the source. Closing is idempotent; sets that hold no file handle ignore it.
 */
public interface ImageSet extends AutoCloseable {

  /**
   * The specification the set was opened with, for example {@code idx:DIR:train}, plus the views
   * applied.
   */
  String name();

  /**
   * What was done to the stored pixels besides scaling to [0,1], for example padding or a {@link
   * Preprocessing}; or {@code none}.
   */
  default String preprocessing() {
    return "none";
  }

  /** What the user of the set has to know, such as images left out; usually empty. */
  default List<String> remarks() {
    return List.of();
  }

  /** Number of images, at least 1. */
  int size();

  /** Channels of one image (3, or 1 for grey arrays). */
  int channels();

  /** Rows of one image. */
  int height();

  /** Columns of one image. */
  int width();

  /** Values of one image: channels × height × width. */
  default int imageLength() {
    return channels() * height() * width();
  }

  /** One name per class, position = label. Sources without names use {@code "0"}, {@code "1"}, … */
  List<String> classNames();

  /** Number of classes; every label is in [0, classCount). */
  default int classCount() {
    return classNames().size();
  }

  /** Label of the image at {@code index} in [0, size). */
  int label(int index);

  /** All labels, a fresh array. */
  default int[] labels() {
    int[] labels = new int[size()];
    Arrays.setAll(labels, this::label);
    return labels;
  }

  /**
   * Writes the image at {@code index} to {@code target[offset ..]}, CHW, values in [0,1].
   *
   * @throws InputException if the stored image cannot be decoded (names it)
   * @throws IndexOutOfBoundsException if the index or the target range is out of bounds
   */
  void read(int index, float[] target, int offset);

  /** As {@link #read(int, float[], int)}; widens the float32 values unless {@link #isDouble()}. */
  default void read(int index, double[] target, int offset) {
    float[] values = new float[imageLength()];
    read(index, values, 0);
    for (int i = 0; i < values.length; i++) {
      target[offset + i] = values[i];
    }
  }

  /**
   * True if the source stores float64, which {@link #read(int, double[], int)} then gives exactly.
   */
  default boolean isDouble() {
    return false;
  }

  /**
   * Identity of the content, lower-case hex; computed on first use and kept. An opened set hashes
   * its source files (their bytes, and for folders their relative paths); a view hashes its
   * source's value with the chosen indices. So the same files give the same value, while the same
   * pixels in another format do not.
   */
  String sha256();

  /**
   * The first {@code n} images; the set itself if it has no more than that. {@code n} must be
   * positive.
   */
  default ImageSet limit(int n) {
    if (n < 1) {
      throw new InputException("expected a positive limit on the number of images, got " + n);
    }
    if (n >= size()) {
      return this;
    }
    int[] indices = new int[n];
    Arrays.setAll(indices, i -> i);
    return new SelectedImages(this, indices, name() + " (first " + n + " of " + size() + ")");
  }

  /**
   * The first {@code n / k} images of each of the k classes that have any, in the set's order: for
   * sets whose images are sorted by class, where the first {@code n} would be of one class alone.
   * With fewer images than classes, one image of each of {@code n} classes spread over all.
   */
  default ImageSet balanced(int n) {
    if (n < 1) {
      throw new InputException("expected a positive limit on the number of images, got " + n);
    }
    int[] present = Arrays.stream(labels()).distinct().sorted().toArray();
    int[] left = new int[classCount()];
    long classes = present.length;
    for (int i = 0; i < classes; i++) {
      left[present[i]] =
          (int) (n >= classes ? n / classes : (i + 1L) * n / classes - (long) i * n / classes);
    }
    int[] indices = IntStream.range(0, size()).filter(i -> left[label(i)]-- > 0).toArray();
    return indices.length == size() ? this : select(indices);
  }

  /**
   * True if every class's images stand together, by ascending label, as in folders: the first
   * images are then all of one class.
   */
  default boolean isSortedByClass() {
    int[] labels = labels();
    for (int i = 1; i < labels.length; i++) {
      if (labels[i] < labels[i - 1]) {
        return false;
      }
    }
    return labels[0] < labels[labels.length - 1];
  }

  /** The images at these indices, in this order; repetitions are allowed. The array is copied. */
  default ImageSet select(int[] indices) {
    return new SelectedImages(
        this, indices, name() + " (" + indices.length + " selected of " + size() + ")");
  }

  /**
   * The same images with {@code k} classes, for a model with {@code k} outputs. Missing class names
   * become numbers.
   *
   * @throws InputException if a label is {@code k} or more; names the first such index
   */
  default ImageSet withClassCount(int k) {
    return k == classCount() ? this : new ReclassedImages(this, k);
  }

  /** True if every {@link #read} decodes an image file. */
  default boolean isLazy() {
    return false;
  }

  /**
   * The same images decoded once (in parallel) and kept in memory; the set itself if it already is.
   */
  default ImageSet inMemory() {
    return this;
  }

  /** Releases file handles, if any. Idempotent. */
  @Override
  default void close() {}
}
