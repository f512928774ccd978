package io.github.igdefense.evaluation;

import io.github.igdefense.evaluation.EvaluationResult.AttackOutcome;
import io.github.igdefense.evaluation.EvaluationResult.TransferOutcome;
import io.github.igdefense.evaluation.EvaluationResult.WorstCaseOutcome;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What the numbers of an evaluation do not say by themselves. Stateless. */
public final class Warnings {
  /** Fewer steps than this do not support a claim of robustness. */
  static final int FEW_STEPS = 50;

  /** White-box accuracy this far above transfer accuracy means that the white-box attacks fail. */
  static final double TRANSFER_GAP = 0.02;

  /** RayS this close to the clean accuracy of a random classifier has found nothing. */
  static final double NEAR_CLEAN = 0.01;

  private static final double ROUNDING = 1e-9;

  private Warnings() {}

  /** The warnings that follow from a result; those it carries already are not repeated. */
  public static List<String> of(EvaluationResult result) {
    List<String> warnings = new ArrayList<>();
    contradictions(result, warnings);
    warnings.addAll(aboutMethod(result));
    autoAttackAboveTransfer(result, warnings);
    double direct = lowest(result.attacks().values().stream().mapToDouble(AttackOutcome::accuracy));
    double transferred =
        lowest(result.transfer().values().stream().mapToDouble(TransferOutcome::accuracy));
    if (direct > transferred + TRANSFER_GAP) {
      warnings.add(
          String.format(
              Locale.ROOT,
              "Attacked directly the classifier keeps %.1f %%, but only %.1f %% on images made on"
                  + " another model: the direct attacks do not find what exists, so their number is"
                  + " no evidence of robustness; quote the worst case.",
              100 * direct,
              100 * transferred));
    }
    warnings.removeAll(result.warnings());
    return warnings;
  }

  /**
   * The part that tells how the numbers came about: too few steps, random judgement, vanished
   * gradients, points that a second evaluation judges differently. What follows from comparing the
   * numbers is not in it.
   */
  public static List<String> aboutMethod(EvaluationResult result) {
    List<String> warnings = new ArrayList<>();
    screening(result, warnings);
    hardLabelSearch(result, warnings);
    if (result.evaluationsPerImage() > 1) {
      warnings.add(
          "The classifier is random: each image was judged by the majority of "
              + result.evaluationsPerImage()
              + " evaluations; another seed gives slightly other numbers.");
    }
    result
        .attacks()
        .forEach(
            (name, outcome) -> {
              if (outcome.zeroGradientImages() > 0) {
                warnings.add(
                    name
                        + " met gradients that were zero everywhere on "
                        + outcome.zeroGradientImages()
                        + " of "
                        + result.count()
                        + " images: gradient attacks are blind there.");
              }
              double again = Math.abs(outcome.accuracy() - outcome.savedAccuracy());
              if (again > ROUNDING && result.evaluationsPerImage() == 1) {
                warnings.add(
                    String.format(
                        Locale.ROOT,
                        "The images that %s left behind give %.2f %% when read again, not %.2f %%"
                            + " (rounding near the decision boundary).",
                        name,
                        100 * outcome.savedAccuracy(),
                        100 * outcome.accuracy()));
              }
              double gap = Math.abs(outcome.accuracy() - outcome.reportedAccuracy());
              if (gap > ROUNDING && result.evaluationsPerImage() == 1) {
                warnings.add(
                    String.format(
                        Locale.ROOT,
                        "%s reported %.2f %% while running, and %.2f %% when its final points were"
                            + " evaluated again (rounding near the decision boundary); the latter"
                            + " counts.",
                        name,
                        100 * outcome.reportedAccuracy(),
                        100 * outcome.accuracy()));
              }
            });
    return warnings;
  }

  private static void contradictions(EvaluationResult result, List<String> warnings) {
    WorstCaseOutcome worst = result.worstCase();
    if (worst == null) {
      return;
    }
    exceeds(worst.accuracy(), "clean", result.clean(), warnings);
    result.attacks().forEach((name, o) -> exceeds(worst.accuracy(), name, o.accuracy(), warnings));
    result
        .transfer()
        .forEach(
            (name, o) -> exceeds(worst.accuracy(), "transfer " + name, o.accuracy(), warnings));
  }

  private static void exceeds(double worst, String column, double value, List<String> warnings) {
    if (worst > value + ROUNDING) {
      warnings.add(
          String.format(
              Locale.ROOT,
              "The worst case (%.2f %%) is above its column %s (%.2f %%), which cannot be: do not"
                  + " use these numbers.",
              100 * worst,
              column,
              100 * value));
    }
  }

  private static void screening(EvaluationResult result, List<String> warnings) {
    int most = 0;
    for (AttackOutcome outcome : result.attacks().values()) {
      most = Math.max(most, steps(outcome.parameters()));
    }
    if (!result.attacks().isEmpty() && most < FEW_STEPS) {
      warnings.add(
          "The attacks took at most "
              + most
              + " steps: screening, not a claim of robustness; published evaluations use 100.");
    }
  }

  private static int steps(Map<String, Object> parameters) {
    if (parameters.get("steps") instanceof Number number) {
      return number.intValue();
    }
    // Attacks by queries alone: as many as published evaluations use, or a fair part of it.
    return parameters.get("queries") instanceof Number queries ? queries.intValue() / 20 : 1;
  }

  private static void hardLabelSearch(EvaluationResult result, List<String> warnings) {
    AttackOutcome rays = result.attacks().get("rays");
    if (rays != null
        && result.evaluationsPerImage() > 1
        && rays.accuracy() >= result.clean() - NEAR_CLEAN) {
      warnings.add(
          String.format(
              Locale.ROOT,
              "RayS leaves %.1f %%, within a point of the clean accuracy: noise breaks its search"
                  + " for the boundary, so this is no evidence of robustness.",
              100 * rays.accuracy()));
    }
  }

  private static void autoAttackAboveTransfer(EvaluationResult result, List<String> warnings) {
    double transferred =
        lowest(result.transfer().values().stream().mapToDouble(TransferOutcome::accuracy));
    double direct = lowest(result.attacks().values().stream().mapToDouble(AttackOutcome::accuracy));
    result
        .attacks()
        .forEach(
            (name, outcome) -> {
              // Where the other direct attacks fail as well, one warning about all says so.
              if (name.startsWith("autoattack")
                  && outcome.accuracy() > transferred + TRANSFER_GAP
                  && direct <= transferred + TRANSFER_GAP) {
                warnings.add(
                    String.format(
                        Locale.ROOT,
                        "%s leaves %.1f %%, but images made on another model only %.1f %%:"
                            + " AutoAttack overstates the robustness of this classifier; quote the"
                            + " worst case.",
                        name,
                        100 * outcome.accuracy(),
                        100 * transferred));
              }
            });
  }

  private static double lowest(java.util.stream.DoubleStream values) {
    return values.min().orElse(Double.NaN);
  }
}
