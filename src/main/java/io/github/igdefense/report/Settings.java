package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.Map;
import java.util.Objects;

/**
 * The threat model and the settings of the defense.
 *
 * @param norm {@code Linf}, {@code L2} or {@code L1}
 * @param epsilon largest allowed change in that norm, images in [0,1]
 * @param epsilonText how the user wrote it, such as {@code 8/255}; null prints the number
 * @param rankingMethod how neurons were ranked, such as {@code loir}; null without a defense
 * @param layer the masked layer; null without a defense
 * @param keep units kept per class; null without a defense
 * @param temperature τ of the soft class weights; null without a defense
 * @param evaluationRuns how often a randomised classifier judged each image; null if none is
 *     randomised
 * @param batchSize images per batch; null if not of interest
 * @param other further settings by name, in the order to print
 */
@JsonPropertyOrder({
  "norm",
  "epsilon",
  "epsilonText",
  "rankingMethod",
  "layer",
  "keep",
  "temperature",
  "evaluationRuns",
  "batchSize",
  "other"
})
public record Settings(
    String norm,
    double epsilon,
    String epsilonText,
    String rankingMethod,
    String layer,
    Integer keep,
    Double temperature,
    Integer evaluationRuns,
    Integer batchSize,
    Map<String, String> other) {
  /** Requires the norm. */
  public Settings {
    Objects.requireNonNull(norm, "norm");
    other = Copies.of(other);
  }

  /** The threat model alone: no defense, nothing else. */
  public static Settings threat(String norm, double epsilon, String epsilonText) {
    return new Settings(norm, epsilon, epsilonText, null, null, null, null, null, null, null);
  }

  /** The norm as printed: L∞, L2 or L1. */
  String normText() {
    return norm.equalsIgnoreCase("Linf") ? "L∞" : norm;
  }

  /** ε as printed. */
  String epsilonShown() {
    return epsilonText == null || epsilonText.isBlank() ? Numbers.plain(epsilon) : epsilonText;
  }
}
