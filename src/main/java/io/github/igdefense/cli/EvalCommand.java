package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.PseudoLabels;
import io.github.igdefense.evaluation.AttackRun;
import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.RunState;
import io.github.igdefense.evaluation.Timing;
import io.github.igdefense.evaluation.WorstCaseSuite;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.ConsoleTable;
import io.github.igdefense.report.HtmlReport;
import io.github.igdefense.report.ModelInfo;
import io.github.igdefense.report.Protocol;
import io.github.igdefense.report.ResultJson;
import io.github.igdefense.report.RunReport;
import io.github.igdefense.report.WorstCaseFiles;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code igd eval}: clean, per-attack and worst-case accuracy of the base and the defended models.
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
  @Mixin DefendedModels models;

  @Option(
      names = "--attack",
      paramLabel = "LIST",
      description =
          "Attacks, separated by commas: " + AttackPlans.NAMES + ". Default: apgd-ce,apgd-t.")
  String attack;

  @Option(
      names = "--cascade",
      description =
          "Run the attacks of --attack as one cascade: each sees the images still robust.")
  boolean cascade;

  @Option(
      names = "--individual",
      description = "Run the attacks of autoattack one by one, each on all images.")
  boolean individual;

  @Option(
      names = "--worst-case",
      description =
          "Run the nine attacks of the image-wise worst case instead of --attack, and write"
              + " DIR/worst_case.npz and .csv.")
  boolean worstCase;

  @Option(
      names = "--worst-case-preset",
      paramLabel = "NAME",
      defaultValue = "full",
      description =
          "full, or screening: the same attacks cut short, which supports no robustness claim."
              + " Default: ${DEFAULT-VALUE}.")
  WorstCaseSuite.Preset preset;

  @Mixin AttackListOptions attackOptions;
  @Mixin RunOptions run;

  @Option(
      names = "--per-image",
      description = "Write DIR/per_image.csv: every image under every attack.")
  boolean perImage;

  @Option(
      names = "--save-adversarial",
      description = "Write DIR/adversarial/<classifier>-<attack>.npz.")
  boolean saveAdversarial;

  @Option(
      names = "--model-info",
      paramLabel = "FILE",
      description = "Write a RobustBench record of the first defended model, else of the base.")
  Path modelInfo;

  @Option(
      names = "--info",
      paramLabel = "KEY=VALUE",
      description =
          "What that record should say: link, name, authors, additional_data, dataset, venue,"
              + " architecture, reported.")
  Map<String, String> info = new LinkedHashMap<>();

  @Mixin ComparisonOutput files;

  @Mixin Output output;

  private PseudoLabels agreement;

  @Override
  public Integer call() {
    boolean defended = defense.enabled();
    models.check(defense);
    check();
    Comparison.Plans plans = plans();
    Reporting reporting = new Reporting("eval", model, data, output);
    try (StagedNetwork network = model.open();
        StagedNetwork wide = model.openWide(network);
        ImageSet images = data.open(output).withClassCount(network.classCount());
        Rng noise = new Rng(model.compute.seed);
        StagedNetwork pseudo = defense.openPseudoLabels(model, network, models.smoothed(defense));
        Opened<IgDefense> opened = new Opened<>()) {
      // After the model: it may bring its batch size.
      Evaluation.Settings settings = run.settings(model, attackOptions);
      network.notes().forEach(output::note);
      agreement =
          defense.agreement(network, pseudo, models.noise(defense), images, model.compute, output);
      List<DefendedModels.Variant> variants =
          defended ? models.variants(defense, network, output) : List.of();
      Identity identity = new Identity(model, network, images, settings);
      Map<String, String> all = identity.with("plans", plans);
      for (DefendedModels.Variant variant : variants) {
        all.put("defense " + variant.name(), variant.identity(defense.temperature, pseudo));
      }
      RunState state = run.open(files.out, all, List.of(noise));
      RunState base = files.base(state, identity, defended);
      Comparison comparison;
      try (Reporting.Bars bars = reporting.bars()) {
        Comparison.States states = new Comparison.States(base, state);
        comparison =
            compare(
                new Networked(network, wide, pseudo),
                images,
                plans,
                settings,
                states,
                noise,
                bars,
                variants,
                opened);
      } catch (InputException e) {
        state.abandon();
        throw e;
      }
      RunReport report = report(reporting, network, comparison);
      write(report, comparison);
      run.finished(state);
      output.result(ConsoleTable.text(report));
      output.note("report: " + files.out.resolve("report.html"));
      reporting.printJson(report);
      return 0;
    }
  }

  /**
   * The model in its arithmetics.
   *
   * @param network as {@code --dtype} says
   * @param wide float32 at highest precision, which judges attacks in less; or null
   * @param pseudo of the smoothed pass; or null
   */
  private record Networked(StagedNetwork network, StagedNetwork wide, StagedNetwork pseudo) {}

  private Comparison compare(
      Networked networks,
      ImageSet images,
      Comparison.Plans plans,
      Evaluation.Settings settings,
      Comparison.States states,
      Rng noise,
      Reporting.Bars bars,
      List<DefendedModels.Variant> variants,
      Opened<IgDefense> opened) {
    StagedNetwork network = networks.network();
    StagedNetwork wide = networks.wide();
    StagedNetwork judged = wide == null ? network : wide;
    Comparison comparison =
        new Comparison(
            network,
            judged,
            "Base model",
            images,
            plans,
            settings,
            !variants.isEmpty(),
            states,
            bars);
    for (DefendedModels.Variant variant : variants) {
      IgDefense made =
          opened.add(variant.open(network, defense.temperature, noise, networks.pseudo()));
      IgDefense counts =
          wide == null
              ? made
              : opened.add(variant.open(wide, defense.temperature, noise, networks.pseudo()));
      comparison.add(variant.name(), variant.title(), made, counts);
    }
    return comparison;
  }

  /** Refuses, before anything is computed, what cannot be done. */
  private void check() {
    files.check();
    if (worstCase && (attack != null || cascade || individual)) {
      throw new InputException(
          "expected either --worst-case, whose attacks are fixed, or --attack, got both");
    }
    if (!worstCase && preset != WorstCaseSuite.Preset.FULL) {
      throw new InputException("--worst-case-preset needs --worst-case");
    }
    if (cascade && individual) {
      throw new InputException("expected --cascade or --individual, got both");
    }
    if (modelInfo != null) {
      Values.outputFile(modelInfo);
    }
    if (modelInfo == null && !info.isEmpty()) {
      throw new InputException("--info needs --model-info FILE");
    }
    ModelInfo.check(info);
  }

  private Comparison.Plans plans() {
    return worstCase
        ? WorstCaseSuite.plans(preset, attackOptions.parsedNorm(), attackOptions.parsedEpsilon())
        : Comparison.Plans.same(
            AttackPlans.of(
                attack == null ? "apgd-ce,apgd-t" : attack, attackOptions, cascade, individual));
  }

  private RunReport report(Reporting reporting, StagedNetwork network, Comparison comparison) {
    boolean defended = comparison.rows().size() > 1;
    List<Timing> timings =
        comparison.timings(Math.min(comparison.images().size(), model.compute.batchSize), 11);
    IgDefense first =
        defended && comparison.rows().get(1).classifier() instanceof IgDefense found ? found : null;
    boolean random = comparison.rows().stream().anyMatch(row -> !row.classifier().deterministic());
    Ranking ranking = defended && !defense.random() ? defense.ranking(network) : null;
    return reporting.comparison(
        "Adversarial robustness of " + network.architecture(),
        network,
        comparison,
        timings,
        reporting.settings(
            attackOptions,
            first == null ? network : first,
            random ? run.evaluations : null,
            agreement),
        protocol(),
        ranking,
        first == null ? 0 : first.masks().keep(),
        defended ? defense.ranking.toString() : null,
        defense.rankingSha256(),
        comparison.rows().get(defended ? 1 : 0).name());
  }

  private Protocol protocol() {
    return !worstCase
        ? Protocol.CUSTOM
        : preset == WorstCaseSuite.Preset.FULL ? Protocol.IW_WC : Protocol.IW_WC_SCREENING;
  }

  private void write(RunReport report, Comparison comparison) {
    if (worstCase) {
      WorstCaseFiles.writeMatrix(files.out, comparison, preset != WorstCaseSuite.Preset.FULL);
    }
    if (perImage) {
      WorstCaseFiles.writePerImage(files.out.resolve("per_image.csv"), comparison);
    }
    if (saveAdversarial) {
      for (Comparison.Row row : comparison.rows()) {
        for (AttackRun attacked : row.evaluation().attacks().values()) {
          WorstCaseFiles.writeAdversarial(
              files
                  .out
                  .resolve("adversarial")
                  .resolve(row.name() + "-" + attacked.plan().name() + ".npz"),
              comparison.images(),
              attacked,
              model.dtype == Dtype.FLOAT64);
        }
      }
    }
    if (modelInfo != null) {
      ModelInfo.write(modelInfo, report, info);
    }
    ResultJson.write(files.out.resolve("result.json"), report);
    HtmlReport.write(files.out.resolve("report.html"), report);
  }
}
