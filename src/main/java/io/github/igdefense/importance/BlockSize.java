package io.github.igdefense.importance;

/**
 * How many pairs go through the suffix at once: more make better use of the weights, fewer stay in
 * the caches.
 */
final class BlockSize {
  /** Where nothing is measured, memory permitting. */
  static final int DEFAULT = 128;

  private static final int[] CANDIDATES = {32, 64, 128, 256, 512};

  /** Fewer pairs than this in all are not worth a measurement. */
  private static final long WORTH_MEASURING = 20_000;

  /** How many blocks' worth of pairs fills one group of units. */
  private static final int BLOCKS_PER_TASK = 4;

  private static final int SMALLEST_GROUP = 8;

  private BlockSize() {}

  /** The largest that {@code memory} bytes allow, at least 1. */
  static int most(Ablation.Batch batch, long memory) {
    return (int) Math.max(1, Math.min(1 << 16, memory / batch.bytesPerPair()));
  }

  /** The size without measurement: depends on model and options alone. */
  static int fixed(Ablation.Batch batch, long memory) {
    return Math.min(DEFAULT, most(batch, memory));
  }

  /**
   * The fastest of a few sizes on the pairs of {@code batch}, or the fixed one where little is to
   * be done.
   *
   * @param images in the batch
   * @param pairs in the whole run
   */
  static int measured(Ablation.Batch batch, int images, int units, long pairs, long memory) {
    int fallback = fixed(batch, memory);
    if (pairs < WORTH_MEASURING) {
      return fallback;
    }
    int best = fallback;
    double bestTime = Double.POSITIVE_INFINITY;
    int limit = most(batch, memory);
    for (int size : CANDIDATES) {
      if (size > limit) {
        break;
      }
      int[] unit = new int[size];
      int[] image = new int[size];
      for (int i = 0; i < size; i++) {
        unit[i] = i / images % units;
        image[i] = i % images;
      }
      // The first call makes the primitives of this size.
      batch.differences(unit, image, size, size);
      int calls = Math.max(1, 256 / size);
      double time = Double.POSITIVE_INFINITY;
      for (int repetition = 0; repetition < 2; repetition++) {
        long start = System.nanoTime();
        for (int call = 0; call < calls; call++) {
          batch.differences(unit, image, size, size);
        }
        time = Math.min(time, (double) (System.nanoTime() - start) / calls / size);
      }
      if (time < bestTime) {
        bestTime = time;
        best = size;
      }
    }
    return best;
  }

  /** Units whose pairs make a few blocks together, so that the last, partial one costs little. */
  static int unitGroup(int blockSize, int batchSize, int units) {
    long wanted = ((long) BLOCKS_PER_TASK * blockSize + batchSize - 1) / batchSize;
    return (int) Math.min(units, Math.max(SMALLEST_GROUP, wanted));
  }
}
