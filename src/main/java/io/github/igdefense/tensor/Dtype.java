package io.github.igdefense.tensor;

import org.bytedeco.pytorch.global.torch.ScalarType;

/** The element types a model computes in. */
public enum Dtype {
  /** The reference. */
  FLOAT32("float32", 4),
  /** For verification. */
  FLOAT64("float64", 8),
  /** Faster where the processor has AVX512-BF16 or AMX; results are re-checked in float32. */
  BFLOAT16("bfloat16", 2);

  private final String label;
  private final int bytes;

  Dtype(String label, int bytes) {
    this.label = label;
    this.bytes = bytes;
  }

  /** Bytes per element. */
  public int bytes() {
    return bytes;
  }

  /** libtorch's name of this type. Loads nothing. */
  public ScalarType scalarType() {
    return switch (this) {
      case FLOAT32 -> ScalarType.Float;
      case FLOAT64 -> ScalarType.Double;
      case BFLOAT16 -> ScalarType.BFloat16;
    };
  }

  /**
   * Parses {@code float32}, {@code float64} or {@code bfloat16}.
   *
   * @throws IllegalArgumentException naming the three
   */
  public static Dtype parse(String text) {
    for (Dtype dtype : values()) {
      if (dtype.label.equals(text)) {
        return dtype;
      }
    }
    throw new IllegalArgumentException(
        "expected dtype float32, float64 or bfloat16, got '" + text + "'");
  }

  @Override
  public String toString() {
    return label;
  }
}
