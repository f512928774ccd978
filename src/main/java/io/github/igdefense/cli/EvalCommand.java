package io.github.igdefense.cli;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.RepeatedEvaluation;
import io.github.igdefense.evaluation.Timing;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.ConsoleTable;
import io.github.igdefense.report.HtmlReport;
import io.github.igdefense.report.ResultJson;
import io.github.igdefense.report.RunReport;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code igd eval}: clean, per-attack and worst-case accuracy of the base and the defended model.
 */
@Command(
    name = "eval",
    description = {
      "Attack the model; with --ranking also the defended model, directly and by transfer from the"
          + " base.",
      "An image counts for the worst case only if it survives everything."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class EvalCommand implements Callable<Integer> {
  @Mixin DataOptions data;
  @Mixin ModelOptions model;
  @Mixin DefenseOptions defense;

  @Option(
      names = "--attack",
      paramLabel = "LIST",
      defaultValue = "apgd-ce,apgd-t",
      description =
          "Attacks, separated by commas: fgsm, pgd, apgd-ce, apgd-dlr, apgd-cw, apgd-t, fab, fab-t,"
              + " square, gama-pgd, rays. Default: ${DEFAULT-VALUE}.")
  String attack;

  @Mixin AttackListOptions attackOptions;

  @Option(
      names = "--evaluations",
      paramLabel = "R",
      defaultValue = "5",
      description =
          "Evaluations of a smoothed model, odd; their majority decides. Default:"
              + " ${DEFAULT-VALUE}.")
  int evaluations;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Writes DIR/result.json and DIR/report.html.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    boolean defended = defense.enabled();
    Values.outputFolder(out);
    List<Attack> attacks = attackOptions.make(attack);
    if (attacks.stream().map(Attack::name).distinct().count() < attacks.size()) {
      throw new InputException("expected every attack once, got '" + attack + "'");
    }
    Evaluation.Settings settings =
        new Evaluation.Settings(
            model.compute.batchSize,
            model.compute.seed,
            new RepeatedEvaluation(evaluations),
            attackOptions.order());
    Reporting reporting = new Reporting("eval", model, data, output);
    try (StagedNetwork network = model.open();
        ImageSet images = data.open(output).withClassCount(network.classCount());
        Rng noise = new Rng(model.compute.seed);
        IgDefense defendedModel = defended ? defense.open(network, noise, output) : null) {
      network.notes().forEach(output::note);
      Comparison comparison;
      try (Reporting.Bars bars = reporting.bars()) {
        comparison =
            new Comparison(network, "Base model", images, attacks, settings, defended, bars);
        if (defended) {
          comparison.add("ig-defense", "IG-Defense", defendedModel);
        }
      }
      List<Timing> timings =
          comparison.timings(Math.min(images.size(), model.compute.batchSize), 11);
      Ranking ranking = defended ? defense.ranking(network) : null;
      RunReport report =
          reporting.comparison(
              "Adversarial robustness of " + network.architecture(),
              network,
              comparison,
              timings,
              reporting.settings(
                  attackOptions,
                  defended ? defendedModel : network,
                  defended && !defendedModel.deterministic() ? evaluations : null),
              ranking,
              defended ? defendedModel.masks().keep() : 0,
              defended ? defense.ranking.toString() : null,
              defense.rankingSha256());
      ResultJson.write(out.resolve("result.json"), report);
      HtmlReport.write(out.resolve("report.html"), report);
      output.result(ConsoleTable.text(report));
      output.note("report: " + out.resolve("report.html"));
      reporting.printJson(report);
      return 0;
    }
  }
}
