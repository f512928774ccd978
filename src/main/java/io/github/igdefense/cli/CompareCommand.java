package io.github.igdefense.cli;

import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.AntiAdversary;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.GradientMode;
import io.github.igdefense.defense.HedgeDefense;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.Sodef;
import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.RunState;
import io.github.igdefense.evaluation.Timing;
import io.github.igdefense.evaluation.WorstCaseSuite;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.ConsoleTable;
import io.github.igdefense.report.HtmlReport;
import io.github.igdefense.report.Protocol;
import io.github.igdefense.report.ResultJson;
import io.github.igdefense.report.RunReport;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd compare}: test-time defenses side by side (the shape of the paper's Tables 5, 8). */
@Command(
    name = "compare",
    description = {
      "The base model, anti-adversary (CAAA), hedge defense (HD), SODEF where a trained block is"
          + " given, and IG-Defense with random masks, CD-IR and LO-IR under the same attacks,"
          + " directly and by transfer from the base.",
      "Inference times are multiples of the base model's, measured in this run."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class CompareCommand implements Callable<Integer> {
  private static final List<String> NAMES =
      List.of("caaa", "hd", "sodef", "random", "cdir", "loir");
  private static final int TIMED_IMAGES = 16;

  @Mixin DataOptions data;
  @Mixin ModelOptions model;
  @Mixin DefenseOptions defense;

  @Option(
      names = "--cdir-ranking",
      paramLabel = "DIR_OR_FILE",
      description = "CD-IR ranking of the same layer. Default: CD-IR is left out.")
  Path cdir;

  @Option(
      names = "--with",
      paramLabel = "LIST",
      split = ",",
      description =
          "Defenses, of caaa, hd, sodef, random, cdir, loir. Default: all whose ranking or block is"
              + " given.")
  List<String> with;

  @Option(
      names = "--gradient",
      paramLabel = "MODE",
      defaultValue = "bpda",
      description =
          "How attacks see the moves of caaa and hd: bpda (as the identity) or full (exactly)."
              + " Default: ${DEFAULT-VALUE}.")
  GradientMode gradient;

  @Option(
      names = "--hd-eps",
      paramLabel = "E",
      defaultValue = "8/255",
      description = "Radius within which hd moves the image. Default: ${DEFAULT-VALUE}.")
  String hedgeEpsilon;

  @Option(
      names = "--hd-steps",
      paramLabel = "N",
      defaultValue = "20",
      description = "Steps of hd, of 4/255 each. Default: ${DEFAULT-VALUE}.")
  int hedgeSteps;

  @Option(
      names = "--hd-fixed-start",
      description =
          "One random start of hd for all images: deterministic, and cheaper to attack and judge.")
  boolean hedgeFixed;

  @Mixin SodefOptions sodef;

  @Option(
      names = "--attack",
      paramLabel = "LIST",
      description =
          "Attacks, separated by commas: " + AttackPlans.NAMES + ". Default: apgd-ce,apgd-t.")
  String attack;

  @Option(
      names = "--worst-case",
      description = "Run the nine attacks of the image-wise worst case instead of --attack.")
  boolean worstCase;

  @Option(
      names = "--worst-case-preset",
      paramLabel = "NAME",
      defaultValue = "full",
      description = "full, or screening, as of igd eval. Default: ${DEFAULT-VALUE}.")
  WorstCaseSuite.Preset preset;

  @Mixin AttackListOptions attackOptions;
  @Mixin RunOptions run;

  @Mixin ComparisonOutput files;

  @Mixin Output output;

  @Override
  public Integer call() {
    Set<String> chosen = chosen();
    check();
    defense.refusePseudoLabels("compare");
    Comparison.Plans plans =
        worstCase
            ? WorstCaseSuite.plans(
                preset, attackOptions.parsedNorm(), attackOptions.parsedEpsilon())
            : Comparison.Plans.same(
                AttackPlans.of(
                    attack == null ? "apgd-ce,apgd-t" : attack, attackOptions, false, false));
    Reporting reporting = new Reporting("compare", model, data, output);
    try (StagedNetwork network = model.open();
        StagedNetwork wide = model.openWide(network);
        ImageSet images = data.open(output).withClassCount(network.classCount());
        Rng noise = new Rng(model.compute.seed);
        Opened<AutoCloseable> opened = new Opened<>()) {
      // After the model: it may bring its batch size.
      Evaluation.Settings settings = run.settings(model, attackOptions);
      network.notes().forEach(output::note);
      List<Entry> entries = new ArrayList<>();
      for (String name : NAMES) {
        if (chosen.contains(name)) {
          entries.add(entry(name, network, noise, opened));
        }
      }
      Identity identity = new Identity(model, network, images, settings);
      Map<String, String> all = identity.with("plans", plans);
      for (Entry entry : entries) {
        all.put("defense " + entry.name(), entry.identity());
      }
      RunState state = run.open(files.out, all, List.of(noise));
      RunState base = files.base(state, identity, true);
      Comparison comparison;
      try (Reporting.Bars bars = reporting.bars()) {
        comparison =
            new Comparison(
                network,
                wide == null ? network : wide,
                "Base model",
                images,
                plans,
                settings,
                true,
                new Comparison.States(base, state),
                bars);
        for (Entry entry : entries) {
          DifferentiableClassifier counts =
              wide == null
                  ? entry.classifier()
                  : entry(entry.name(), wide, noise, opened).classifier();
          comparison.add(entry.name(), entry.title(), entry.classifier(), counts);
        }
      } catch (InputException e) {
        state.abandon();
        throw e;
      }
      RunReport report = report(reporting, network, comparison);
      ResultJson.write(files.out.resolve("result.json"), report);
      HtmlReport.write(files.out.resolve("report.html"), report);
      run.finished(state);
      output.result(ConsoleTable.text(report));
      output.note("report: " + files.out.resolve("report.html"));
      reporting.printJson(report);
      return 0;
    }
  }

  private record Entry(
      String name, String title, DifferentiableClassifier classifier, String identity) {}

  private Set<String> chosen() {
    if (with == null) {
      Set<String> all = new LinkedHashSet<>(NAMES);
      if (defense.ranking == null) {
        all.remove("loir");
      }
      if (!sodef.given()) {
        all.remove("sodef");
      }
      if (cdir == null) {
        all.remove("cdir");
      }
      return all;
    }
    Set<String> names = new LinkedHashSet<>();
    for (String name : with) {
      if (!NAMES.contains(name.trim())) {
        throw new InputException("expected --with a list of " + NAMES + ", got '" + name + "'");
      }
      names.add(name.trim());
    }
    if (names.contains("loir") && defense.ranking == null) {
      throw new InputException("--with loir needs --ranking DIR_OR_FILE");
    }
    if (names.contains("sodef") && !sodef.given()) {
      throw new InputException("--with sodef needs --sodef-block FILE, a trained block");
    }
    if (names.contains("cdir") && cdir == null) {
      throw new InputException("--with cdir needs --cdir-ranking DIR_OR_FILE");
    }
    return names;
  }

  private void check() {
    files.check();
    defense.refuseRandom();
    if (worstCase && attack != null) {
      throw new InputException(
          "expected either --worst-case, whose attacks are fixed, or --attack, got both");
    }
    defense.smoothing();
    hedge();
    sodef.check();
  }

  private HedgeDefense.Settings hedge() {
    return new HedgeDefense.Settings(hedgeSteps, Epsilon.parse(hedgeEpsilon).value(), 4 / 255.0);
  }

  private Entry entry(String name, StagedNetwork network, Rng noise, Opened<AutoCloseable> opened) {
    return switch (name) {
      case "caaa" -> {
        DifferentiableClassifier made =
            new AntiAdversary(
                network, AntiAdversary.DEFAULT_STEPS, AntiAdversary.DEFAULT_STEP_SIZE, gradient);
        yield new Entry(name, "Anti-adversary (CAAA)", made, made.name() + gradient);
      }
      case "hd" -> {
        DifferentiableClassifier made =
            hedgeFixed
                ? HedgeDefense.fixed(network, hedge(), model.compute.seed, gradient)
                : HedgeDefense.fresh(network, hedge(), noise, gradient);
        yield new Entry(name, "Hedge Defense (HD)", made, made.name() + gradient);
      }
      case "sodef" -> {
        Sodef made = opened.add(sodef.open(network, output));
        yield new Entry(name, sodef.title(), made, made.name() + made.block().sha256());
      }
      case "random" -> {
        MaskableLayer layer = defense.layer(network);
        yield masked(
            name,
            "Random masks",
            ClassMasks.random(
                layer.name(),
                network.classCount(),
                layer.units(),
                defense.keep(layer),
                model.compute.seed),
            network,
            noise,
            opened);
      }
      case "cdir" -> {
        MaskableLayer layer = defense.layer(network);
        Ranking ranking =
            RankingFiles.read(cdir, layer.name(), layer.units(), network.classCount());
        defense.warnOfOtherModel(ranking, network, output);
        ClassMasks masks = ClassMasks.of(ranking, defense.keep(layer));
        yield masked(name, "IG-Defense, CD-IR", masks, network, noise, opened);
      }
      default ->
          masked(name, "IG-Defense, LO-IR", defense.masks(network, output), network, noise, opened);
    };
  }

  private Entry masked(
      String name,
      String title,
      ClassMasks masks,
      StagedNetwork network,
      Rng noise,
      Opened<AutoCloseable> opened) {
    IgDefense made =
        opened.add(
            new IgDefense(
                network,
                masks,
                defense.temperature,
                defense.smoothing(),
                NoiseSource.fresh(noise)));
    return new Entry(
        name,
        title,
        made,
        made.name()
            + io.github.igdefense.data.Hashes.sha256(masks.bits())
            + defense.smoothing()
            + defense.temperature);
  }

  private RunReport report(Reporting reporting, StagedNetwork network, Comparison comparison) {
    List<Timing> timings =
        comparison.timings(Math.min(comparison.images().size(), TIMED_IMAGES), 11);
    boolean random = comparison.rows().stream().anyMatch(row -> !row.classifier().deterministic());
    IgDefense last = null;
    for (Comparison.Row row : comparison.rows()) {
      if (row.classifier() instanceof IgDefense found) {
        last = found;
      }
    }
    Ranking ranking =
        defense.ranking == null
                || last == null
                || !comparison.rows().stream().anyMatch(row -> row.name().equals("loir"))
            ? null
            : defense.ranking(network);
    return reporting.comparison(
        "Test-time defenses on " + network.architecture(),
        network,
        comparison,
        timings,
        reporting.settings(
            attackOptions, last == null ? network : last, random ? run.evaluations : null, null),
        !worstCase
            ? Protocol.CUSTOM
            : preset == WorstCaseSuite.Preset.FULL ? Protocol.IW_WC : Protocol.IW_WC_SCREENING,
        ranking,
        last == null ? 0 : last.masks().keep(),
        defense.ranking == null ? null : defense.ranking.toString(),
        defense.rankingSha256(),
        comparison.rows().get(comparison.rows().size() - 1).name());
  }
}
