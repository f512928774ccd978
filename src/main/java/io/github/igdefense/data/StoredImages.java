package io.github.igdefense.data;

import java.util.List;
import java.util.stream.IntStream;

/** What sets read from files have in common: labels and names in memory, images of one size. */
abstract class StoredImages implements ImageSet {
  private final String name;
  private final int[] labels;
  private final List<String> classNames;
  private final int channels;
  private final int height;
  private final int width;

  /** The array of labels is not copied. */
  StoredImages(
      String name, int[] labels, List<String> classNames, int channels, int height, int width) {
    this.name = name;
    this.labels = labels;
    this.classNames = classNames;
    this.channels = channels;
    this.height = height;
    this.width = width;
  }

  /** Names for {@code count} classes of which nothing is known: {@code "0"}, {@code "1"}, … */
  static List<String> numbers(int count) {
    return IntStream.range(0, count).mapToObj(Integer::toString).toList();
  }

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final int size() {
    return labels.length;
  }

  @Override
  public final int channels() {
    return channels;
  }

  @Override
  public final int height() {
    return height;
  }

  @Override
  public final int width() {
    return width;
  }

  @Override
  public final List<String> classNames() {
    return classNames;
  }

  @Override
  public final int label(int index) {
    return labels[index];
  }

  @Override
  public final int[] labels() {
    return labels.clone();
  }
}
