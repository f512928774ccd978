package io.github.igdefense.evaluation;

import static io.github.igdefense.evaluation.BenchmarkModels.forward;
import static io.github.igdefense.evaluation.BenchmarkModels.gradient;

import io.github.igdefense.tensor.PeakRate;
import io.github.igdefense.tensor.PeakRate.Unit;
import io.github.igdefense.tensor.ProcessMemory;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * What {@code igd bench} measures of one model: latency and its tail, ratios of the defended to the
 * base model, throughput by batch and as a share of the machine's peak, the input gradient, all
 * beside libtorch's eager mode in the same process, and memory. docs/benchmarks.md says what each
 * figure means.
 *
 * <p>Works that are compared run in turns ({@link InterleavedTimes}): trust ratios before
 * milliseconds. Confined to one thread.
 */
public final class Benchmark {
  private static final double MS = 1e3;
  private static final double GIGA = 1e9;
  private static final double MIB = 1024.0 * 1024;
  private static final double PEAK_SECONDS = 0.4;

  /** Products of bfloat16 tiles per product of float32, in our engine. */
  private static final int PARTS = 6;

  /** Batches expected to take longer than this many budgets are left out of the table. */
  private static final double TOO_LONG = 4;

  private final BenchmarkModels models;
  private final BenchmarkSettings settings;
  private final Listener listener;
  private final double[] peaks = {Double.NaN, Double.NaN, Double.NaN};
  private double bestFloat32;
  private double bestBfloat16;

  /** Is told of the results, in the order in which they come. */
  public interface Listener {
    /** A group of figures begins. */
    void group(String title);

    /**
     * A figure.
     *
     * @param key its name in JSON
     * @param unit such as {@code ms}; empty for ratios
     * @param label what it is, for people
     */
    void figure(String key, double value, String unit, String label);

    /** A word to a figure that is not a number. */
    void fact(String key, String value, String label);
  }

  /**
   * A benchmark of a model.
   *
   * @param models not owned
   */
  public Benchmark(BenchmarkModels models, BenchmarkSettings settings, Listener listener) {
    this.models = models;
    this.settings = settings;
    this.listener = listener;
  }

  /** Measures everything: half a minute to several. */
  public void run() {
    listener.group("Network");
    listener.fact("engine_float32", models.float32().engine(), "engine, float32");
    listener.fact("engine_float32_high", models.high().engine(), "engine, float32 at high");
    listener.fact("engine_bfloat16", models.bfloat16().engine(), "engine, bfloat16");
    put("gmac_per_image", models.macs() / GIGA, "GMAC", "work per image");
    measurePeaks();
    latency();
    ratios(1);
    if (settings.batch() > 1) {
      ratios(settings.batch());
    }
    throughput();
    gradients(1);
    gradients(settings.gradientBatch());
    // Again, as clocks change with time: the larger of both counts.
    measurePeaks();
    shares();
    memory();
  }

  private void measurePeaks() {
    for (Unit unit : Unit.values()) {
      double rate = PeakRate.measure(unit, PEAK_SECONDS) / GIGA;
      if (!(peaks[unit.ordinal()] > rate)) {
        peaks[unit.ordinal()] = rate;
      }
    }
  }

  /** The unit that bfloat16 arithmetic is done by: tiles where there are any, else the faster. */
  private Unit bfloat16Unit() {
    return !Double.isNaN(peak(Unit.BFLOAT16_TILES))
        ? Unit.BFLOAT16_TILES
        : peak(Unit.BFLOAT16_VECTOR) > peak(Unit.FLOAT32_FMA)
            ? Unit.BFLOAT16_VECTOR
            : Unit.FLOAT32_FMA;
  }

  private double peak(Unit unit) {
    return peaks[unit.ordinal()];
  }

  private void latency() {
    listener.group("Latency at batch 1, call after call");
    try (PointerScope scope = new PointerScope()) {
      Tensor x = models.images(1);
      percentiles("", forward(models.float32(), x), "base, float32");
      percentiles("defended_", forward(models.defended(), x), "defended, float32");
      percentiles("bfloat16_", forward(models.bfloat16(), x), "base, bfloat16");
    }
  }

