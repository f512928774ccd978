package io.github.igdefense.evaluation;

import io.github.igdefense.data.InputException;
import java.util.List;

/**
 * How much a benchmark measures.
 *
 * @param batch images of the large batch, of which ratios are taken besides those of batch 1
 * @param batches of the throughput table, each at least 1
 * @param gradientBatch images of the input gradient
 * @param repetitions rounds per figure at most, at least 3
 * @param budgetSeconds for the rounds of one figure; at least three are run in any case
 * @param latencyCalls single calls behind the percentiles
 */
public record BenchmarkSettings(
    int batch,
    List<Integer> batches,
    int gradientBatch,
    int repetitions,
    double budgetSeconds,
    int latencyCalls) {
  /** Batches of the throughput table. */
  public static final List<Integer> BATCHES = List.of(1, 2, 4, 8, 16, 32, 64, 128);

  /** Images of the input gradient. */
  public static final int GRADIENT_BATCH = 32;

  private static final int QUICK_GRADIENT_BATCH = 8;
  private static final int LATENCY_CALLS = 4000;
  private static final int QUICK_LATENCY_CALLS = 300;
  private static final double BUDGET = 12;
  private static final double QUICK_BUDGET = 0.6;

  /** Checks ranges. */
  public BenchmarkSettings {
    if (repetitions < 3) {
      throw new InputException("expected --repetitions of at least 3, got " + repetitions);
    }
    if (batch < 1 || gradientBatch < 1 || batches.stream().anyMatch(b -> b < 1)) {
      throw new InputException("expected batches of at least 1 image, got " + batches);
    }
    batches = batches.stream().distinct().sorted().toList();
  }

  /** For figures that are to be trusted: some minutes for a ResNet-18. */
  public static BenchmarkSettings full(int batch, List<Integer> batches, int repetitions) {
    return new BenchmarkSettings(
        batch, batches, Math.min(batch, GRADIENT_BATCH), repetitions, BUDGET, LATENCY_CALLS);
  }

  /** For a first look: below half a minute for a ResNet-18. */
  public static BenchmarkSettings quick(int batch, int repetitions) {
    return new BenchmarkSettings(
        batch,
        List.of(1, batch),
        Math.min(batch, QUICK_GRADIENT_BATCH),
        repetitions,
        QUICK_BUDGET,
        QUICK_LATENCY_CALLS);
  }
}
