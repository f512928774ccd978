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
    try (ImageBatches batches = ImageBatches.of(source, 64)) {
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        int length = source.imageLength();
        for (int i = 0; i < batch.size(); i++) {
          byte[] image = new byte[length];
          for (int j = 0; j < length; j++) {
            image[j] = (byte) Math.round(batch.floats()[i * length + j] * 255f);
          }
          pixels[batch.indices()[i]] = image;
        }
      }
    }
    return new ByteImages(source, pixels, source.labels());
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
