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
  HIGH("high");

  private final String label;

  Float32Precision(String label) {
    this.label = label;
  }

  /**
   * Parses {@code highest} or {@code high}.
   *
   * @throws IllegalArgumentException naming both
   */
  public static Float32Precision parse(String text) {
    for (Float32Precision precision : values()) {
      if (precision.label.equals(text)) {
        return precision;
      }
    }
    throw new IllegalArgumentException(
        "expected float32 precision highest or high, got '" + text + "'");
  }

  @Override
  public String toString() {
    return label;
  }
}
