package io.github.igdefense.cli;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.AttackOptions;
import io.github.igdefense.attack.Attacks;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.evaluation.Analysis;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.RepeatedEvaluation;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.AnalysisReport;
import io.github.igdefense.report.Settings;
import io.github.igdefense.report.StudyReport;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd analyze}: how attacks change important and unimportant units (paper Fig. 2). */
@Command(
    name = "analyze",
    description =
        "Attack the model and compare how units important to the true class, to the class after the"
            + " attack, to others and to none change.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class AnalyzeCommand implements Callable<Integer> {
  @Mixin DataOptions data;
  @Mixin ModelOptions model;

  @Option(
      names = "--ranking",
      required = true,
      paramLabel = "DIR_OR_FILE",
      description = "Importance ranking that says which units matter to which class.")
  Path ranking;

  @Option(
      names = "--layer",
      paramLabel = "NAME",
      description = "Layer. Default: the penultimate one.")
  String layer;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Important units per class. Default: as --keep of igd eval (50).")
  Integer topK;

  @Option(
      names = "--attack",
      paramLabel = "NAME",
      defaultValue = "pgd",
      description = "Attack, as of igd attack. Default: ${DEFAULT-VALUE}.")
  String attack;

  @Option(
      names = "--eps",
      defaultValue = "8/255",
      paramLabel = "E",
      description = "L-infinity radius for pixels in [0,1]. Default: ${DEFAULT-VALUE}.")
  String epsilon;

  @Option(
      names = "--steps",
      paramLabel = "N",
      defaultValue = "50",
      description = "Iterations of the attack. Default: ${DEFAULT-VALUE}.")
  int steps;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Writes DIR/result.json and DIR/report.html.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    Values.outputFolder(out);
    Epsilon radius = Epsilon.parse(epsilon);
    Attack chosen =
        Attacks.byName(
            attack, Norm.LINF, radius, Values.positive("--steps", steps), AttackOptions.DEFAULT);
    Reporting reporting = new Reporting("analyze", model, data, output);
    try (StagedNetwork network = model.open();
        ImageSet images = data.open(output).withClassCount(network.classCount())) {
      network.notes().forEach(output::note);
      DefenseOptions defense = new DefenseOptions();
      defense.ranking = ranking;
      defense.layer = layer;
      defense.keep = topK;
      MaskableLayer target = defense.layer(network);
      int k = defense.keep(target, "--top-k");
      Ranking read = defense.ranking(network);
      defense.warnOfOtherModel(read, network, output);
      Analysis analysis;
      try (Reporting.Bars bars = reporting.bars()) {
        analysis =
            Analysis.run(
                network,
                read,
                k,
                images,
                chosen,
                new Evaluation.Settings(
                    model.compute.batchSize, model.compute.seed, RepeatedEvaluation.DEFAULT),
                bars);
      }
      String method = read.provenance().method();
      StudyReport.Builder report =
          reporting
              .study(network, images, ranking.toString(), defense.rankingSha256())
              .title("How attacks change the units of " + target.name())
              .settings(
                  new Settings(
                      Norm.LINF.toString(),
                      radius.value(),
                      epsilon,
                      method,
                      null,
                      null,
                      null,
                      null,
                      model.compute.batchSize,
                      Map.of("Layer", target.name() + ", " + k + " important units per class")));
      AnalysisReport.add(report, analysis);
      reporting.write(out, report);
      return 0;
    }
  }
}
