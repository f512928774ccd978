package io.github.igdefense.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.attack.LogitLosses;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.model.EagerNetwork;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.BenchmarkText;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.PeakRate;
import io.github.igdefense.tensor.ProcessMemory;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.HdrHistogram.Histogram;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Measuring itself: what is measured is the right work, and its figures are figures. */
class BenchmarkTest {
  @Test
  void allFiguresThatArePromisedAreThereAndFinite() {
    List<String> lines = new ArrayList<>();
    BenchmarkText table = new BenchmarkText(lines::add);
    try (BenchmarkModels models = new BenchmarkModels("wrn-10-1", null, 1, units -> units / 2)) {
      new Benchmark(models, new BenchmarkSettings(4, List.of(1, 4), 2, 3, 0.02, 20), table).run();
    }
    Map<String, Object> figures = table.figures();
    assertThat(figures)
        .containsKeys(
            "ratio_defended_b1",
            "ratio_defended_b4",
            "ratio_smoothed_b1",
            "ratio_smoothed_b4",
            "ratio_smoothed_bf16_b1",
            "ratio_smoothed_bf16_b4",
            "latency_b1_float32_ms",
            "latency_b1_bfloat16_ms",
            "speedup_b1_float32_vs_eager",
            "speedup_b1_bfloat16_vs_eager",
            "speedup_b4_float32_vs_eager",
            "peak_share_float32",
            "peak_share_bfloat16",
            "speedup_gradient_vs_eager",
            "latency_b1_p50_ms",
            "latency_b1_p99_ms",
            "latency_b1_p99_9_ms",
            "latency_b1_p99_9_over_p50",
            "throughput_b4_float32",
            "gmacs_b4_bfloat16",
            "resident_mib",
            "engine_float32",
            "peak_unit_bfloat16");
    figures.forEach(
        (key, value) -> {
          if (value instanceof Double number) {
            assertThat(number).as(key).isFinite().isPositive();
          } else {
            assertThat(value).as(key).asString().isNotBlank();
          }
        });
    double perSecond = (Double) figures.get("throughput_b4_float32");
    assertThat((Double) figures.get("gmacs_b4_float32"))
        .isCloseTo(perSecond * (Double) figures.get("gmac_per_image"), within(1e-9 * perSecond));
    assertThat((Double) figures.get("latency_b1_p99_9_over_p50")).isGreaterThanOrEqualTo(1);
    assertThat((Double) figures.get("resident_peak_mib"))
        .isGreaterThanOrEqualTo((Double) figures.get("resident_mib"));
    assertThat(lines).anyMatch(line -> line.contains("defended / base"));
    assertThat(lines).anyMatch(line -> line.contains("batch 4") && line.contains("GMAC/s"));
  }

  /** Of a known sample: 1,000 calls of 1 to 1,000 µs. */
  @Test
  void percentilesAreThoseOfTheSample() {
    Histogram histogram = new Histogram(3);
    for (int i = 1; i <= 1000; i++) {
      histogram.recordValue(i * 1000L);
    }
    Latency latency = Latency.of(histogram);
    assertThat(latency.calls()).isEqualTo(1000);
    assertThat(latency.p50Nanos()).isCloseTo(500_000, within(1000L));
    assertThat(latency.p99Nanos()).isCloseTo(990_000, within(1500L));
    assertThat(latency.p999Nanos()).isCloseTo(999_000, within(1500L));
    assertThat(latency.maxNanos()).isCloseTo(1_000_000, within(1500L));
    assertThat(latency.tail()).isCloseTo(1.998, within(0.01));
  }

  @Test
  void latencyCountsEveryCallButTheWarmUp() {
    int[] calls = {0};
    Latency latency = Latency.measure(() -> calls[0]++, 50, 60);
    assertThat(latency.calls()).isEqualTo(50);
    assertThat(calls[0]).isGreaterThan(50);
    assertThat(latency.p50Nanos()).isPositive().isLessThanOrEqualTo(latency.p99Nanos());
    assertThat(latency.p99Nanos()).isLessThanOrEqualTo(latency.p999Nanos());
    assertThat(latency.p999Nanos()).isLessThanOrEqualTo(latency.maxNanos());
    assertThat(Latency.measure(() -> calls[0]++, 1000, 0).calls())
        .as("twenty calls, though there is no time")
        .isEqualTo(20);
  }

