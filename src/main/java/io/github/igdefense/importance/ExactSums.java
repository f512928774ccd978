package io.github.igdefense.importance;

import java.math.BigInteger;
import java.nio.ByteBuffer;

/**
 * Sums that do not depend on the order of their terms: 128-bit fixed point with 72 binary places.
 * So a sum is the same however its terms are shared among shards, resumed runs or threads.
 *
 * <p>A term is rounded once, to a multiple of 2⁻⁷² (float32 and float64 logits of usual size are
 * multiples of it, so that nothing is lost); magnitudes up to 2³⁰ and 2²⁴ terms per sum fit. Not
 * safe for use by several threads at once.
 */
final class ExactSums {
  /** Largest number of terms of one sum. */
  static final int MOST_TERMS = 1 << 24;

  private static final int PLACES = 72;
  private static final double LIMIT = 0x1p30;
  private static final int MANTISSA_BITS = 52;

  /** Low and high word of every sum. */
  private final long[] words;

  ExactSums(int size) {
    this.words = new long[Math.multiplyExact(2, size)];
  }

  private ExactSums(long[] words) {
    this.words = words;
  }

  /** Takes words as {@link #words} gave them; copied. */
  static ExactSums of(long[] words) {
    return new ExactSums(words.clone());
  }

  /** Low and high word of every sum, a copy. */
  long[] words() {
    return words.clone();
  }

  /** Number of sums. */
  int size() {
    return words.length / 2;
  }

  /**
   * Adds a term to a sum.
   *
   * @throws IllegalArgumentException if it is not finite or 2³⁰ or more
   */
  void add(int index, double value) {
    if (!(Math.abs(value) < LIMIT)) {
      throw new IllegalArgumentException("expected a magnitude below 2^30, got " + value);
    }
    if (value == 0) {
      return;
    }
    long bits = Double.doubleToRawLongBits(value);
    int exponent = Math.max(1, (int) (bits >>> MANTISSA_BITS) & 0x7ff);
    long mantissa = bits & ((1L << MANTISSA_BITS) - 1);
    if (Math.getExponent(value) >= Double.MIN_EXPONENT) {
      mantissa |= 1L << MANTISSA_BITS;
    }
    // |value| = mantissa * 2^(exponent - 1075)
    int shift = exponent - 1075 + PLACES;
    long low;
    long high;
    if (shift >= 0) {
      low = mantissa << shift;
      high = shift == 0 ? 0 : mantissa >>> (Long.SIZE - shift);
    } else {
      low = shift <= -Long.SIZE + 1 ? 0 : roundedShift(mantissa, -shift);
      high = 0;
    }
    if (value < 0) {
      low = -low;
      high = ~high + (low == 0 ? 1 : 0);
    }
    addWords(2 * index, low, high);
  }

  private static long roundedShift(long mantissa, int shift) {
    long quotient = mantissa >>> shift;
    long rest = mantissa & ((1L << shift) - 1);
    long half = 1L << (shift - 1);
    return rest > half || (rest == half && (quotient & 1) == 1) ? quotient + 1 : quotient;
  }

  private void addWords(int at, long low, long high) {
    long sum = words[at] + low;
    words[at + 1] += high + (Long.compareUnsigned(sum, low) < 0 ? 1 : 0);
    words[at] = sum;
  }

  /** Adds the sums of another, of the same size. */
  void add(ExactSums other) {
    if (other.words.length != words.length) {
      throw new IllegalArgumentException("expected " + size() + " sums, got " + other.size());
    }
    for (int i = 0; i < words.length; i += 2) {
      addWords(i, other.words[i], other.words[i + 1]);
    }
  }

  /** The sum, rounded once to the nearest double. */
  double get(int index) {
    byte[] bytes =
        ByteBuffer.allocate(16).putLong(words[2 * index + 1]).putLong(words[2 * index]).array();
    return Math.scalb(new BigInteger(bytes).doubleValue(), -PLACES);
  }
}
