package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.DefenseSpec;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.EvaluationListener;
import io.github.igdefense.evaluation.PointStore;
import io.github.igdefense.evaluation.RepeatedEvaluation;
import io.github.igdefense.evaluation.StudyRunner;
import io.github.igdefense.evaluation.WorstCaseSuite;
import io.github.igdefense.importance.LeaveOneOut;
import io.github.igdefense.importance.Normalization;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.Settings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What the studies have in common: images, model, defense, attacks, and where points are kept. */
final class StudyOptions {
  @Mixin DataOptions data;
  @Mixin ModelOptions model;
  @Mixin DefenseOptions defense;

  @Option(
      names = "--probe",
      paramLabel = "SPEC",
      description =
          "Images to make LO-IR rankings from where --ranking has none (training images, as of igd"
              + " rank loir).")
  String probe;

  @Option(
      names = "--probe-limit",
      paramLabel = "N",
      description = "Use N probe images only, equally many of every class.")
  Integer probeLimit;

  @Option(
      names = "--attack",
      paramLabel = "LIST",
      description = "Attacks, as of igd eval. Default: apgd-ce,apgd-t.")
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

  @Option(
      names = "--cache",
      paramLabel = "DIR",
      description =
          "Where finished points and the base model's adversarial images are kept: a study that was"
              + " stopped goes on there, and studies of one model share it. Default: DIR of --out,"
              + " /cache.")
  Path cache;

  @Mixin Output output;

  /** Refuses, before anything is opened, what cannot work. */
  void check() {
    Values.outputFolder(out);
    Values.outputFolder(cacheFolder());
    if (worstCase && attack != null) {
      throw new InputException(
          "expected either --worst-case, whose attacks are fixed, or --attack, got both");
    }
    plans(attackOptions);
    new RepeatedEvaluation(evaluations);
    defense.smoothing();
    defense.refusePseudoLabels("study");
    defense.refuseRandom();
    if (defense.ranking == null && probe == null) {
      throw new InputException(
          "a study needs --ranking DIR_OR_FILE (make one with igd rank loir), or --probe SPEC to"
              + " make one from");
    }
    if (probeLimit != null) {
      Values.positive("--probe-limit", probeLimit);
    }
  }

  private Path cacheFolder() {
    return cache == null ? out.resolve("cache") : cache;
  }

  Evaluation.Settings settings() {
    return new Evaluation.Settings(
        model.compute.batchSize, model.compute.seed, new RepeatedEvaluation(evaluations));
  }

  StudyRunner runner(StagedNetwork network, ImageSet images, EvaluationListener listener) {
    return new StudyRunner(
        network, images, PointStore.open(cacheFolder(), network.sha256()), settings(), listener);
  }

  /** The attacks with these options. */
  Comparison.Plans plans(AttackListOptions options) {
    return worstCase
        ? WorstCaseSuite.plans(preset, options.parsedNorm(), options.parsedEpsilon())
        : Comparison.Plans.same(
            AttackPlans.of(attack == null ? "apgd-ce,apgd-t" : attack, options, false, false));
  }

  /** The defense at its usual settings. */
  DefenseSpec spec(StagedNetwork network) {
    return spec(network, defense.layer(network));
  }

  /** The same at another layer. */
  DefenseSpec spec(StagedNetwork network, MaskableLayer layer) {
    int keep =
        defense.keep != null && layer.equals(defense.layer(network))
            ? defense.keep(layer)
            : Math.min(
                layer.units(),
                defense.keep == null ? DefenseOptions.defaultKeep(layer.units()) : defense.keep);
    Ranking ranking = ranking(network, layer);
    defense.warnOfOtherModel(ranking, network, output);
    return new DefenseSpec(ranking, keep, defense.temperature, defense.smoothing());
  }

  private Ranking ranking(StagedNetwork network, MaskableLayer layer) {
    boolean usual = layer.equals(defense.layer(network));
    if (defense.ranking != null && (usual || Files.isDirectory(defense.ranking) || probe == null)) {
      try {
        return RankingFiles.read(
            defense.ranking, layer.name(), layer.units(), network.classCount());
      } catch (InputException e) {
        if (probe == null || usual) {
          throw e;
        }
      }
    }
    return probeRanking(network, layer, 1);
  }

  /** LO-IR of a layer from the first images of every class, a share of the probe set. */
  Ranking probeRanking(StagedNetwork network, MaskableLayer layer, double share) {
    if (probe == null) {
      throw new InputException(
          "this study makes rankings itself: give the training images with --probe SPEC");
    }
    try (ImageSet all = ImageSets.open(probe)) {
      ImageSet chosen = probeLimit == null ? all : all.balanced(probeLimit);
      int count = (int) Math.round(share * chosen.size());
      ImageSet used = count >= chosen.size() ? chosen : chosen.balanced(Math.max(1, count));
      output.note("ranking " + layer.name() + " on " + used.size() + " images");
      return new LeaveOneOut(
              network, layer, Normalization.CLASS_MEAN, false, model.compute.batchSize)
          .rank(used, done -> {});
    }
  }

  /** The threat model and the defense, for the report. */
  Settings reported(DefenseSpec spec) {
    Map<String, String> other = new LinkedHashMap<>();
    if (spec.smoothing().enabled()) {
      other.put(
          "Smoothing",
          String.format(
              java.util.Locale.ROOT,
              "sigma %.5g, %d draws per image",
              spec.smoothing().sigma(),
              spec.smoothing().samples()));
    }
    if (probe != null) {
      other.put("Probe images", probe);
    }
    String method = spec.ranking().provenance().method();
    return new Settings(
        attackOptions.parsedNorm().toString(),
        attackOptions.parsedEpsilon().value(),
        attackOptions.epsilon,
        method == null ? "ranking" : method,
        spec.ranking().layer(),
        spec.keep(),
        spec.temperature(),
        spec.smoothing().enabled() ? evaluations : null,
        model.compute.batchSize,
        other);
  }
}
