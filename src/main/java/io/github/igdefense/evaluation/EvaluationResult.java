package io.github.igdefense.evaluation;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The numbers of one classifier on one image set, ready for JSON. Accuracies are shares of all
 * images in [0,1]; per-class lists have one entry per class, null where the class has no image.
 * Immutable.
 *
 * @param classifier its name
 * @param count images N
 * @param evaluationsPerImage answers of which the majority decides; 1 for deterministic classifiers
 * @param clean accuracy on unchanged images
 * @param cleanPerClass the same per class
 * @param attacks attacks made on this classifier
 * @param transfer adversarial images made on another classifier, shown to this one
 * @param worstCase images that survive everything; null where nothing was tried
 * @param findings what was noticed about the classifier while it was attacked
 * @param warnings what a reader has to know, in plain words
 */
@JsonPropertyOrder({
  "classifier",
  "count",
  "evaluations_per_image",
  "clean",
  "clean_per_class",
  "attacks",
  "transfer",
  "worst_case",
  "findings",
  "warnings"
})
public record EvaluationResult(
    @JsonProperty("classifier") String classifier,
    @JsonProperty("count") int count,
    @JsonProperty("evaluations_per_image") int evaluationsPerImage,
    @JsonProperty("clean") double clean,
    @JsonProperty("clean_per_class") List<Double> cleanPerClass,
    @JsonProperty("attacks") Map<String, AttackOutcome> attacks,
    @JsonProperty("transfer") Map<String, TransferOutcome> transfer,
    @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("worst_case")
        WorstCaseOutcome worstCase,
    @JsonProperty("findings") List<Finding> findings,
    @JsonProperty("warnings") List<String> warnings) {

  /** Copies the collections, in their order. */
  public EvaluationResult {
    cleanPerClass = Collections.unmodifiableList(new ArrayList<>(cleanPerClass));
    attacks = Collections.unmodifiableMap(new LinkedHashMap<>(attacks));
    transfer = Collections.unmodifiableMap(new LinkedHashMap<>(transfer));
    findings = findings == null ? List.of() : List.copyOf(findings);
    warnings = List.copyOf(warnings);
  }

  /**
   * An attack made on the classifier itself.
   *
   * @param accuracy robust accuracy, judged on the final points
   * @param perClass the same per class
   * @param reportedAccuracy what the attack said while running
   * @param savedAccuracy accuracy on the images it left behind, computed anew
   * @param largestPerturbation size of the largest perturbation among them, in the attack's norm
   * @param seconds wall time
   * @param gradientEvaluations gradients computed, summed over images
   * @param queries forward passes, summed over images
   * @param zeroGradientImages images whose first gradient was zero everywhere
   * @param stages of a cascade, in their order; empty for a single attack
   * @param parameters the attack's parameters
   */
  @JsonPropertyOrder({
    "accuracy",
    "per_class",
    "reported_accuracy",
    "saved_accuracy",
    "largest_perturbation",
    "seconds",
    "gradient_evaluations",
    "queries",
    "zero_gradient_images",
    "stages",
    "parameters"
  })
  public record AttackOutcome(
      @JsonProperty("accuracy") double accuracy,
      @JsonProperty("per_class") List<Double> perClass,
      @JsonProperty("reported_accuracy") double reportedAccuracy,
      @JsonProperty("saved_accuracy") double savedAccuracy,
      @JsonProperty("largest_perturbation") double largestPerturbation,
      @JsonProperty("seconds") double seconds,
      @JsonProperty("gradient_evaluations") long gradientEvaluations,
      @JsonProperty("queries") long queries,
      @JsonProperty("zero_gradient_images") int zeroGradientImages,
      @JsonProperty("stages") List<StageOutcome> stages,
      @JsonProperty("parameters") Map<String, Object> parameters) {}

  /**
   * One attack of a cascade.
   *
   * @param name the attack
   * @param accuracy share of all images that are robust after it
   * @param attacked images it was shown
   * @param seconds wall time
   * @param parameters its parameters
   */
  @JsonPropertyOrder({"name", "accuracy", "attacked", "seconds", "parameters"})
  public record StageOutcome(
      @JsonProperty("name") String name,
      @JsonProperty("accuracy") double accuracy,
      @JsonProperty("attacked") int attacked,
      @JsonProperty("seconds") double seconds,
      @JsonProperty("parameters") Map<String, Object> parameters) {}

  /**
   * Adversarial images carried over from another classifier.
   *
   * @param accuracy accuracy on them
   * @param perClass the same per class
   * @param source the classifier they were made on
   */
  @JsonPropertyOrder({"accuracy", "per_class", "source"})
  public record TransferOutcome(
      @JsonProperty("accuracy") double accuracy,
      @JsonProperty("per_class") List<Double> perClass,
      @JsonProperty("source") String source) {}

  /**
   * The image-wise worst case.
   *
   * @param accuracy share of images that survive everything
   * @param low lower end of Wilson's 95 % interval
   * @param high upper end
   * @param perClass accuracy per class
   */
  @JsonPropertyOrder({"accuracy", "low", "high", "per_class"})
  public record WorstCaseOutcome(
      @JsonProperty("accuracy") double accuracy,
      @JsonProperty("low") double low,
      @JsonProperty("high") double high,
      @JsonProperty("per_class") List<Double> perClass) {}

  /** Shares as a list, null for NaN. */
  static List<Double> shares(double[] values) {
    List<Double> list = new ArrayList<>(values.length);
    for (double value : values) {
      list.add(Double.isNaN(value) ? null : value);
    }
    return list;
  }
}
