package io.github.igdefense.data;

import java.awt.image.BufferedImage;

/**
 * A decoded image as a model's input: samples as stored (alpha dropped, grey repeated, the high
 * byte of 16 bits, as when image files are read), a {@link Preprocessing}, then division by 255.
 * Stateless and thread-safe.
 */
public final class ImagePixels {
  private ImagePixels() {}

  /**
   * Writes an image's values, CHW in [0,1].
   *
   * @param channels 3 (RGB) or 1 (a colour image becomes grey as Pillow's {@code convert("L")}
   *     makes it); preprocessing needs 3
   * @param height rows expected after preprocessing
   * @param width columns expected after preprocessing
   * @param target receives channels × height × width values from {@code offset} on
   * @throws InputException if the image has another size after preprocessing
   */
  public static void read(
      BufferedImage image,
      Preprocessing preprocessing,
      int channels,
      int height,
      int width,
      float[] target,
      int offset) {
    int rows = image.getHeight();
    int columns = image.getWidth();
    boolean kept = preprocessing.side() == 0;
    if ((kept ? rows : preprocessing.side()) != height
        || (kept ? columns : preprocessing.side()) != width) {
      throw InputException.of(
          "expected an image of %dx%d pixels (width x height), got %dx%d%s; resize it, or export"
              + " the bundle with a preprocessing such as Res256Crop224",
          width,
          height,
          columns,
          rows,
          kept ? "" : ", which " + preprocessing.name() + " makes a square of another size");
    }
    byte[] pixels = preprocessing.apply(ImageFiles.samples(image), rows, columns);
    if (channels == 1) {
      grey(pixels, height * width);
    }
    ByteImages.toUnit(pixels, 0, target, offset, channels * height * width);
  }

  /** RGB planes to luma in the first plane: ITU-R 601 in Pillow's fixed point. */
  private static void grey(byte[] pixels, int plane) {
    for (int i = 0; i < plane; i++) {
      int red = pixels[i] & 0xff;
      int green = pixels[plane + i] & 0xff;
      int blue = pixels[2 * plane + i] & 0xff;
      pixels[i] = (byte) (19595 * red + 38470 * green + 7471 * blue + 0x8000 >> 16);
    }
  }
}
