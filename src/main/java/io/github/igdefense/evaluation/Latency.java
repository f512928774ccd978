package io.github.igdefense.evaluation;

import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;
import org.bytedeco.javacpp.PointerScope;

/**
 * How long single calls take, one after another: what a service that answers one request at a time
 * sees. Percentiles are those of all calls, to three digits (HdrHistogram), warm-up left out.
 *
 * @param calls measured
 * @param p50Nanos median
 * @param p99Nanos of 100 calls, one is slower
 * @param p999Nanos of 1,000 calls, one is slower; with fewer calls, the slowest
 * @param maxNanos the slowest call
 */
public record Latency(long calls, long p50Nanos, long p99Nanos, long p999Nanos, long maxNanos) {
  private static final long MOST_NANOS = TimeUnit.HOURS.toNanos(1);
  private static final int DIGITS = 3;
  private static final int LEAST_CALLS = 20;

  /**
   * Measures calls until there are enough or time is up.
   *
   * @param call runs in a native scope of its own
   * @param calls how many at most, at least 20
   * @param budgetSeconds after which no call begins, but for the first 20
   */
  public static Latency measure(Runnable call, int calls, double budgetSeconds) {
    Histogram histogram = new Histogram(MOST_NANOS, DIGITS);
    int warmUp = Math.max(3, Math.min(100, calls / 10));
    long start = System.nanoTime();
    for (int i = -warmUp; i < Math.max(calls, LEAST_CALLS); i++) {
      if (i == 0) {
        start = System.nanoTime();
      }
      if (i >= LEAST_CALLS && (System.nanoTime() - start) / 1e9 > budgetSeconds) {
        break;
      }
      try (PointerScope scope = new PointerScope()) {
        long before = System.nanoTime();
        call.run();
        long nanos = System.nanoTime() - before;
        if (i >= 0) {
          histogram.recordValue(Math.min(MOST_NANOS, Math.max(1, nanos)));
        }
      }
    }
    return of(histogram);
  }

  /** The percentiles of a histogram of nanoseconds. */
  static Latency of(Histogram histogram) {
    return new Latency(
        histogram.getTotalCount(),
        histogram.getValueAtPercentile(50),
        histogram.getValueAtPercentile(99),
        histogram.getValueAtPercentile(99.9),
        histogram.getMaxValue());
  }

  /** p99.9 / p50: how far a bad call is from a usual one. */
  public double tail() {
    return (double) p999Nanos / p50Nanos;
  }
}