  private void percentiles(String prefix, Runnable call, String label) {
    Latency latency = Latency.measure(call, settings.latencyCalls(), settings.budgetSeconds());
    String key = "latency_b1_" + prefix;
    put(key + "p50_ms", latency.p50Nanos() / 1e6, "ms", label + ", median");
    put(key + "p99_ms", latency.p99Nanos() / 1e6, "ms", label + ", 99th percentile");
    put(key + "p99_9_ms", latency.p999Nanos() / 1e6, "ms", label + ", 99.9th percentile");
    put(key + "max_ms", latency.maxNanos() / 1e6, "ms", label + ", slowest");
    put(key + "p99_9_over_p50", latency.tail(), "", label + ", 99.9th percentile / median");
    put(key + "calls", latency.calls(), "", label + ", calls measured");
  }

  /** Pairs at batch 1, so that each keeps its weights in the caches; all in turns else. */
  private void ratios(int batch) {
    listener.group("Ratios at batch " + batch + ", in turns, medians");
    String b = "_b" + batch;
    try (PointerScope scope = new PointerScope()) {
      Tensor x = models.images(batch);
      List<Runnable> works =
          List.of(
              forward(models.float32(), x),
              forward(models.defended(), x),
              forward(models.smoothed(), x),
              forward(models.smoothedBfloat16(), x),
              forward(models.bfloat16(), x),
              forward(models.eager(), x),
              forward(models.high(), x),
              forward(models.smoothedHigh(), x),
              forward(models.smoothedMedium(), x));
      double[] ratios = new double[works.size()];
      double[] seconds = new double[works.size()];
      if (batch == 1) {
        for (int i = 1; i < works.size(); i++) {
          InterleavedTimes pair = measure(List.of(works.get(0), works.get(i)));
          ratios[i] = pair.ratio(1, 0);
          seconds[0] = pair.median(0);
          seconds[i] = pair.median(1);
        }
      } else {
        InterleavedTimes times = measure(works);
        for (int i = 0; i < works.size(); i++) {
          ratios[i] = times.ratio(i, 0);
          seconds[i] = times.median(i);
        }
      }
      put("latency" + b + "_float32_ms", seconds[0] * MS, "ms", "base, float32");
      put("latency" + b + "_float32_high_ms", seconds[6] * MS, "ms", "base, float32 at high");
      put("latency" + b + "_bfloat16_ms", seconds[4] * MS, "ms", "base, bfloat16");
      put("latency" + b + "_eager_ms", seconds[5] * MS, "ms", "libtorch eager, float32");
      put("ratio_defended" + b, ratios[1], "", "defended / base");
      put("ratio_smoothed" + b, ratios[2], "", "smoothed (n = 1) / base");
      put("ratio_smoothed_high" + b, ratios[7], "", "smoothed, pseudo-labels at high / base");
      put("ratio_smoothed_medium" + b, ratios[8], "", "smoothed, pseudo-labels at medium / base");
      put("ratio_smoothed_bf16" + b, ratios[3], "", "smoothed, pseudo-labels in bfloat16 / base");
      put("speedup" + b + "_float32_vs_eager", ratios[5], "", "eager / base, float32");
      put(
          "speedup" + b + "_float32_high_vs_eager",
          ratios[5] / ratios[6],
          "",
          "eager / base, float32 at high");
      put(
          "speedup" + b + "_bfloat16_vs_eager",
          ratios[5] / ratios[4],
          "",
          "eager float32 / base, bfloat16");
    }
  }

  private InterleavedTimes measure(List<Runnable> works) {
    return InterleavedTimes.measure(works, settings.repetitions(), settings.budgetSeconds());
  }