  @Test
  void turnsAreEvenAndRotate() {
    List<Integer> order = new ArrayList<>();
    List<Runnable> works = List.of(() -> order.add(0), () -> order.add(1), () -> order.add(2));
    InterleavedTimes times = InterleavedTimes.measure(works, 4, 60);
    assertThat(times.rounds()).isEqualTo(4);
    assertThat(order.subList(order.size() - 12, order.size()))
        .containsExactly(0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 1, 2);
    assertThat(times.ratio(1, 1)).isEqualTo(1);
    assertThat(times.median(2)).isPositive();
    assertThat(InterleavedTimes.measure(works, 100, 0).rounds()).isEqualTo(3);
    assertThatThrownBy(() -> InterleavedTimes.measure(works, 2, 1))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("at least 3");
  }

  @Test
  void everyUnitHasAPeakOrIsMissing() {
    double float32 = PeakRate.measure(PeakRate.Unit.FLOAT32_FMA, 0.05);
    double tiles = PeakRate.measure(PeakRate.Unit.BFLOAT16_TILES, 0.05);
    assertThat(float32).isFinite().isGreaterThan(1e6);
    // Tiles multiply 8,192 pairs in 16 cycles, vectors at most 64 in one.
    assertThat(Double.isNaN(tiles) || tiles > float32).isTrue();
    double vectors = PeakRate.measure(PeakRate.Unit.BFLOAT16_VECTOR, 0.05);
    assertThat(Double.isNaN(vectors) || vectors > 1e6).isTrue();
    for (PeakRate.Unit unit : PeakRate.Unit.values()) {
      assertThat(unit.label()).isNotBlank();
    }
    assertThatThrownBy(() -> PeakRate.measure(PeakRate.Unit.FLOAT32_FMA, 0))
        .hasMessageContaining("seconds");
  }

  /** The eager network computes the same function: all blocks there are, and gradients. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "rn18",
        "wrn-10-1",
        "preact-rn18",
        "dm-wrn-10-1",
        "dm-preact-rn18-relu",
        "imagenet-rn50"
      })
  void theEagerNetworkIsTheSameFunction(String architecture) {
    boolean large = architecture.startsWith("imagenet");
    int width = architecture.contains("wrn") ? 0 : 8;
    try (StagedNetwork network = Networks.random(architecture, 3, width, 7, 3, Dtype.FLOAT32);
        EagerNetwork eager = EagerNetwork.random(architecture, 3, width, 7, 3, Dtype.FLOAT32);
        PointerScope scope = new PointerScope();
        Rng rng = new Rng(4)) {
      assertThat(eager.classCount()).isEqualTo(7);
      assertThat(eager.description().macs()).isPositive();
      int size = large ? 64 : network.imageSize();
      Tensor x = rng.uniform(Dtype.FLOAT32, 2, 3, size, size);
      assertThat(distance(network.logits(x), eager.logits(x))).isLessThan(1e-4);
      Tensor labels = Tensors.of(new long[] {0, 5}, 2);
      LossGradient ours = network.lossGradient(x, LogitLosses.crossEntropy(labels));
      LossGradient theirs = eager.lossGradient(x, LogitLosses.crossEntropy(labels));
      assertThat(distance(ours.gradient(), theirs.gradient())).isLessThan(1e-3);
    }
  }

  @Test
  void theEagerNetworkReadsCheckpointsAndCloses() {
    String shipped = Networks.EMBEDDED + "cifar10";
    try (StagedNetwork network = Networks.open("rn18", shipped, Dtype.FLOAT32);
        EagerNetwork eager = EagerNetwork.open("rn18", shipped, Dtype.FLOAT32);
        PointerScope scope = new PointerScope();
        Rng rng = new Rng(4)) {
      Tensor x =
          rng.uniform(
              Dtype.FLOAT32, 3, network.inputChannels(), network.imageSize(), network.imageSize());
      assertThat(distance(network.logits(x), eager.logits(x))).isLessThan(1e-4);
      eager.close();
      assertThatThrownBy(() -> eager.logits(x))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed");
    }
  }

  /** A short soak: counts, samples, and memory that is read. */
  @Test
  void theSoakSamplesMemoryAfterEveryPart() {
    List<String> told = new ArrayList<>();
    try (BenchmarkModels models = new BenchmarkModels("wrn-10-1", null, 1, units -> units / 2);
        PointerScope scope = new PointerScope()) {
      List<SoakBenchmark> results =
          List.of(
              SoakBenchmark.inferences(
                  List.of(models.float32(), models.smoothed()), models.images(1), 100, told::add),
              SoakBenchmark.attackSteps(models.smoothed(), models.images(2), 100, told::add));
      assertThat(results)
          .extracting(SoakBenchmark::what)
          .containsExactly("inferences", "attack steps");
      for (SoakBenchmark result : results) {
        assertThat(result.residentMib()).hasSize(21).allMatch(mib -> mib > 50);
        assertThat(result.seconds()).isPositive();
        assertThat(result.spread()).isGreaterThanOrEqualTo(0).isFinite();
        assertThat(result.figures())
            .containsKey("soak_" + result.what().replace(' ', '_') + "_growth");
        assertThat(result.toString()).contains(result.what());
      }
      assertThat(told).hasSize(40);
      assertThatThrownBy(() -> SoakBenchmark.of(models, 50, told::add))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("at least 100 inferences");
    }
  }

