package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;

/** The norm in which the size of a perturbation is bounded, taken over all values of one image. */
public enum Norm {
  /** Largest absolute value. */
  LINF("Linf"),
  /** Euclidean norm. */
  L2("L2"),
  /** Sum of absolute values. */
  L1("L1");

  private final String label;

  Norm(String label) {
    this.label = label;
  }

  /**
   * Parses {@code Linf}, {@code L2} or {@code L1}, in any case.
   *
   * @throws InputException naming the three
   */
  public static Norm parse(String text) {
    for (Norm norm : values()) {
      if (norm.label.equalsIgnoreCase(text)) {
        return norm;
      }
    }
    throw new InputException("expected norm Linf, L2 or L1, got '" + text + "'");
  }

  /** The field's name of the norm: {@code Linf}, {@code L2}, {@code L1}. */
  @Override
  public String toString() {
    return label;
  }
}
