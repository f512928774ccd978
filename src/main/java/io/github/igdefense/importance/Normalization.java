package io.github.igdefense.importance;

import io.github.igdefense.data.InputException;

/** How class sums become importances. The order of units within a class is the same for both. */
public enum Normalization {
  /** Mean over the class's own images: the default. */
  CLASS_MEAN("class-mean"),
  /**
   * Sum divided by all images, times the number of classes: the published code; equal for balanced
   * classes.
   */
  REFERENCE("reference");

  private final String label;

  Normalization(String label) {
    this.label = label;
  }

  /** Parses {@code class-mean} or {@code reference}. */
  public static Normalization parse(String text) {
    for (Normalization value : values()) {
      if (value.label.equals(text)) {
        return value;
      }
    }
    throw new InputException("expected normalization class-mean or reference, got '" + text + "'");
  }

  @Override
  public String toString() {
    return label;
  }
}
