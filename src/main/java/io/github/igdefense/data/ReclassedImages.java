package io.github.igdefense.data;

import java.util.ArrayList;
import java.util.List;

/** View with another number of classes, checked against every label. */
final class ReclassedImages implements ImageSet {
  private final ImageSet source;
  private final List<String> classNames;

  ReclassedImages(ImageSet source, int classes) {
    if (classes < 1) {
      throw new InputException("expected at least one class, got " + classes);
    }
    for (int i = 0; i < source.size(); i++) {
      if (source.label(i) >= classes) {
        throw InputException.of(
            "expected labels below %d (the model's classes) in %s, got label %d at index %d;"
                + " choose data or a checkpoint with matching classes",
            classes, source.name(), source.label(i), i);
      }
    }
    List<String> names = new ArrayList<>(source.classNames());
    while (names.size() < classes) {
      names.add(Integer.toString(names.size()));
    }
    this.source = source;
    this.classNames = List.copyOf(names.subList(0, classes));
  }

  private ReclassedImages(ImageSet source, List<String> classNames) {
    this.source = source;
    this.classNames = classNames;
  }

  @Override
  public String name() {
    return source.name();
  }

  @Override
  public String preprocessing() {
    return source.preprocessing();
  }

  @Override
  public int size() {
    return source.size();
  }

  @Override
  public int channels() {
    return source.channels();
  }

  @Override
  public int height() {
    return source.height();
  }

  @Override
  public int width() {
    return source.width();
  }

  @Override
  public List<String> classNames() {
    return classNames;
  }

  @Override
  public int label(int index) {
    return source.label(index);
  }

  @Override
  public void read(int index, float[] target, int offset) {
    source.read(index, target, offset);
  }

  @Override
  public void read(int index, double[] target, int offset) {
    source.read(index, target, offset);
  }

  @Override
  public boolean isDouble() {
    return source.isDouble();
  }

  @Override
  public String sha256() {
    return source.sha256();
  }

  @Override
  public ImageSet inMemory() {
    ImageSet decoded = source.inMemory();
    return decoded == source ? this : new ReclassedImages(decoded, classNames);
  }

  @Override
  public boolean isLazy() {
    return source.isLazy();
  }

  @Override
  public void close() {
    source.close();
  }
}
