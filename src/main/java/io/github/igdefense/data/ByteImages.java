package io.github.igdefense.data;

/** Images decoded to 8-bit values in memory. */
final class ByteImages extends ForwardingImages {
  private static final float[] UNIT = new float[256];

  static {
    for (int v = 0; v < 256; v++) {
      UNIT[v] = v / 255f;
    }
  }

  private final byte[][] pixels; // CHW
  private final int[] labels;

  private ByteImages(ImageSet source, byte[][] pixels, int[] labels) {
    super(source);
    this.pixels = pixels;
    this.labels = labels;
  }

  /** Reads every image of an 8-bit source once, in parallel. */
  static ImageSet decode(ImageSet source) {
    byte[][] pixels = new byte[source.size()][];
    int length = source.imageLength();
    try (ImageBatches batches = ImageBatches.of(source, 64)) {
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        for (int i = 0; i < batch.size(); i++) {
          int index = batch.indices()[i];
          pixels[index] = new byte[length];
          exact(batch.floats(), i * length, pixels[index], 0, length, index, source);
        }
      }
    }
    return new ByteImages(source, pixels, source.labels());
  }

  /**
   * The bytes of some images of an 8-bit source, one after the other, decoded in parallel.
   *
   * @throws InputException if a value is no multiple of 1/255, or the bytes exceed an array
   */
  static byte[] bytes(ImageSet source, int[] indices) {
    int length = source.imageLength();
    if ((long) length * indices.length > Integer.MAX_VALUE - 8) {
      throw InputException.of(
          "expected at most 2 GiB of pixels, got %d images of %d bytes; take fewer images",
          indices.length, length);
    }
    byte[] all = new byte[length * indices.length];
    int done = 0;
    try (ImageBatches batches = ImageBatches.of(source, 64, indices, false)) {
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        for (int i = 0; i < batch.size(); i++, done++) {
          int index = batch.indices()[i];
          exact(batch.floats(), i * length, all, done * length, length, index, source);
        }
      }
    }
    return all;
  }

  /** Values v / 255 back to v. */
  static void exact(
      float[] values, int from, byte[] target, int to, int count, int index, ImageSet source) {
    for (int i = 0; i < count; i++) {
      float value = values[from + i] * 255;
      int rounded = Math.round(value);
      if (!(Math.abs(value - rounded) < 1e-3f)) {
        throw InputException.of(
            "expected 8-bit images, got the value %s in image %d of %s",
            values[from + i], index, source.name());
      }
      target[to + i] = (byte) rounded;
    }
  }

  /** Unsigned bytes to {@code v / 255f}. */
  static void toUnit(byte[] source, int from, float[] target, int offset, int count) {
    for (int i = 0; i < count; i++) {
      target[offset + i] = UNIT[source[from + i] & 0xff];
    }
  }

  @Override
  public int label(int index) {
    return labels[index];
  }

  @Override
  public void read(int index, float[] target, int offset) {
    byte[] image = pixels[index];
    toUnit(image, 0, target, offset, image.length);
  }
}
