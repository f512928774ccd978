package io.github.igdefense.data;

/**
 * Element type of an array or tensor as stored in a file; multi-byte values are little-endian in
 * memory.
 */
public enum ElementType {
  FLOAT32(4, true),
  FLOAT64(8, true),
  FLOAT16(2, true),
  BFLOAT16(2, true),
  INT64(8, false),
  INT32(4, false),
  INT16(2, false),
  INT8(1, false),
  UINT8(1, false),
  BOOL(1, false);

  private final int bytes;
  private final boolean floating;

  ElementType(int bytes, boolean floating) {
    this.bytes = bytes;
    this.floating = floating;
  }

  /** Bytes per element. */
  public int bytes() {
    return bytes;
  }

  /** True for the four floating-point types. */
  public boolean isFloating() {
    return floating;
  }

  /** The name as Python writes it, for example {@code float32} or {@code uint8}. */
  public String label() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }

  /** Value of an IEEE 754 binary16 bit pattern; exact. */
  public static float float16ToFloat(short bits) {
    int sign = (bits & 0x8000) << 16;
    int exponent = (bits >>> 10) & 0x1f;
    int mantissa = bits & 0x3ff;
    if (exponent == 0x1f) {
      return Float.intBitsToFloat(sign | 0x7f800000 | mantissa << 13);
    }
    if (exponent == 0) {
      float magnitude = mantissa * 0x1p-24f;
      return sign == 0 ? magnitude : -magnitude;
    }
    return Float.intBitsToFloat(sign | exponent + 112 << 23 | mantissa << 13);
  }

  /** Value of a bfloat16 bit pattern; exact. */
  public static float bfloat16ToFloat(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }
}
