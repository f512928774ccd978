package io.github.igdefense.cli;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The defense put in front of the model; none without {@code --ranking}. */
final class DefenseOptions {
  @Option(
      names = "--ranking",
      paramLabel = "DIR_OR_FILE",
      description = "Importance ranking: turns the defense on.")
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

  /** Whether a defense was asked for; refuses its settings without a ranking. */
  boolean enabled() {
    smoothing();
    if (!(temperature > 0) || Double.isInfinite(temperature)) {
      throw new InputException("expected a finite --temperature above 0, got " + temperature);
    }
    if (ranking == null && (layer != null || keep != null || sigma != 0)) {
      throw new InputException(
          "--layer, --keep and --smoothing-sigma need --ranking DIR_OR_FILE (make one with igd rank"
              + " loir)");
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
    if (keep != null && (keep < 1 || keep > target.units())) {
      throw new InputException(
          "expected --keep between 1 and "
              + target.units()
              + ", the units of "
              + target.name()
              + ", got "
              + keep);
    }
    return keep == null ? defaultKeep(target.units()) : keep;
  }

  Ranking ranking(StagedNetwork network) {
    MaskableLayer target = layer(network);
    return RankingFiles.read(ranking, target.name(), target.units(), network.classCount());
  }

  /**
   * The defended classifier; the caller closes it.
   *
   * @param noise the stream of the smoothed pass, the caller's
   */
  IgDefense open(StagedNetwork network, Rng noise, Output output) {
    ClassMasks masks = masks(network, output);
    return new IgDefense(network, masks, temperature, smoothing(), NoiseSource.fresh(noise));
  }

  /** The masks of the ranking, with warnings about it. */
  ClassMasks masks(StagedNetwork network, Output output) {
    int units = keep(layer(network));
    Ranking read = ranking(network);
    if (read.provenance().modelSha256() != null
        && !read.provenance().modelSha256().equals(network.sha256())) {
      output.warn(
          "the ranking was made for another checkpoint (SHA-256 "
              + read.provenance().modelSha256().substring(0, 12)
              + "..., not "
              + network.sha256().substring(0, Math.min(12, network.sha256().length()))
              + "...)");
    }
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

  /** SHA-256 of a ranking file; null for a folder of unit files. */
  String rankingSha256() {
    return ranking != null && java.nio.file.Files.isRegularFile(ranking)
        ? Hashes.sha256(ranking)
        : null;
  }
}
