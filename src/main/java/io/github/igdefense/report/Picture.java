package io.github.igdefense.report;

/**
 * One image as the classifiers saw it.
 *
 * <p>The array is not copied: do not change it afterwards.
 *
 * @param channels 1 (grey) or 3 (red, green, blue)
 * @param height rows, at least 1
 * @param width columns, at least 1
 * @param pixels channel-major [C,H,W], values in [0,1]; what lies outside is clipped when drawn
 */
public record Picture(int channels, int height, int width, float[] pixels) {
  /**
   * Checks the shape.
   *
   * @throws IllegalArgumentException if the array does not hold channels · height · width values
   */
  public Picture {
    if (channels != 1 && channels != 3) {
      throw new IllegalArgumentException("expected a picture of 1 or 3 channels, got " + channels);
    }
    if (height < 1 || width < 1 || pixels.length != (long) channels * height * width) {
      throw new IllegalArgumentException(
          "expected "
              + channels
              + "×"
              + height
              + "×"
              + width
              + " pixel values, got "
              + pixels.length);
    }
  }

  /** True if the other picture has the same channels, height and width. */
  boolean sameShape(Picture other) {
    return channels == other.channels && height == other.height && width == other.width;
  }
}
