package io.github.igdefense.report;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Base64;
import javax.imageio.ImageIO;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** PNG data URIs of pictures; needs no display and no fonts. */
final class Png {
  /** Grey of an unchanged pixel in a difference picture. */
  static final int NEUTRAL = 128;

  private Png() {}

  /** The picture itself, 8 bits per channel, one PNG pixel per pixel. */
  static String of(Picture picture) {
    return uri(
        picture.width(),
        picture.height(),
        (x, y) ->
            rgb(
                at(picture, 0, x, y) * 255,
                at(picture, 1, x, y) * 255,
                at(picture, 2, x, y) * 255));
  }

  /** {@code factor} times the difference of two pictures around mid-grey. */
  static String difference(Picture clean, Picture adversarial, int factor) {
    return uri(
        clean.width(),
        clean.height(),
        (x, y) ->
            rgb(
                NEUTRAL + 255f * factor * (at(adversarial, 0, x, y) - at(clean, 0, x, y)),
                NEUTRAL + 255f * factor * (at(adversarial, 1, x, y) - at(clean, 1, x, y)),
                NEUTRAL + 255f * factor * (at(adversarial, 2, x, y) - at(clean, 2, x, y))));
  }

  private static float at(Picture p, int channel, int x, int y) {
    return p.pixels()[((p.channels() == 1 ? 0 : channel) * p.height() + y) * p.width() + x];
  }

  private static int rgb(float r, float g, float b) {
    return level(r) << 16 | level(g) << 8 | level(b);
  }

  private static int level(float value) {
    return Math.max(0, Math.min(255, Math.round(value)));
  }

  /** The colour, 0xRRGGBB, of a pixel. */
  interface Pixels {
    int rgb(int x, int y);
  }

  /** A data URI of an RGB picture. */
  static String uri(int width, int height, Pixels pixels) {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        image.setRGB(x, y, pixels.rgb(x, y));
      }
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (MemoryCacheImageOutputStream stream = new MemoryCacheImageOutputStream(bytes)) {
      if (!ImageIO.write(image, "png", stream)) {
        throw new IllegalStateException(
            "this Java has no PNG writer; use one with the module java.desktop");
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory only
    }
    return "data:image/png;base64," + Base64.getEncoder().encodeToString(bytes.toByteArray());
  }
}
