package io.github.igdefense.evaluation;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.github.igdefense.data.InputException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The choice of k without robust evaluations: binary search for the smallest k whose clean accuracy
 * is at most a tolerance below the base model's, then one robust evaluation there. Immutable.
 *
 * <p>The search takes clean accuracy to grow with k. Where it does not, the k found still keeps the
 * accuracy asked for, but a smaller one may as well.
 *
 * @param baseClean clean accuracy of the base
 * @param tolerance accuracy that may be lost, as a fraction
 * @param tried every k tried, ascending
 * @param keep the k chosen; all units where none suffices
 * @param reached whether the k chosen keeps the accuracy
 * @param base the base model under attack
 * @param defended the defense with the k chosen under attack
 */
@JsonPropertyOrder({"base_clean", "tolerance", "tried", "keep", "reached", "base", "defended"})
public record KeepSearch(
    @JsonProperty("base_clean") double baseClean,
    @JsonProperty("tolerance") double tolerance,
    @JsonProperty("tried") List<Tried> tried,
    @JsonProperty("keep") int keep,
    @JsonProperty("reached") boolean reached,
    @JsonProperty("base") EvaluationResult base,
    @JsonProperty("defended") EvaluationResult defended) {

  /**
   * One k.
   *
   * @param keep k
   * @param clean clean accuracy of the defense
   */
  @JsonPropertyOrder({"keep", "clean"})
  public record Tried(@JsonProperty("keep") int keep, @JsonProperty("clean") double clean) {}

  /**
   * Searches.
   *
   * @param defense at its usual settings; its k is not used
   * @param tolerance in [0,1)
   * @throws InputException for a tolerance out of range
   */
  public static KeepSearch run(
      StudyRunner runner, DefenseSpec defense, double tolerance, Comparison.Plans plans) {
    if (!(tolerance >= 0 && tolerance < 1)) {
      throw new InputException(
          "expected a tolerance of 0 to below 1 (a share of the images), got " + tolerance);
    }
    double baseClean = runner.base(StudyRunner.NOTHING).clean();
    List<Tried> tried = new ArrayList<>();
    int units = defense.ranking().units();
    int low = 0;
    int high = units;
    boolean reached = clean(runner, defense, units, tried) >= baseClean - tolerance - 1e-12;
    while (reached && high - low > 1) {
      int middle = (low + high) / 2;
      if (clean(runner, defense, middle, tried) >= baseClean - tolerance - 1e-12) {
        high = middle;
      } else {
        low = middle;
      }
    }
    DefenseSpec chosen = defense.withKeep(high);
    EvaluationResult base = runner.base(plans);
    EvaluationResult defended =
        runner.point(
            "k=" + high, chosen.parameters(), plans, rng -> chosen.open(runner.network(), rng));
    tried.sort(Comparator.comparingInt(Tried::keep));
    return new KeepSearch(baseClean, tolerance, tried, high, reached, base, defended);
  }

  private static double clean(
      StudyRunner runner, DefenseSpec defense, int keep, List<Tried> tried) {
    DefenseSpec spec = defense.withKeep(keep);
    double clean =
        runner
            .point(
                "k=" + keep,
                spec.parameters(),
                StudyRunner.NOTHING,
                rng -> spec.open(runner.network(), rng))
            .clean();
    tried.add(new Tried(keep, clean));
    return clean;
  }
}
