package io.github.igdefense.cli;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.PseudoLabels;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
import java.util.Locale;
import picocli.CommandLine.Option;

/** The defense put in front of the model; none without {@code --ranking}. */
final class DefenseOptions {
  /** Images on which the arithmetic of pseudo-labels is compared. */
  private static final int COMPARED_IMAGES = 256;

  private static final double POOR_AGREEMENT = 0.97;

  @Option(
      names = "--ranking",
      paramLabel = "DIR_OR_FILE",
      description =
          "Importance ranking, or random or random:SEED for random masks: turns the defense on.")
  Path ranking;

  @Option(
      names = "--layer",
      paramLabel = "NAME",
      description = "Masked layer. Default: the penultimate one.")
  String layer;

  @Option(
      names = "--keep",
      paramLabel = "K",
      description =
          "Units kept per class. Default: 50 (750 of a layer of 2048 or more), at most all.")
  Integer keep;

  @Option(
      names = "--smoothing-sigma",
      paramLabel = "S",
      defaultValue = "0",
      converter = Values.Fraction.class,
      description =
          "Standard deviation of the pseudo-label pass's noise, for pixels in [0,1], such as 4/255;"
              + " 0: none. Default: ${DEFAULT-VALUE}.")
  double sigma;

  @Option(
      names = "--smoothing-samples",
      paramLabel = "N",
      defaultValue = "1",
      description = "Noise draws averaged per image. Default: ${DEFAULT-VALUE}.")
  int samples;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0.01",
      description = "Temperature of the soft class weights. Default: ${DEFAULT-VALUE}.")
  double temperature;

  @Option(
      names = "--pseudo-label-dtype",
      paramLabel = "NAME",
      converter = ModelOptions.DtypeConverter.class,
      description =
          "Arithmetic of the smoothed pass, which only finds the pseudo-label: float32 or bfloat16"
              + " (faster; how often both agree is measured first). Default: that of --dtype.")
  Dtype pseudoLabelDtype;

  @Option(
      names = "--pseudo-label-precision",
      paramLabel = "NAME",
      converter = ModelOptions.PrecisionConverter.class,
      description =
          "The same by --float32-precision: highest, high or medium (three products or one instead"
              + " of six; how often both agree is measured first). Default: that of"
              + " --float32-precision.")
  Float32Precision pseudoLabelPrecision;

  /** Whether a defense was asked for; refuses its settings without a ranking. */
  boolean enabled() {
    smoothing();
    if (!(temperature > 0) || Double.isInfinite(temperature)) {
      throw new InputException("expected a finite --temperature above 0, got " + temperature);
    }
    if (ranking == null
        && (layer != null
            || keep != null
            || sigma != 0
            || pseudoLabelDtype != null
            || pseudoLabelPrecision != null)) {
      throw new InputException(
          "--layer, --keep, --smoothing-sigma, --pseudo-label-dtype and --pseudo-label-precision"
              + " need --ranking DIR_OR_FILE (make one with igd rank loir)");
    }
    return ranking != null;
  }

  MaskableLayer layer(StagedNetwork network) {
    return layer == null ? network.penultimate() : network.layer(layer);
  }

  Smoothing smoothing() {
    if (!(sigma >= 0)) {
      throw new InputException("expected --smoothing-sigma of 0 or more, got " + sigma);
    }
    return new Smoothing(sigma, Values.positive("--smoothing-samples", samples));
  }

  /** Units to keep when none are given: the paper's 750 for wide layers and 50 for others. */
  static int defaultKeep(int units) {
    return units >= 2048 ? 750 : Math.min(50, units);
  }

  int keep(MaskableLayer target) {
    return keep(target, "--keep");
  }

  int keep(MaskableLayer target, String option) {
    if (keep != null && (keep < 1 || keep > target.units())) {
      throw new InputException(
          "expected "
              + option
              + " between 1 and "
              + target.units()
              + ", the units of "
              + target.name()
              + ", got "
              + keep);
    }
    return keep == null ? defaultKeep(target.units()) : keep;
  }

  /** Whether the masks are random, and there is no ranking to read. */
  boolean random() {
    return ranking != null && RandomMasks.named(ranking.toString());
  }

  /** Refuses random masks where a ranking itself is needed; called before anything is computed. */
  void refuseRandom() {
    if (random()) {
      throw new InputException(
          "expected the file or folder of a ranking for --ranking here, got "
              + ranking
              + ": random masks have no ranking (igd eval, attack, predict and corruptions take"
              + " them, igd compare by --with random); make one with igd rank loir");
    }
  }

  Ranking ranking(StagedNetwork network) {
    refuseRandom();
    MaskableLayer target = layer(network);
    return RankingFiles.read(ranking, target.name(), target.units(), network.classCount());
  }

  /**
   * The network of the smoothed pass where it computes in another arithmetic than the rest; null
   * otherwise. The caller closes it, before {@code network}.
   *
   * @param network of {@link ModelOptions#open()}
   * @param smoothed whether any defended model has a smoothed pass
   */
  StagedNetwork openPseudoLabels(ModelOptions model, StagedNetwork network, boolean smoothed) {
    checkPseudoLabels(model, smoothed);
    if (differs(model)) {
      return model.open(pseudoLabelDtype);
    }
    if (!coarser(model)) {
      return null;
    }
    StagedNetwork coarse = network.atFloat32Precision(pseudoLabelPrecision).orElse(null);
    if (coarse == null) {
      ModelOptions.warnHighest("--pseudo-label-precision", pseudoLabelPrecision);
    }
    return coarse;
  }

  private boolean differs(ModelOptions model) {
    return pseudoLabelDtype != null && pseudoLabelDtype != model.dtype;
  }

  private boolean coarser(ModelOptions model) {
    return pseudoLabelPrecision != null && pseudoLabelPrecision != model.precision;
  }

  /**
   * Refuses, before anything is opened, pseudo-labels in an arithmetic that cannot be.
   *
   * @param smoothed whether any defended model has a smoothed pass
   */
  void checkPseudoLabels(ModelOptions model, boolean smoothed) {
    if (differs(model) && (pseudoLabelDtype != Dtype.BFLOAT16 || model.dtype != Dtype.FLOAT32)) {
      throw new InputException(
          "expected --pseudo-label-dtype bfloat16 with --dtype float32, or both the same, got "
              + pseudoLabelDtype
              + " with "
              + model.dtype);
    }
    boolean lower =
        pseudoLabelPrecision != null && pseudoLabelPrecision != Float32Precision.HIGHEST;
    if (lower && differs(model)) {
      throw new InputException(
          "expected --pseudo-label-dtype bfloat16 or --pseudo-label-precision "
              + pseudoLabelPrecision
              + ", got both: the precision is that of float32");
    }
    if (lower && model.dtype != Dtype.FLOAT32) {
      throw new InputException(
          "--pseudo-label-precision "
              + pseudoLabelPrecision
              + " is for --dtype float32, got --dtype "
              + model.dtype);
    }
    if (coarser(model) && !pseudoLabelPrecision.coarserThan(model.precision)) {
      throw new InputException(
          "expected --pseudo-label-precision below --float32-precision, or both the same, got "
              + pseudoLabelPrecision
              + " with "
              + model.precision);
    }
    if (!smoothed && (differs(model) || coarser(model))) {
      throw new InputException(
          (differs(model) ? "--pseudo-label-dtype" : "--pseudo-label-precision")
              + " needs --smoothing-sigma above 0: without noise both passes share one prefix, and"
              + " there is nothing to compute apart");
    }
  }

  /** Refuses pseudo-labels in another arithmetic where a command does not offer it. */
  void refusePseudoLabels(String command) {
    if (pseudoLabelDtype != null || pseudoLabelPrecision != null) {
      throw new InputException(
          "igd "
              + command
              + " computes pseudo-labels as everything else; --pseudo-label-dtype and"
              + " --pseudo-label-precision work with predict, eval, attack, corruptions and"
              + " export");
    }
  }

  /**
   * How often both arithmetics give one pseudo-label, printed; null without {@code pseudoLabels}.
   */
  PseudoLabels agreement(
      StagedNetwork network,
      StagedNetwork pseudoLabels,
      Smoothing noise,
      ImageSet images,
      ComputeOptions compute,
      Output output) {
    if (pseudoLabels == null) {
      return null;
    }
    ImageSet sample = images.limit(Math.min(images.size(), COMPARED_IMAGES));
    int batch = Math.min(sample.size(), compute.batchSize);
    PseudoLabels found =
        PseudoLabels.compare(network, pseudoLabels, sample, batch, noise, compute.seed);
    output.note(found.toString());
    if (found.agreement() < POOR_AGREEMENT) {
      output.warn(
          String.format(
              Locale.ROOT,
              "pseudo-labels in %s differ from those of %s for %.1f %% of the images: accuracies"
                  + " may differ as well; leave %s out to be sure",
              found.arithmetic(),
              found.reference(),
              100 * (1 - found.agreement()),
              pseudoLabels.dtype() == Dtype.BFLOAT16
                  ? "--pseudo-label-dtype"
                  : "--pseudo-label-precision"));
    }
    return found;
  }

  /**
   * The defended classifier; the caller closes it.
   *
   * @param noise the stream of the smoothed pass, the caller's
   * @param pseudoLabels of {@link #openPseudoLabels}, or null
   */
  IgDefense open(StagedNetwork network, Rng noise, StagedNetwork pseudoLabels, Output output) {
    return open(network, masks(network, output), temperature, smoothing(), noise, pseudoLabels);
  }

  /** A defended classifier of any masks; {@code pseudoLabels} counts where there is noise. */
  static IgDefense open(
      StagedNetwork network,
      ClassMasks masks,
      double temperature,
      Smoothing smoothing,
      Rng noise,
      StagedNetwork pseudoLabels) {
    IgDefense plain =
        new IgDefense(network, masks, temperature, smoothing, NoiseSource.fresh(noise));
    if (pseudoLabels == null || !smoothing.enabled()) {
      return plain;
    }
    try (plain) {
      return plain.withPseudoLabels(pseudoLabels);
    }
  }

  /** The masks of the ranking, with warnings about it. */
  ClassMasks masks(StagedNetwork network, Output output) {
    MaskableLayer target = layer(network);
    int units = keep(target);
    if (random()) {
      return RandomMasks.of(ranking.toString(), target, network.classCount(), units);
    }
    Ranking read = ranking(network);
    warnOfOtherModel(read, network, output);
    ClassMasks masks = ClassMasks.of(read, units);
    if (read.degenerate(units)) {
      output.warn(
          "all classes have the same top "
              + units
              + " units in this ranking: it is degenerate, and its masks cannot tell classes"
              + " apart");
    }
    return masks;
  }

  /** Warns where a ranking says that it was made for another checkpoint. */
  void warnOfOtherModel(Ranking read, StagedNetwork network, Output output) {
    if (read.provenance().modelSha256() != null
        && !read.provenance().modelSha256().equals(network.sha256())) {
      output.warn(
          "the ranking was made for another checkpoint (SHA-256 "
              + read.provenance().modelSha256().substring(0, 12)
              + "..., not "
              + network.sha256().substring(0, Math.min(12, network.sha256().length()))
              + "...)");
    }
  }

  /** SHA-256 of a ranking file; null for a folder of unit files. */
  String rankingSha256() {
    return ranking != null && java.nio.file.Files.isRegularFile(ranking)
        ? Hashes.sha256(ranking)
        : null;
  }
}
