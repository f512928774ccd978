package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.evaluation.ConceptScoringBenchmark;
import io.github.igdefense.evaluation.Timing;
import io.github.igdefense.importance.LeaveOneOutBench;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.CpuTopology;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.FusedOps;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code igd bench}: latency of base and defended model, and the cost of ranking, as ratios in one
 * run.
 */
@Command(
    name = "bench",
    description = "Measure base and defended latency and the cost of LO-IR, as ratios in one run.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class BenchCommand implements Callable<Integer> {
  private static final int CLASSES = 10;

  /** Of LO-IR: each takes seconds. */
  private static final int MOST_REPETITIONS = 5;

  @Option(
      names = "--checkpoint",
      paramLabel = "FILE",
      description = "Weights. Default: random weights of the published width.")
  String checkpoint;

  @Option(
      names = "--arch",
      paramLabel = "NAME",
      defaultValue = "rn18",
      description = "Architecture, such as rn18 or wrn-34-10. Default: ${DEFAULT-VALUE}.")
  String arch;

  @Option(
      names = "--repetitions",
      paramLabel = "N",
      defaultValue = "41",
      description =
          "Interleaved pairs of calls per figure; medians are printed. Default: ${DEFAULT-VALUE}.")
  int repetitions;

  @Option(
      names = "--loir",
      description =
          "Measure LO-IR instead: at the penultimate layer and at --layer, in float32 and bfloat16,"
              + " against one mask at a time.")
  boolean loir;

  @Option(
      names = "--layer",
      paramLabel = "NAME",
      description = "With --loir: an interior layer. Default: the last but one.")
  String layer;

  @Option(
      names = "--images",
      paramLabel = "N",
      defaultValue = "64",
      description = "With --loir: images of the batch. Default: ${DEFAULT-VALUE}.")
  int images;

  @Option(
      names = "--units",
      paramLabel = "N",
      defaultValue = "16",
      description =
          "With --loir: units left out, evenly spaced; costs are per unit."
              + " Default: ${DEFAULT-VALUE}.")
  int units;

  @Option(
      names = "--cdir",
      description =
          "Instead: CD-IR's scoring of 2,048 units, 1,000 classes and 10,000 images against a plain"
              + " libtorch loop.")
  boolean cdir;

  @Mixin ComputeOptions compute;
  @Mixin Output output;

  private final Map<String, Object> figures = new LinkedHashMap<>();

  @Override
  public Integer call() {
    if (repetitions < 3) {
      throw new InputException("expected --repetitions of at least 3, got " + repetitions);
    }
    compute.apply();
    if (cdir) {
      return conceptScoring();
    }
    figures.put("arch", arch);
    figures.put("checkpoint", checkpoint == null ? "random weights, published width" : checkpoint);
    figures.put("cpu", CpuTopology.modelName());
    figures.put("threads", NativeRuntime.threads());
    figures.put("repetitions", repetitions);
    if (loir) {
      leaveOneOut();
      output.json(figures);
      return 0;
    }
    try (StagedNetwork network =
            checkpoint == null
                ? Networks.random(arch, 3, 0, CLASSES, compute.seed, Dtype.FLOAT32)
                : Networks.open(arch, checkpoint, Dtype.FLOAT32);
        Rng noise = new Rng(compute.seed)) {
      MaskableLayer layer = network.penultimate();
      ClassMasks masks =
          ClassMasks.random(
              layer.name(),
              network.classCount(),
              layer.units(),
              DefenseOptions.defaultKeep(layer.units()),
              compute.seed);
      try (IgDefense plain =
              new IgDefense(network, masks, IgDefense.DEFAULT_TEMPERATURE, Smoothing.NONE, null);
          IgDefense smoothed =
              new IgDefense(
                  network,
                  masks,
                  IgDefense.DEFAULT_TEMPERATURE,
                  new Smoothing(4 / 255.0, 1),
                  NoiseSource.fresh(noise))) {
        for (int batch : new int[] {1, compute.batchSize}) {
          defended(network, plain, smoothed, batch);
        }
        ranking(network, layer, compute.batchSize);
      }
    }
    output.json(figures);
    return 0;
  }

  private StagedNetwork open(Dtype dtype) {
    return checkpoint == null
        ? Networks.random(arch, 3, 0, CLASSES, compute.seed, dtype)
        : Networks.open(arch, checkpoint, dtype);
  }

  private void leaveOneOut() {
    Values.positive("--images", images);
    Values.positive("--units", units);
    try (StagedNetwork network = open(Dtype.FLOAT32);
        StagedNetwork half = open(Dtype.BFLOAT16)) {
      if (network.layers().size() < 2) {
        throw new InputException("expected an interior layer, " + arch + " has none");
      }
      MaskableLayer target =
          network.layer(
              layer != null ? layer : network.layers().get(network.layers().size() - 2).name());
      if (target.penultimate()) {
        throw new InputException(
            "expected an interior layer as --layer, got the penultimate one, which is measured"
                + " anyway");
      }
      figures.put("layer", target.name());
      figures.put("images", images);
      figures.put("units", units);
      if (checkpoint == null) {
        figures.putAll(LeaveOneOutBench.floors(Networks.describe(arch, 3, 0, CLASSES), target));
      }
      try (LeaveOneOutBench bench =
          new LeaveOneOutBench(network, target, images, units, compute.seed)) {
        figures.putAll(bench.run(half, Math.min(repetitions, MOST_REPETITIONS)));
      }
      figures.forEach((name, value) -> output.result(String.format("%-28s %s", name, value)));
    }
  }

  private int conceptScoring() {
    int pairs = Math.min(repetitions, 11);
    figures.put("cpu", CpuTopology.modelName());
    figures.put("threads", NativeRuntime.threads());
    figures.put("repetitions", pairs);
    ConceptScoringBenchmark result =
        ConceptScoringBenchmark.run(2048, 1000, 10_000, pairs, compute.seed);
    put("cdir_loop_ms", result.loopSeconds() * 1e3, "soft_wpmi by libtorch's operations, ms");
    put("cdir_kernel_ms", result.kernelSeconds() * 1e3, "soft_wpmi by our kernels, ms");
    put("ratio_cdir", result.ratio(), "libtorch / ours");
    put("cdir_max_difference", result.maxDifference(), "largest difference of a score");
    put("cdir_read_ms", result.readSeconds() * 1e3, "floor: reading the input once, ms");
    put(
        "cdir_products",
        result.products() / 1e6,
        "floor: multiply-adds, and multiplications, 10^6");
    output.json(figures);
    return 0;
  }

  private Tensor images(StagedNetwork network, int batch) {
    try (Rng rng = new Rng(compute.seed)) {
      return rng.uniform(
          network.dtype(),
          batch,
          network.inputChannels(),
          network.imageSize(),
          network.imageSize());
    }
  }

  private void defended(StagedNetwork network, IgDefense plain, IgDefense smoothed, int batch) {
    try (PointerScope scope = new PointerScope()) {
      Tensor x = images(network, batch);
      int pairs = batch == 1 ? repetitions * 5 : repetitions;
      Timing base = Timing.of(network, x, pairs);
      Timing withDefense = Timing.compare(plain, network, x, pairs);
      Timing withSmoothing = Timing.compare(smoothed, network, x, pairs);
      put(
          "latency_b" + batch + "_float32_ms",
          base.medianSeconds() * 1e3,
          "base, batch " + batch + ", ms");
      put("ratio_defended_b" + batch, withDefense.ratio(), "defended / base, batch " + batch);
      put(
          "ratio_smoothed_b" + batch,
          withSmoothing.ratio(),
          "smoothed (n=1) / base, batch " + batch);
    }
  }

  /**
   * One batch through LO-IR (prefix and kernel) against one plain forward pass of it, interleaved.
   */
  private void ranking(StagedNetwork network, MaskableLayer layer, int batch) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor x = images(network, batch);
      long[] classes = new long[batch];
      Arrays.setAll(classes, i -> i % network.classCount());
      Tensor labels = Tensors.of(classes, batch);
      Tensor sums =
          torch.zeros(
              new long[] {network.classCount(), layer.units()}, Tensors.options(ScalarType.Double));
      Tensor counts =
          torch.zeros(new long[] {network.classCount()}, Tensors.options(ScalarType.Long));
      double[] ratios = new double[repetitions];
      double[] kernel = new double[repetitions];
      for (int i = -3; i < repetitions; i++) {
        long start = System.nanoTime();
        try (PointerScope inner = new PointerScope()) {
          network.logits(x);
        }
        long middle = System.nanoTime();
        try (PointerScope inner = new PointerScope()) {
          Tensor activation = network.prefix(x, layer);
          long before = System.nanoTime();
          FusedOps.looPenultimateAccumulate(activation, labels, false, sums, counts);
          if (i >= 0) {
            kernel[i] = (System.nanoTime() - before) / 1e3;
          }
        }
        if (i >= 0) {
          ratios[i] = (double) (System.nanoTime() - middle) / (middle - start);
        }
      }
      Arrays.sort(ratios);
      Arrays.sort(kernel);
      put(
          "ratio_loir_penultimate",
          ratios[repetitions / 2],
          "LO-IR of " + layer.name() + " / plain forward, batch " + batch);
      put("loir_kernel_us", kernel[repetitions / 2], "its kernel alone, microseconds a batch");
    }
  }

  private void put(String key, double value, String label) {
    figures.put(key, value);
    output.result(String.format(Locale.ROOT, "%-44s %10.3f", label, value));
  }
}
