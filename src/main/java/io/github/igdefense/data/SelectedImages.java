package io.github.igdefense.data;

import java.util.Objects;

/** View on some images of a set, in a given order. */
final class SelectedImages extends ForwardingImages {
  private final int[] indices;
  private final String name;
  private volatile String sha256;

  SelectedImages(ImageSet source, int[] indices, String name) {
    super(source);
    if (indices.length == 0) {
      throw new InputException(
          "expected at least one image, got an empty selection of " + source.name());
    }
    for (int index : indices) {
      Objects.checkIndex(index, source.size());
    }
    this.indices = indices.clone();
    this.name = name;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int size() {
    return indices.length;
  }

  @Override
  public int label(int index) {
    return source.label(indices[index]);
  }

  @Override
  public void read(int index, float[] target, int offset) {
    source.read(indices[index], target, offset);
  }

  @Override
  public void read(int index, double[] target, int offset) {
    source.read(indices[index], target, offset);
  }

  @Override
  public boolean isDouble() {
    return source.isDouble();
  }

  @Override
  public String sha256() {
    String known = sha256;
    if (known == null) {
      known = Hashes.builder().text("select").text(source.sha256()).ints(indices).hex();
      sha256 = known;
    }
    return known;
  }

  @Override
  public ImageSet inMemory() {
    return isLazy() ? ByteImages.decode(this) : this;
  }

  @Override
  public boolean isLazy() {
    return source.isLazy();
  }
}
