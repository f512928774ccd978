package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.evaluation.Benchmark;
import io.github.igdefense.evaluation.BenchmarkModels;
import io.github.igdefense.evaluation.BenchmarkSettings;
import io.github.igdefense.evaluation.ConceptScoringBenchmark;
import io.github.igdefense.evaluation.PenultimateRankingBenchmark;
import io.github.igdefense.evaluation.RequestedWork;
import io.github.igdefense.evaluation.SoakBenchmark;
import io.github.igdefense.evaluation.Tuning;
import io.github.igdefense.evaluation.TuningCache;
import io.github.igdefense.importance.LeaveOneOutBench;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.BenchmarkText;
import io.github.igdefense.tensor.CpuTopology;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.NativeRuntime;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Scanner;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code igd bench}: latency, throughput, defended against base, against libtorch's eager mode, and
 * the cost of ranking, in one run.
 */
@Command(
    name = "bench",
    description = {
      "Measure latency, throughput, share of the machine's peak, input gradients, defended against"
          + " base model, and all of it against libtorch's eager mode, in one run.",
      "docs/benchmarks.md explains every figure."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class BenchCommand implements Callable<Integer> {
  /** For the soak: small, and every kind of layer in it. */
  private static final String SMALL = "wrn-10-1";

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
      description =
          "Architecture, such as rn18, wrn-34-10 or imagenet-rn50. Default: ${DEFAULT-VALUE}.")
  String arch;

  @Option(
      names = "--repetitions",
      paramLabel = "N",
      defaultValue = "41",
      description =
          "Rounds per figure at most, in turns; medians are printed. Default: ${DEFAULT-VALUE}.")
  int repetitions;

  @Option(
      names = "--quick",
      description = "A first look in about half a minute: fewer rounds, two batch sizes.")
  boolean quick;

  @Option(
      names = "--batches",
      paramLabel = "LIST",
      split = ",",
      description =
          "Batch sizes of the throughput table, separated by commas. Default:"
              + " 1,2,4,8,16,32,64,128.")
  List<Integer> batches = new ArrayList<>();

  @Option(
      names = "--tune",
      description =
          "Instead: find the fastest batch size and split of threads for this model on this"
              + " machine, and keep them in the user's cache folder.")
  boolean tune;

  @Option(
      names = "--dtype",
      paramLabel = "NAME",
      defaultValue = "float32",
      converter = ModelOptions.DtypeConverter.class,
      description = "With --tune: arithmetic. Default: ${DEFAULT-VALUE}.")
  Dtype dtype;

  @Option(
      names = "--float32-precision",
      paramLabel = "NAME",
      defaultValue = "highest",
      converter = ModelOptions.PrecisionConverter.class,
      description =
          "With --tune: precision of float32, highest or high. Default: ${DEFAULT-VALUE}.")
  Float32Precision precision;

  @Option(
      names = "--soak",
      paramLabel = "N",
      description =
          "Instead: resident memory over N inferences of one image and N/100 attack steps on a"
              + " small network; use scripts/soak.sh.")
  Long soak;

  @Option(names = "--on-request", hidden = true)
  boolean onRequest;

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
    if (Stream.of(loir, cdir, tune, soak != null, onRequest).filter(on -> on).count() > 1) {
      throw new InputException("expected one of --loir, --cdir, --tune and --soak, got several");
    }
    batches.forEach(batch -> Values.positive("--batches", batch));
    if (dtype != Dtype.FLOAT32 && !tune) {
      throw new InputException(
          "--dtype needs --tune; the benchmark itself measures float32 and bfloat16");
    }
    if (precision != Float32Precision.HIGHEST && !tune) {
      throw new InputException(
          "--float32-precision needs --tune; the benchmark itself measures all precisions");
    }
    ModelOptions.check(dtype, precision);
    compute.apply();
    if (cdir) {
      return conceptScoring();
    }
    figures.put("arch", arch);
    figures.put("checkpoint", checkpoint == null ? "random weights, published width" : checkpoint);
    figures.put("cpu", CpuTopology.modelName());
    figures.put("threads", NativeRuntime.threads());
    figures.put("repetitions", repetitions);
    if (onRequest) {
      serve();
      return 0;
    }
    if (loir) {
      leaveOneOut();
    } else if (tune) {
      tune();
    } else if (soak != null) {
      soak();
    } else {
      measure();
    }
    output.json(figures);
    return 0;
  }

  private BenchmarkModels models() {
    return new BenchmarkModels(arch, checkpoint, compute.seed, DefenseOptions::defaultKeep);
  }

  private void measure() {
    BenchmarkText table = new BenchmarkText(output::result);
    BenchmarkSettings settings =
        quick
            ? BenchmarkSettings.quick(compute.batchSize, repetitions)
            : BenchmarkSettings.full(
                compute.batchSize,
                batches.isEmpty() ? BenchmarkSettings.BATCHES : batches,
                repetitions);
    figures.put("quick", quick);
    try (BenchmarkModels models = models();
        PointerScope scope = new PointerScope()) {
      output.result(
          arch
              + ", "
              + figures.get("checkpoint")
              + ", "
              + figures.get("threads")
              + " threads, "
              + figures.get("cpu"));
      new Benchmark(models, settings, table).run();
      PenultimateRankingBenchmark ranking =
          PenultimateRankingBenchmark.run(
              models.float32(),
              models.images(compute.batchSize),
              repetitions,
              settings.budgetSeconds());
      table.group("LO-IR of the penultimate layer, batch " + compute.batchSize);
      table.figure("ratio_loir_penultimate", ranking.ratio(), "", "LO-IR / plain forward pass");
      table.figure(
          "loir_kernel_us",
          ranking.kernelSeconds() * 1e6,
          "us",
          "its kernel alone, of ready activations");
    }
    figures.putAll(table.figures());
  }

  private void tune() {
    try (StagedNetwork opened = open(dtype);
        StagedNetwork coarse =
            precision == Float32Precision.HIGHEST ? null : opened.withFloat32Precision(precision)) {
      StagedNetwork network = coarse == null ? opened : coarse;
      Map<String, String> key = TuningCache.key(network);
      Tuning tuning = Tuning.measure(network, NativeRuntime.threads(), quick ? 1 : 6, output::note);
      Path file = TuningCache.ofUser().write(key, tuning);
      figures.put("dtype", dtype.toString());
      figures.put("float32_precision", network.float32Precision().toString());
      figures.put("tuning", tuning);
      figures.put("file", file.toString());
      output.result(
          String.format(
              Locale.ROOT,
              "batch %d with %d threads: %.4g images/s; one image at a time: %d callers with %d"
                  + " threads each, %.4g images/s; kept in %s",
              tuning.batchSize(),
              tuning.threads(),
              tuning.imagesPerSecond(),
              tuning.callers(),
              tuning.threadsPerCaller(),
              tuning.callersImagesPerSecond(),
              file));
    }
  }

  private void soak() {
    if (soak < SoakBenchmark.LEAST * SoakBenchmark.INFERENCES_PER_STEP) {
      throw new InputException(
          "expected --soak of at least "
              + SoakBenchmark.LEAST * SoakBenchmark.INFERENCES_PER_STEP
              + " inferences, got "
              + soak);
    }
    try (BenchmarkModels models =
            new BenchmarkModels(SMALL, null, compute.seed, DefenseOptions::defaultKeep);
        PointerScope scope = new PointerScope()) {
      figures.put("arch", SMALL);
      for (SoakBenchmark result : SoakBenchmark.of(models, soak, output::note)) {
        figures.putAll(result.figures());
        output.result(result.toString());
      }
    }
  }

  /** Answers each line of standard input with a line of JSON, until there are no more. */
  private void serve() {
    try (BenchmarkModels models = models();
        PointerScope scope = new PointerScope();
        Scanner requests = new Scanner(System.in, StandardCharsets.UTF_8)) {
      RequestedWork work = new RequestedWork(models);
      Output answers = new Output();
      answers.json = true;
      answers.json(figures);
      while (requests.hasNextLine()) {
        String request = requests.nextLine();
        answers.json(Map.of("request", request, "seconds", work.times(request)));
      }
    }
  }

  private StagedNetwork open(Dtype type) {
    return checkpoint == null
        ? Networks.random(arch, 3, 0, BenchmarkModels.classes(arch), compute.seed, type)
        : Networks.open(arch, checkpoint, type);
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
        figures.putAll(
            LeaveOneOutBench.floors(
                Networks.describe(arch, 3, 0, BenchmarkModels.classes(arch)), target));
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

  private void put(String key, double value, String label) {
    figures.put(key, value);
    output.result(String.format(Locale.ROOT, "%-44s %10.3f", label, value));
  }
}
