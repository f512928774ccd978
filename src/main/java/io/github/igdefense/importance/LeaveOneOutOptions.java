package io.github.igdefense.importance;

import io.github.igdefense.data.InputException;

/**
 * How a leave-one-out ranking is computed.
 *
 * @param normalization how sums become means
 * @param signed keeps the sign of the difference instead of its absolute value
 * @param batchSize images per prefix, at least 1
 * @param blockSize pairs (unit, image) that go through the suffix together; 0 measures a few sizes
 *     on the first batch and takes the fastest that the memory allows
 * @param memory bytes that a block of pairs may take in the suffix, about
 */
public record LeaveOneOutOptions(
    Normalization normalization, boolean signed, int batchSize, int blockSize, long memory) {
  /** Bytes for a block unless told otherwise. */
  public static final long DEFAULT_MEMORY = 1L << 30;

  /**
   * Checks the values.
   *
   * @throws InputException if one is out of range
   */
  public LeaveOneOutOptions {
    if (batchSize < 1) {
      throw new InputException("expected --batch-size of at least 1, got " + batchSize);
    }
    if (blockSize < 0 || blockSize > 1 << 16) {
      throw new InputException("expected --block-size between 1 and 65536, got " + blockSize);
    }
    if (memory < 1 << 20) {
      throw new InputException("expected --memory of at least 1 MiB, got " + memory + " bytes");
    }
  }

  /** Class means of absolute differences, block size by measurement. */
  public static LeaveOneOutOptions of(int batchSize) {
    return new LeaveOneOutOptions(Normalization.CLASS_MEAN, false, batchSize, 0, DEFAULT_MEMORY);
  }

  /** The same with a fixed block size. */
  public LeaveOneOutOptions withBlockSize(int size) {
    return new LeaveOneOutOptions(normalization, signed, batchSize, size, memory);
  }
}
