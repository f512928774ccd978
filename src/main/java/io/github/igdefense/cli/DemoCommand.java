package io.github.igdefense.cli;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.RepeatedEvaluation;
import io.github.igdefense.evaluation.Timing;
import io.github.igdefense.importance.LeaveOneOut;
import io.github.igdefense.importance.Normalization;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.ConsoleTable;
import io.github.igdefense.report.HtmlReport;
import io.github.igdefense.report.Protocol;
import io.github.igdefense.report.ResultJson;
import io.github.igdefense.report.RunReport;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code igd demo}: rank, defend, attack and report on the data and the model that travel in the
 * jar.
 */
@Command(
    name = "demo",
    description =
        "Rank neurons, defend, attack and report on the embedded Fashion-MNIST sample and its"
            + " model.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class DemoCommand implements Callable<Integer> {
  @Option(
      names = "--images",
      paramLabel = "N",
      defaultValue = "200",
      description = "Test images to attack. Default: ${DEFAULT-VALUE}.")
  int images;

  @Option(
      names = "--smoothing-sigma",
      paramLabel = "S",
      defaultValue = "0.05",
      converter = Values.Fraction.class,
      description =
          "Standard deviation of the smoothed defense's noise, for pixels in [0,1]."
              + " Default: ${DEFAULT-VALUE}.")
  double sigma;

  @Option(
      names = "--model",
      hidden = true,
      paramLabel = "SPEC",
      defaultValue = Networks.EMBEDDED + "fashion-mnist",
      description = "Another ResNet-18 for the embedded data.")
  String checkpoint;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "igd-demo",
      description =
          "Writes DIR/result.json, DIR/report.html and the ranking. Default: ${DEFAULT-VALUE}.")
  Path out;

  @Mixin AttackDefaults attackDefaults;
  @Mixin ComputeOptions compute;
  @Mixin Output output;

  /** The demo's threat model: fewer steps and targets than an evaluation. */
  static final class AttackDefaults {
    @Option(
        names = "--eps",
        defaultValue = "0.1",
        paramLabel = "E",
        description = "Radius (Linf) for pixels in [0,1]. Default: ${DEFAULT-VALUE}.")
    String epsilon;

    @Option(
        names = "--steps",
        paramLabel = "N",
        defaultValue = "30",
        description = "Iterations of an attack. Default: ${DEFAULT-VALUE}.")
    int steps;

    @Option(
        names = "--targets",
        paramLabel = "N",
        defaultValue = "3",
        description = "Target classes of apgd-t. Default: ${DEFAULT-VALUE}.")
    int targets;
  }

  @Override
  public Integer call() {
    Values.positive("--images", images);
    new Smoothing(sigma, 1);
    Values.outputFolder(out);
    compute.apply();
    ModelOptions model = new ModelOptions();
    model.arch = "rn18";
    model.checkpoint = checkpoint;
    model.dtype = Dtype.FLOAT32;
    model.compute = compute;
    DataOptions data = new DataOptions();
    data.data = "embedded:test";
    data.limit = images;
    AttackListOptions attackOptions = new AttackListOptions();
    attackOptions.norm = "Linf";
    attackOptions.epsilon = attackDefaults.epsilon;
    attackOptions.steps = attackDefaults.steps;
    attackOptions.restarts = 1;
    attackOptions.targets = attackDefaults.targets;
    attackOptions.eot = 1;
    List<Attack> attacks = attackOptions.make("apgd-ce,apgd-t");
    Reporting reporting = new Reporting("demo", model, data, output);
    try (StagedNetwork network = model.open();
        ImageSet train = ImageSets.open("embedded:train");
        ImageSet test = data.open(output)) {
      output.note(
          "1/3 ranking the units of "
              + network.penultimate().name()
              + " on "
              + train.size()
              + " images");
      long start = System.nanoTime();
      Ranking ranking;
      try (Output.Progress bar = output.progress("rank", train.size())) {
        ranking =
            new LeaveOneOut(
                    network,
                    network.penultimate(),
                    Normalization.CLASS_MEAN,
                    false,
                    compute.batchSize)
                .rank(train, bar::to);
      }
      Path file = RankingFiles.write(out.resolve("rankings"), model.stem(), ranking);
      output.note(
          String.format(Locale.ROOT, "    %.1f s: %s", (System.nanoTime() - start) / 1e9, file));
      int keep = DefenseOptions.defaultKeep(network.penultimate().units());
      ClassMasks masks = ClassMasks.of(ranking, keep);
      Evaluation.Settings settings =
          new Evaluation.Settings(compute.batchSize, compute.seed, RepeatedEvaluation.DEFAULT);
      output.note("2/3 attacking " + test.size() + " test images");
      try (Rng noise = new Rng(compute.seed);
          IgDefense plain =
              new IgDefense(network, masks, IgDefense.DEFAULT_TEMPERATURE, Smoothing.NONE, null);
          IgDefense smoothed =
              new IgDefense(
                  network,
                  masks,
                  IgDefense.DEFAULT_TEMPERATURE,
                  new Smoothing(sigma, 1),
                  NoiseSource.fresh(noise))) {
        Comparison comparison;
        try (Reporting.Bars bars = reporting.bars()) {
          comparison = new Comparison(network, "Base model", test, attacks, settings, true, bars);
          comparison.add("ig-defense", "IG-Defense", plain);
          comparison.add("ig-defense-smoothed", "IG-Defense, smoothed", smoothed);
        }
        output.note("3/3 measuring inference times and writing the report");
        List<Timing> timings = comparison.timings(Math.min(test.size(), compute.batchSize), 15);
        RunReport report =
            reporting.comparison(
                "IG-Defense on Fashion-MNIST",
                network,
                comparison,
                timings,
                reporting.settings(attackOptions, smoothed, settings.judge().repetitions(), null),
                Protocol.CUSTOM,
                ranking,
                keep,
                file.toString(),
                io.github.igdefense.data.Hashes.sha256(file));
        ResultJson.write(out.resolve("result.json"), report);
        HtmlReport.write(out.resolve("report.html"), report);
        output.result(ConsoleTable.text(report));
        output.result("report: " + out.resolve("report.html"));
        reporting.printJson(report);
      }
    }
    return 0;
  }
}