  @Test
  void aLeakShowsAsGrowth() {
    List<Tensor> held = new ArrayList<>();
    try {
      SoakBenchmark result =
          SoakBenchmark.run(
              "things",
              100,
              5,
              count -> {
                float[] mebibytes = new float[(int) count << 18];
                Arrays.fill(mebibytes, 1);
                try (PointerScope scope = new PointerScope()) {
                  held.add(Tensors.keep(Tensors.of(mebibytes, mebibytes.length)));
                }
              },
              text -> {});
      assertThat(held).hasSize(21);
      double first = result.residentMib().get(0);
      assertThat(result.growth()).isGreaterThan(80 / first);
      assertThat(result.spread()).isGreaterThanOrEqualTo(result.growth());
    } finally {
      held.forEach(Tensors::free);
    }
  }

  @Test
  void requestsAreTimedOrRefused() {
    try (BenchmarkModels models = new BenchmarkModels("wrn-10-1", null, 1, units -> units / 2);
        PointerScope scope = new PointerScope()) {
      RequestedWork work = new RequestedWork(models);
      for (String known :
          List.of("forward", "bfloat16", "eager", "defended", "smoothed", "smoothed-bf16", "gradient")) {
        assertThat(Arrays.stream(work.times(known + " 2 3")).boxed().toList())
            .as(known)
            .hasSize(3)
            .allMatch(s -> s > 0);
      }
      for (String bad :
          List.of("", "forward", "forward 1", "backward 1 1", "forward 0 1", "forward 1 0", "forward x 1", "forward 99999 1")) {
        assertThatThrownBy(() -> work.times(bad)).as(bad).isInstanceOf(InputException.class);
      }
    }
  }

  @Test
  void memoryIsRead() {
    NativeRuntime.load();
    assertThat(ProcessMemory.residentBytes()).isBetween(1L << 24, 1L << 44);
    assertThat(ProcessMemory.peakResidentBytes())
        .isGreaterThanOrEqualTo(ProcessMemory.residentBytes() / 2);
  }

  @Test
  void settingsAreChecked() {
    assertThatThrownBy(() -> BenchmarkSettings.quick(4, 2)).hasMessageContaining("--repetitions");
    assertThatThrownBy(() -> BenchmarkSettings.full(4, List.of(1, 0), 3))
        .isInstanceOf(InputException.class);
    assertThat(BenchmarkSettings.full(64, List.of(8, 1, 8), 3).batches()).containsExactly(1, 8);
  }

  private static double distance(Tensor a, Tensor b) {
    double[] x = Tensors.toDoubles(a);
    double[] y = Tensors.toDoubles(b);
    assertThat(y).hasSameSizeAs(x);
    double difference = 0;
    double size = 0;
    for (int i = 0; i < x.length; i++) {
      difference += (x[i] - y[i]) * (x[i] - y[i]);
      size += x[i] * x[i];
    }
    return Math.sqrt(difference / size);
  }
}