  private void throughput() {
    listener.group("Throughput by batch");
    List<Integer> left = new ArrayList<>();
    double perImage = 0;
    for (int batch : settings.batches()) {
      if (perImage * batch * 4 > TOO_LONG * settings.budgetSeconds() && bestFloat32 > 0) {
        left.add(batch);
        continue;
      }
      try (PointerScope scope = new PointerScope()) {
        Tensor x = models.images(batch);
        InterleavedTimes times =
            measure(List.of(forward(models.float32(), x), forward(models.bfloat16(), x)));
        perImage = times.median(0) / batch;
        bestFloat32 = Math.max(bestFloat32, rate(batch, "float32", times.median(0)));
        bestBfloat16 = Math.max(bestBfloat16, rate(batch, "bfloat16", times.median(1)));
      }
    }
    if (!left.isEmpty()) {
      listener.fact("batches_left_out", left.toString(), "left out, as they would take too long");
    }
  }

  private double rate(int batch, String type, double seconds) {
    double gmacs = models.macs() / GIGA * batch / seconds;
    put(
        "throughput_b" + batch + "_" + type,
        batch / seconds,
        "images/s",
        "batch " + batch + ", " + type);
    put("gmacs_b" + batch + "_" + type, gmacs, "GMAC/s", "batch " + batch + ", " + type);
    return gmacs;
  }

  private void gradients(int batch) {
    listener.group("Forward pass and input gradient, batch " + batch + ", float32");
    String b = "_b" + batch;
    try (PointerScope scope = new PointerScope()) {
      Tensor x = models.images(batch);
      InterleavedTimes times =
          measure(
              List.of(
                  gradient(models.float32(), x),
                  gradient(models.eager(), x),
                  gradient(models.defended(), x)));
      put("gradient" + b + "_float32_ms", times.median(0) * MS, "ms", "base");
      put("gradient" + b + "_eager_ms", times.median(1) * MS, "ms", "libtorch eager");
      put("ratio_gradient_defended" + b, times.ratio(2, 0), "", "defended / base");
      put("speedup_gradient" + b + "_vs_eager", times.ratio(1, 0), "", "eager / base");
      if (batch == settings.gradientBatch()) {
        put("speedup_gradient_vs_eager", times.ratio(1, 0), "", "the same, by its short name");
      }
    }
  }

  private void shares() {
    listener.group("Share of the machine's measured peak, at the best batch");
    put("peak_float32_gmacs", peak(Unit.FLOAT32_FMA), "GMAC/s", Unit.FLOAT32_FMA.label());
    if (!Double.isNaN(peak(Unit.BFLOAT16_VECTOR))) {
      put(
          "peak_bfloat16_vector_gmacs",
          peak(Unit.BFLOAT16_VECTOR),
          "GMAC/s",
          Unit.BFLOAT16_VECTOR.label());
    }
    if (!Double.isNaN(peak(Unit.BFLOAT16_TILES))) {
      put(
          "peak_bfloat16_tiles_gmacs",
          peak(Unit.BFLOAT16_TILES),
          "GMAC/s",
          Unit.BFLOAT16_TILES.label());
    }
    put(
        "peak_share_float32",
        bestFloat32 / peak(Unit.FLOAT32_FMA),
        "",
        "float32, of the float32 FMA peak");
    boolean split = models.float32().engine().startsWith("native");
    if (split && !Double.isNaN(peak(Unit.BFLOAT16_TILES))) {
      put(
          "peak_share_float32_tiles",
          PARTS * bestFloat32 / peak(Unit.BFLOAT16_TILES),
          "",
          "float32 as six bfloat16 products, of the tiles' peak");
    }
    listener.fact("peak_unit_bfloat16", bfloat16Unit().label(), "unit that bfloat16 runs on");
    put(
        "peak_share_bfloat16",
        bestBfloat16 / peak(bfloat16Unit()),
        "",
        "bfloat16, of that unit's peak");
  }

  private void memory() {
    listener.group("Memory of the process, all forms of the model loaded");
    put("resident_mib", ProcessMemory.residentBytes() / MIB, "MiB", "resident now");
    put("resident_peak_mib", ProcessMemory.peakResidentBytes() / MIB, "MiB", "resident at most");
  }

  private void put(String key, double value, String unit, String label) {
    listener.figure(key, value, unit, label);
  }
}
