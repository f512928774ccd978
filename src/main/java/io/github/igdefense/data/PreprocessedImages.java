package io.github.igdefense.data;

/** View on 8-bit images of one size through a {@link Preprocessing}. */
final class PreprocessedImages extends ForwardingImages {
  private final Preprocessing preprocessing;
  private volatile String sha256;

  /** The preprocessing must change the size to a fixed one. */
  PreprocessedImages(ImageSet source, Preprocessing preprocessing) {
    super(source);
    this.preprocessing = preprocessing;
    if (source.channels() != 3) {
      throw InputException.of(
          "expected images of 3 channels for %s, got %d in %s",
          preprocessing.name(), source.channels(), source.name());
    }
  }

  @Override
  public String preprocessing() {
    String before = source.preprocessing();
    return (before.equals("none") ? "" : before + ", then ") + preprocessing;
  }

  @Override
  public int height() {
    return preprocessing.side();
  }

  @Override
  public int width() {
    return preprocessing.side();
  }

  @Override
  public void read(int index, float[] target, int offset) {
    float[] values = new float[source.imageLength()];
    source.read(index, values, 0);
    byte[] bytes = new byte[values.length];
    ByteImages.exact(values, 0, bytes, 0, values.length, index, source);
    byte[] result = preprocessing.apply(bytes, source.height(), source.width());
    ByteImages.toUnit(result, 0, target, offset, result.length);
  }

  @Override
  public boolean isLazy() {
    return true;
  }

  @Override
  public ImageSet inMemory() {
    return ByteImages.decode(this);
  }

  @Override
  public String sha256() {
    String known = sha256;
    if (known == null) {
      known =
          Hashes.builder()
              .text("preprocess")
              .text(preprocessing.name())
              .text(source.sha256())
              .hex();
      sha256 = known;
    }
    return known;
  }
}
