package io.github.igdefense.data;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;

/**
 * Images from the arrays {@code x} and {@code y} of a {@code .npz} file, which stay as they are
 * stored.
 */
final class NpzImages extends StoredImages {
  private final Npz file;
  private final NpyArray pixels;

  private NpzImages(String name, Npz file, NpyArray pixels, int[] labels) {
    super(
        name,
        labels,
        numbers(Arrays.stream(labels).max().orElseThrow() + 1),
        (int) pixels.shape()[1],
        (int) pixels.shape()[2],
        (int) pixels.shape()[3]);
    this.file = file;
    this.pixels = pixels;
  }

  /** Opens a file and checks every value. */
  static ImageSet open(String name, Path path) {
    Npz file = Npz.open(path);
    NpyArray x = file.get("x");
    NpyArray y = file.get("y");
    long[] shape = x.shape();
    if (shape.length != 4 || x.size() == 0 || shape[1] * shape[2] > (1 << 28) / shape[3]) {
      throw new InputException(
          "expected images x of shape [N,C,H,W] with N, C, H, W at least 1 in "
              + path
              + ", got "
              + x);
    }
    if (y.rank() != 1 || y.size() != shape[0]) {
      throw new InputException(
          "expected one label per image, y of shape [" + shape[0] + "], in " + path + ", got " + y);
    }
    if (shape[0] > Integer.MAX_VALUE - 8) {
      throw new InputException("expected fewer than 2^31 images in " + path + ", got " + x);
    }
    checkPixels(x, shape, path);
    return new NpzImages(name, file, x, labels(y, path));
  }

  private static void checkPixels(NpyArray x, long[] shape, Path path) {
    ElementType type = x.type();
    if (type == ElementType.UINT8) {
      return;
    }
    if (type != ElementType.FLOAT32 && type != ElementType.FLOAT64) {
      throw new InputException(
          "expected images x as uint8, or float32 or float64 in [0,1], in "
              + path
              + ", got "
              + type.label());
    }
    for (long i = 0; i < x.size(); i++) {
      double value = x.getDouble(i);
      if (!(value >= 0 && value <= 1)) {
        long w = i % shape[3];
        long h = i / shape[3] % shape[2];
        long c = i / shape[3] / shape[2] % shape[1];
        long n = i / shape[3] / shape[2] / shape[1];
        throw InputException.of(
            "expected values in [0,1] in array x of %s, got %s at [%d,%d,%d,%d];"
                + " scale the images (uint8 is divided by 255 by itself)",
            path, value, n, c, h, w);
      }
    }
  }

  private static int[] labels(NpyArray y, Path path) {
    if (y.type().isFloating() || y.type() == ElementType.BOOL) {
      throw new InputException("expected integer labels y in " + path + ", got " + y);
    }
    int[] labels = new int[(int) y.size()];
    for (int i = 0; i < labels.length; i++) {
      long label = y.getLong(i);
      if (label < 0 || label > 1_000_000) {
        throw InputException.of(
            "expected labels from 0 up to the number of classes in array y of %s, got %d at index"
                + " %d",
            path, label, i);
      }
      labels[i] = (int) label;
    }
    return labels;
  }

  @Override
  public boolean isDouble() {
    return pixels.type() == ElementType.FLOAT64;
  }

  @Override
  public void read(int index, float[] target, int offset) {
    Objects.checkIndex(index, size());
    int length = imageLength();
    long from = (long) index * length;
    if (pixels.type() == ElementType.FLOAT32) {
      pixels.readFloats(from, target, offset, length);
    } else if (pixels.type() == ElementType.UINT8) {
      byte[] bytes = pixels.bytes().get(from, length);
      ByteImages.toUnit(bytes, 0, target, offset, length);
    } else {
      for (int i = 0; i < length; i++) {
        target[offset + i] = (float) pixels.getDouble(from + i);
      }
    }
  }

  @Override
  public void read(int index, double[] target, int offset) {
    if (!isDouble()) {
      super.read(index, target, offset);
      return;
    }
    Objects.checkIndex(index, size());
    int length = imageLength();
    for (int i = 0; i < length; i++) {
      target[offset + i] = pixels.getDouble((long) index * length + i);
    }
  }

  @Override
  public String sha256() {
    return file.sha256();
  }
}
