package io.github.igdefense.data;

import java.util.ArrayList;
import java.util.List;

/** View with another number of classes, checked against every label. */
final class ReclassedImages extends ForwardingImages {
  private final List<String> classNames;

  ReclassedImages(ImageSet source, int classes) {
    super(source);
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
    this.classNames = List.copyOf(names.subList(0, classes));
  }

  /** With names for at least as many classes as the source has. */
  ReclassedImages(ImageSet source, List<String> classNames) {
    super(source);
    this.classNames = classNames;
  }

  @Override
  public List<String> classNames() {
    return classNames;
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
  public ImageSet inMemory() {
    ImageSet decoded = source.inMemory();
    return decoded == source ? this : new ReclassedImages(decoded, classNames);
  }

  @Override
  public boolean isLazy() {
    return source.isLazy();
  }
}
