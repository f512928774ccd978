package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;

/**
 * The accuracies of one classifier, all over the same images, as fractions in [0,1].
 *
 * <p>NaN becomes null: "not known". Made with {@link #builder}.
 *
 * @param name short unique name, such as {@code base} or {@code ig-defense}
 * @param title the name to print, such as "IG-Defense, smoothed"
 * @param clean accuracy on unchanged images
 * @param attacks robust accuracy against each attack made directly on this classifier (white-box or
 *     query-based), by attack name
 * @param transfer accuracy on adversarial images made on the base model, by attack name; empty for
 *     the base
 * @param worstCase share of images that survive every attack and every transfer; null without
 *     attacks
 * @param worstCaseLow lower end of its 95 % interval, or null
 * @param worstCaseHigh upper end of its 95 % interval, or null
 * @param inferenceTimeRatio time of a prediction as a multiple of the base model's, or null
 * @param perClassClean clean accuracy per class, null where the class has no image; empty if not
 *     known
 * @param perClassWorst worst case per class, likewise
 * @param smoothingSigma σ of the noise added before the first pass; 0 without smoothing
 * @param smoothingSamples noise draws per image; 0 without smoothing
 * @param attackDetails what stands behind the accuracies of {@code attacks}, by attack name
 * @param notes remarks on this classifier, in plain words
 */
