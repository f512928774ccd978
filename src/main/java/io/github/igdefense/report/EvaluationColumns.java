package io.github.igdefense.report;

import io.github.igdefense.evaluation.EvaluationResult;
import io.github.igdefense.evaluation.Warnings;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Evaluations side by side as rows of a table: clean, attacks, transfers, worst case. */
final class EvaluationColumns {
  private final List<String> direct;
  private final List<String> transferred;

  private EvaluationColumns(List<String> direct, List<String> transferred) {
    this.direct = direct;
    this.transferred = transferred;
  }

  /** The columns that occur in any of the results; null results are skipped. */
  static EvaluationColumns of(List<EvaluationResult> results) {
    Set<String> direct = new LinkedHashSet<>();
    Set<String> transferred = new LinkedHashSet<>();
    for (EvaluationResult result : results) {
      if (result != null) {
        direct.addAll(result.attacks().keySet());
        transferred.addAll(result.transfer().keySet());
      }
    }
    return new EvaluationColumns(List.copyOf(direct), List.copyOf(transferred));
  }

  /** Headings, those of the first columns before them. */
  List<String> headings(String... first) {
    List<String> headings = new ArrayList<>(List.of(first));
    headings.add("Clean");
    direct.forEach(name -> headings.add(AttackTexts.title(name)));
    transferred.forEach(name -> headings.add(AttackTexts.title(name) + ", transfer"));
    headings.add("Worst case");
    headings.add("95 % interval");
    return headings;
  }

  /** Cells of a result; dashes for null. */
  List<String> row(EvaluationResult result, String... first) {
    List<String> row = new ArrayList<>(List.of(first));
    if (result == null) {
      int rest = direct.size() + transferred.size() + 3;
      for (int i = 0; i < rest; i++) {
        row.add("–");
      }
      return row;
    }
    row.add(Numbers.percent(result.clean()));
    for (String name : direct) {
      row.add(
          Numbers.percent(
              result.attacks().containsKey(name) ? result.attacks().get(name).accuracy() : null));
    }
    for (String name : transferred) {
      row.add(
          Numbers.percent(
              result.transfer().containsKey(name) ? result.transfer().get(name).accuracy() : null));
    }
    row.add(Numbers.percent(worst(result)));
    row.add(
        result.worstCase() == null
            ? "–"
            : Numbers.percent(result.worstCase().low())
                + "–"
                + Numbers.percent(result.worstCase().high()));
    return row;
  }

  /** The worst case, or null without attacks. */
  static Double worst(EvaluationResult result) {
    return result == null || result.worstCase() == null ? null : result.worstCase().accuracy();
  }

  /** The lowest accuracy under a direct attack, or null. */
  static Double strongest(EvaluationResult result) {
    return result.attacks().values().stream()
        .map(EvaluationResult.AttackOutcome::accuracy)
        .min(Double::compare)
        .orElse(null);
  }

  /** Whether the intervals of two worst cases overlap; false where one is not known. */
  static boolean overlap(EvaluationResult a, EvaluationResult b) {
    return a.worstCase() != null
        && b.worstCase() != null
        && a.worstCase().low() <= b.worstCase().high()
        && b.worstCase().low() <= a.worstCase().high();
  }

  /** Adds what follows from how the results came about, each sentence once. */
  static void warnings(StudyReport.Builder report, List<EvaluationResult> results) {
    for (EvaluationResult result : results) {
      if (result != null) {
        Warnings.aboutMethod(result)
            .forEach(text -> report.warning(Warning.caution("evaluation", text)));
      }
    }
  }
}
