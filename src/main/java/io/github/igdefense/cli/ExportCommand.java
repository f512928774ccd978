package io.github.igdefense.cli;

import io.github.igdefense.data.ClassNames;
import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.defense.Bundle;
import io.github.igdefense.defense.BundleManifest;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingProvenance;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd export}: a defended model as one bundle file, for {@code DefendedClassifier}. */
@Command(
    name = "export",
    description =
        "Write a model, its masks and all settings as one bundle file, to embed in a service.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class ExportCommand implements Callable<Integer> {
  @Mixin ModelOptions model;
  @Mixin DefenseOptions defense;

  @Option(
      names = "--preprocessing",
      paramLabel = "NAME",
      defaultValue = "none",
      description =
          "How decoded images are brought to the model's size: Res256Crop224, BicubicRes256Crop224,"
              + " Crop288, Res224, or the like; none takes images of that size only. Default:"
              + " ${DEFAULT-VALUE}.")
  String preprocessing;

  @Option(
      names = "--image-size",
      paramLabel = "PIXELS",
      description =
          "Height and width of the images. Default: what the preprocessing gives, else what the"
              + " architecture was published for.")
  Integer imageSize;

  @Option(
      names = "--class-names",
      paramLabel = "FILE",
      description = "Names of the classes, one a line.")
  Path classNames;

  @Option(names = "--out", required = true, paramLabel = "FILE", description = "Bundle to write.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    Values.outputFile(out);
    Preprocessing steps = Preprocessing.parse(preprocessing);
    List<String> names = classNames == null ? List.of() : ClassNames.read(classNames);
    if (!defense.enabled()) {
      throw new InputException(
          "igd export needs --ranking DIR_OR_FILE (make one with igd rank loir)");
    }
    defense.refuseRandom();
    ModelOptions.check(model.dtype, model.precision);
    defense.checkPseudoLabels(model, defense.smoothing().enabled());
    if (model.torchscript.chosen(model.arch, model.checkpoint)) {
      throw new InputException(
          "a bundle holds the tensors of a named architecture, so that it runs nothing from a file;"
              + " --arch torchscript cannot be exported");
    }
    try (StagedNetwork network = model.open()) {
      network.notes().forEach(output::note);
      ClassMasks masks = defense.masks(network, output);
      int side = size(steps, network);
      Bundle bundle =
          Bundle.of(
              network,
              Networks.checkpoint(model.checkpoint).state(),
              masks,
              new Bundle.Settings(
                  side,
                  side,
                  steps,
                  names,
                  defense.temperature,
                  defense.smoothing(),
                  model.compute.seed,
                  provenance(network),
                  arithmetic()));
      bundle.write(out);
      // What lies on the disk is what will be opened.
      report(Bundle.read(out));
    }
    return 0;
  }

  /** Precisions and the pseudo-labels' type; null where all is as by default. */
  private BundleManifest.Arithmetic arithmetic() {
    Dtype first = defense.pseudoLabelDtype == null ? model.dtype : defense.pseudoLabelDtype;
    Float32Precision precision =
        defense.pseudoLabelPrecision == null ? model.precision : defense.pseudoLabelPrecision;
    return first == model.dtype
            && precision == Float32Precision.HIGHEST
            && model.precision == Float32Precision.HIGHEST
        ? null
        : new BundleManifest.Arithmetic(
            model.precision.toString(), first.toString(), precision.toString());
  }

  private int size(Preprocessing steps, StagedNetwork network) {
    if (imageSize != null) {
      return Values.positive("--image-size", imageSize);
    }
    return steps.side() > 0 ? steps.side() : network.imageSize();
  }

  private Map<String, String> provenance(StagedNetwork network) {
    Map<String, String> provenance = new LinkedHashMap<>();
    provenance.put(
        "checkpoint",
        model.checkpoint.startsWith(Networks.EMBEDDED)
            ? model.checkpoint
            : Path.of(model.checkpoint).getFileName().toString());
    provenance.put("checkpoint_sha256", network.sha256());
    provenance.put("ranking", defense.ranking.getFileName().toString());
    provenance.put("ranking_sha256", defense.rankingSha256());
    Ranking ranking = defense.ranking(network);
    RankingProvenance origin = ranking.provenance();
    provenance.put("ranking_method", origin.method());
    provenance.put("ranking_data", origin.data());
    provenance.put("ranking_data_sha256", origin.dataSha256());
    provenance.values().removeIf(value -> value == null);
    return provenance;
  }

  private void report(Bundle bundle) {
    String sha256 = Hashes.sha256(out);
    output.result(
        out
            + ": "
            + bundle.manifest().model().architecture()
            + ", "
            + bundle.manifest().model().classCount()
            + " classes, "
            + bundle.manifest().defense().keep()
            + " of "
            + bundle.manifest().defense().units()
            + " units of "
            + bundle.masks().layer()
            + " kept, SHA-256 "
            + sha256);
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("bundle", out.toString());
    json.put("sha256", sha256);
    json.put("manifest", bundle.manifest());
    output.json(json);
  }
}
