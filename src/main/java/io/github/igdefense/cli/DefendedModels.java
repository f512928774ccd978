package io.github.igdefense.cli;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.Option;

/** Several defended models of one base in one run: further rankings and noise levels. */
final class DefendedModels {
  @Option(
      names = "--also-ranking",
      paramLabel = "LIST",
      split = ",",
      description =
          "Further rankings to defend with, in the same tables; random or random:SEED for random"
              + " masks.")
  List<String> rankings = new ArrayList<>();

  @Option(
      names = "--also-sigma",
      paramLabel = "LIST",
      split = ",",
      converter = Values.Fraction.class,
      description = "Further values of --smoothing-sigma, for every ranking.")
  List<Double> sigmas = new ArrayList<>();

  /**
   * One defended model.
   *
   * @param name unique, such as {@code random-smoothed}
   * @param title to print
   * @param masks of its ranking
   * @param smoothing of its first pass
   */
  record Variant(String name, String title, ClassMasks masks, Smoothing smoothing) {
    /**
     * @param pseudoLabels the network of the smoothed pass, or null for {@code network}
     */
    IgDefense open(
        StagedNetwork network, double temperature, Rng noise, StagedNetwork pseudoLabels) {
      return DefenseOptions.open(network, masks, temperature, smoothing, noise, pseudoLabels);
    }

    /** What tells it from others. */
    String identity(double temperature, StagedNetwork pseudoLabels) {
      return name
          + " "
          + Hashes.sha256(masks.bits())
          + " "
          + masks.layer()
          + " sigma="
          + smoothing.sigma()
          + " samples="
          + smoothing.samples()
          + " temperature="
          + temperature
          + (pseudoLabels == null || !smoothing.enabled()
              ? ""
              : " pseudo-labels=" + pseudoLabels.arithmetic());
    }
  }

  /** Refuses further models without a first. */
  void check(DefenseOptions defense) {
    if (defense.ranking == null && (!rankings.isEmpty() || !sigmas.isEmpty())) {
      throw new InputException(
          "--also-ranking and --also-sigma need --ranking DIR_OR_FILE (the first defended model)");
    }
    for (double sigma : sigmas) {
      new Smoothing(sigma, defense.samples);
    }
  }

  /** Whether any of the models has a smoothed first pass. */
  boolean smoothed(DefenseOptions defense) {
    return noise(defense).enabled();
  }

  /** The first noise level above 0, else none. */
  Smoothing noise(DefenseOptions defense) {
    if (defense.smoothing().enabled()) {
      return defense.smoothing();
    }
    return sigmas.stream()
        .filter(sigma -> sigma > 0)
        .findFirst()
        .map(sigma -> new Smoothing(sigma, defense.samples))
        .orElse(Smoothing.NONE);
  }

  /** Every ranking with every noise level, the given ones first. */
  List<Variant> variants(DefenseOptions defense, StagedNetwork network, Output output) {
    MaskableLayer layer = defense.layer(network);
    int keep = defense.keep(layer);
    Map<String, ClassMasks> masks = new LinkedHashMap<>();
    masks.put(defense.ranking.toString(), defense.masks(network, output));
    for (String text : rankings) {
      masks.put(text, further(text.trim(), layer, keep, network));
    }
    Map<Double, Smoothing> levels = new LinkedHashMap<>();
    levels.put(defense.sigma, defense.smoothing());
    sigmas.forEach(sigma -> levels.put(sigma, new Smoothing(sigma, defense.samples)));
    boolean alone = masks.size() * levels.size() == 1;
    List<Variant> variants = new ArrayList<>();
    for (ClassMasks mask : masks.values()) {
      for (Smoothing smoothing : levels.values()) {
        String name = mask.origin();
        String title = title(mask.origin());
        if (smoothing.enabled()) {
          boolean several = levels.values().stream().filter(Smoothing::enabled).count() > 1;
          String sigma = String.format(Locale.ROOT, "%.4f", smoothing.sigma());
          name += "-smoothed" + (several ? "-" + sigma : "");
          title += several ? " (\u03c3 " + sigma + ")" : " (smoothed)";
        }
        String unique = name;
        for (int i = 2; taken(variants, unique); i++) {
          unique = name + "-" + i;
          title = title.replaceAll(" \\(\\d+\\)$", "") + " (" + i + ")";
        }
        variants.add(
            new Variant(
                alone ? "ig-defense" : unique, alone ? "IG-Defense" : title, mask, smoothing));
      }
    }
    return variants;
  }

  private static boolean taken(List<Variant> variants, String name) {
    return variants.stream().anyMatch(v -> v.name().equals(name));
  }

  private static String title(String origin) {
    return switch (origin) {
      case "loir" -> "LO-IR";
      case "cdir" -> "CD-IR";
      case RandomMasks.NAME -> "Random masks";
      default -> "IG-Defense";
    };
  }

  private static ClassMasks further(
      String text, MaskableLayer layer, int keep, StagedNetwork network) {
    if (RandomMasks.named(text)) {
      return RandomMasks.of(text, layer, network.classCount(), keep);
    }
    Ranking ranking =
        RankingFiles.read(Path.of(text), layer.name(), layer.units(), network.classCount());
    return ClassMasks.of(ranking, keep);
  }
}
