package io.github.igdefense.data;

import java.util.Arrays;

/**
 * How two sets differ, image by image.
 *
 * @param images images compared
 * @param different images whose pixels or labels differ
 * @param first index of the first of them, or -1
 * @param largest largest absolute difference of two pixels, in [0,1]
 */
public record ImageDifferences(int images, int different, int first, double largest) {

  /**
   * Compares two sets in their order; decodes both once, in bounded memory.
   *
   * @throws InputException if their sizes differ
   */
  public static ImageDifferences between(ImageSet a, ImageSet b) {
    if (a.size() != b.size() || a.imageLength() != b.imageLength() || a.width() != b.width()) {
      throw InputException.of(
          "expected sets of one size, got %d images of %dx%dx%d in %s and %d of %dx%dx%d in %s",
          a.size(),
          a.channels(),
          a.height(),
          a.width(),
          a.name(),
          b.size(),
          b.channels(),
          b.height(),
          b.width(),
          b.name());
    }
    int different = 0;
    int first = -1;
    double largest = 0;
    int length = a.imageLength();
    try (ImageBatches left = ImageBatches.of(a, 64);
        ImageBatches right = ImageBatches.of(b, 64)) {
      while (left.hasNext()) {
        ImageBatch l = left.next();
        ImageBatch r = right.next();
        for (int i = 0; i < l.size(); i++) {
          int from = i * length;
          boolean equal =
              l.labels()[i] == r.labels()[i]
                  && Arrays.equals(
                      l.floats(), from, from + length, r.floats(), from, from + length);
          if (!equal) {
            different++;
            first = first < 0 ? l.indices()[i] : first;
            for (int j = from; j < from + length; j++) {
              largest = Math.max(largest, Math.abs(l.floats()[j] - r.floats()[j]));
            }
          }
        }
      }
    }
    return new ImageDifferences(a.size(), different, first, largest);
  }
}