@JsonPropertyOrder({
  "name",
  "title",
  "clean",
  "attacks",
  "transfer",
  "worstCase",
  "worstCaseLow",
  "worstCaseHigh",
  "inferenceTimeRatio",
  "perClassClean",
  "perClassWorst",
  "smoothingSigma",
  "smoothingSamples",
  "attackDetails",
  "notes"
})
public record ClassifierResult(
    String name,
    String title,
    double clean,
    Map<String, Double> attacks,
    Map<String, Double> transfer,
    Double worstCase,
    Double worstCaseLow,
    Double worstCaseHigh,
    Double inferenceTimeRatio,
    List<Double> perClassClean,
    List<Double> perClassWorst,
    double smoothingSigma,
    int smoothingSamples,
    Map<String, AttackDetail> attackDetails,
    List<String> notes) {
  /**
   * Checks the ranges.
   *
   * @throws IllegalArgumentException if an accuracy is not a fraction in [0,1]
   */
  public ClassifierResult {
    Objects.requireNonNull(name, "name");
    title = title == null ? name : title;
    fraction(name, "clean", clean);
    attacks = Copies.of(attacks);
    transfer = Copies.of(transfer);
    attacks.forEach((attack, accuracy) -> fraction(name, attack, accuracy));
    transfer.forEach((attack, accuracy) -> fraction(name, "transfer " + attack, accuracy));
    worstCase = known(name, "worst case", worstCase);
    worstCaseLow = known(name, "lower end of the worst case", worstCaseLow);
    worstCaseHigh = known(name, "upper end of the worst case", worstCaseHigh);
    inferenceTimeRatio =
        inferenceTimeRatio == null || inferenceTimeRatio.isNaN() ? null : inferenceTimeRatio;
    perClassClean = known(name, perClassClean);
    perClassWorst = known(name, perClassWorst);
    attackDetails = Copies.of(attackDetails);
    notes = Copies.of(notes);
  }

  private static void fraction(String name, String what, double value) {
    if (!(value >= 0 && value <= 1)) {
      throw new IllegalArgumentException(
          name + ": expected " + what + " as a fraction in [0,1], got " + value);
    }
  }

  private static Double known(String name, String what, Double value) {
    if (value == null || value.isNaN()) {
      return null;
    }
    fraction(name, what, value);
    return value;
  }

  private static List<Double> known(String name, List<Double> values) {
    List<Double> copy = new ArrayList<>();
    for (Double value : values == null ? List.<Double>of() : values) {
      copy.add(known(name, "per-class accuracy", value));
    }
    return Copies.of(copy);
  }

  /** Starts a result. */
  public static Builder builder(String name) {
    return new Builder(name);
  }

  /** Accuracy against AutoAttack, the standard version before others; null if it was not run. */
  Double autoAttack() {
    for (String name : List.of("autoattack", "autoattack-plus", "autoattack-rand")) {
      if (attacks.containsKey(name)) {
        return attacks.get(name);
      }
    }
    return null;
  }

  /** The stages of a cascade; none for other attacks. */
  List<AttackDetail.Stage> stages(String attack) {
    AttackDetail detail = attackDetails.get(attack);
    return detail == null ? List.of() : detail.stages();
  }

  /** Accuracy after a stage of a cascade, or null. */
  Double after(String attack, String stage) {
    return stages(attack).stream()
        .filter(s -> s.name().equals(stage))
        .map(AttackDetail.Stage::accuracy)
        .findFirst()
        .orElse(null);
  }

  /** The lowest accuracy against a direct attack. */
  OptionalDouble strongestAttack() {
    return attacks.values().stream().mapToDouble(Double::doubleValue).min();
  }

  /** The lowest accuracy on transferred images. */
  OptionalDouble strongestTransfer() {
    return transfer.values().stream().mapToDouble(Double::doubleValue).min();
  }

  /** True if the worst case has an interval. */
  boolean hasInterval() {
    return worstCase != null && worstCaseLow != null && worstCaseHigh != null;
  }

  /** True if predictions depend on random noise. */
  boolean smoothed() {
    return smoothingSigma > 0;
  }

  /** Collects a {@link ClassifierResult}; not thread-safe. */
  public static final class Builder {
    private final String name;
    private String title;
    private double clean = Double.NaN;
    private final Map<String, Double> attacks = new LinkedHashMap<>();
    private final Map<String, Double> transfer = new LinkedHashMap<>();
    private Double worstCase;
    private Double worstCaseLow;
    private Double worstCaseHigh;
    private Double inferenceTimeRatio;
    private List<Double> perClassClean;
    private List<Double> perClassWorst;
    private double smoothingSigma;
    private int smoothingSamples;
    private final Map<String, AttackDetail> attackDetails = new LinkedHashMap<>();
    private final List<String> notes = new ArrayList<>();

    private Builder(String name) {
      this.name = name;
    }

    /** The name to print. */
    public Builder title(String title) {
      this.title = title;
      return this;
    }

    /** Accuracy on unchanged images, in [0,1]; required. */
    public Builder clean(double accuracy) {
      clean = accuracy;
      return this;
    }

    /** Robust accuracy against an attack on this classifier, in [0,1]. */
    public Builder attack(String attack, double accuracy) {
      attacks.put(attack, accuracy);
      return this;
    }

    /** Accuracy on adversarial images of the base model, in [0,1]. */
    public Builder transfer(String attack, double accuracy) {
      transfer.put(attack, accuracy);
      return this;
    }

    /** Worst case and the ends of its 95 % interval (NaN if unknown), in [0,1]. */
    public Builder worstCase(double accuracy, double low, double high) {
      worstCase = accuracy;
      worstCaseLow = low;
      worstCaseHigh = high;
      return this;
    }

    /** Time of a prediction as a multiple of the base model's. */
    public Builder inferenceTimeRatio(double ratio) {
      inferenceTimeRatio = ratio;
      return this;
    }

    /**
     * Accuracies per class, in [0,1], NaN where a class has no image; the worst case may be null.
     */
    public Builder perClass(double[] clean, double[] worst) {
      perClassClean = boxed(clean);
      perClassWorst = boxed(worst);
      return this;
    }

    /** Noise added before the first pass. */
    public Builder smoothing(double sigma, int samples) {
      smoothingSigma = sigma;
      smoothingSamples = samples;
      return this;
    }

    /** What stands behind an attack's accuracy. */
    public Builder detail(String attack, AttackDetail detail) {
      attackDetails.put(attack, detail);
      return this;
    }

    /** Adds a remark in plain words. */
    public Builder note(String note) {
      notes.add(note);
      return this;
    }

    /**
     * The result.
     *
     * @throws IllegalArgumentException if an accuracy is missing or not in [0,1]
     */
    public ClassifierResult build() {
      return new ClassifierResult(
          name,
          title,
          clean,
          attacks,
          transfer,
          worstCase,
          worstCaseLow,
          worstCaseHigh,
          inferenceTimeRatio,
          perClassClean,
          perClassWorst,
          smoothingSigma,
          smoothingSamples,
          attackDetails,
          notes);
    }

    private static List<Double> boxed(double[] values) {
      List<Double> list = new ArrayList<>();
      for (double value : values == null ? new double[0] : values) {
        list.add(value);
      }
      return list;
    }
  }
}
