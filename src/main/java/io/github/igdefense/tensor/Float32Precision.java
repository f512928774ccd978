package io.github.igdefense.tensor;

/**
 * How exactly the native engine multiplies float32 numbers, in the words of PyTorch's {@code
 * torch.set_float32_matmul_precision}. libtorch's own operations are always {@link #HIGHEST} here.
 */
public enum Float32Precision {
  /** All 24 bits of mantissa: six products of three bfloat16 parts. */
  HIGHEST("highest"),
  /**
   * About 16 bits of mantissa: three products of two bfloat16 parts, half the work. What attacks
   * break is re-checked at {@link #HIGHEST}.
   */
  HIGH("high"),
  /**
   * 8 bits of mantissa, as bfloat16: one product, of numbers kept as float32 everywhere outside the
   * network. What attacks break is re-checked at {@link #HIGHEST}.
   */
  MEDIUM("medium");

  private final String label;

  Float32Precision(String label) {
    this.label = label;
  }

  /**
   * Parses {@code highest}, {@code high} or {@code medium}.
   *
   * @throws IllegalArgumentException naming all
   */
  public static Float32Precision parse(String text) {
    for (Float32Precision precision : values()) {
      if (precision.label.equals(text)) {
        return precision;
      }
    }
    throw new IllegalArgumentException(
        "expected float32 precision highest, high or medium, got '" + text + "'");
  }

  /** Whether this multiplies with fewer bits than {@code other}. */
  public boolean coarserThan(Float32Precision other) {
    return compareTo(other) > 0;
  }

  @Override
  public String toString() {
    return label;
  }
}
