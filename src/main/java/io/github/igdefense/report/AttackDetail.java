package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.List;

/**
 * What stands behind one accuracy: how it was checked, and what it cost.
 *
 * @param reportedAccuracy what the attack itself said while running, in [0,1]
 * @param savedAccuracy accuracy on the images it left behind, computed anew
 * @param largestPerturbation size of the largest perturbation, in the attack's norm
 * @param seconds wall time
 * @param gradientEvaluations gradients computed, summed over images
 * @param queries forward passes, summed over images
 * @param zeroGradientImages images whose gradient was zero everywhere at a start
 * @param stages of a cascade such as AutoAttack, in their order; empty for a single attack
 */
@JsonPropertyOrder({
  "reportedAccuracy",
  "savedAccuracy",
  "largestPerturbation",
  "seconds",
  "gradientEvaluations",
  "queries",
  "zeroGradientImages",
  "stages"
})
public record AttackDetail(
    double reportedAccuracy,
    double savedAccuracy,
    double largestPerturbation,
    double seconds,
    long gradientEvaluations,
    long queries,
    int zeroGradientImages,
    List<Stage> stages) {
  /** Copies the stages. */
  public AttackDetail {
    stages = Copies.of(stages);
  }

  /**
   * One attack of a cascade.
   *
   * @param name the attack
   * @param accuracy share of all images that are robust after it, in [0,1]
   * @param attacked images it was shown
   * @param seconds wall time
   */
  @JsonPropertyOrder({"name", "accuracy", "attacked", "seconds"})
  public record Stage(String name, double accuracy, int attacked, double seconds) {}
}
