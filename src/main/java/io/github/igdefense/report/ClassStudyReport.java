package io.github.igdefense.report;

import io.github.igdefense.evaluation.EvaluationResult;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** The study of single classes as the parts of a {@link StudyReport}. Stateless. */
public final class ClassStudyReport {
  private ClassStudyReport() {}

  /** Adds accuracies per class of the base model and the defense. */
  public static void add(
      StudyReport.Builder report,
      List<String> classNames,
      EvaluationResult base,
      EvaluationResult defended) {
    report.question(
        "Clean accuracy and worst case of every class, for the base model and IG-Defense, under the"
            + " same attacks.");
    List<List<String>> rows = new ArrayList<>();
    for (int c = 0; c < classNames.size(); c++) {
      rows.add(
          List.of(
              classNames.get(c),
              Numbers.percent(base.cleanPerClass().get(c)),
              Numbers.percent(defended.cleanPerClass().get(c)),
              Numbers.percent(worst(base).get(c)),
              Numbers.percent(worst(defended).get(c))));
    }
    extremes(report, "Base model", classNames, worst(base));
    extremes(report, "IG-Defense", classNames, worst(defended));
    List<Block.BarGroup> groups = new ArrayList<>();
    groups.add(group("Base model, worst case", classNames, worst(base)));
    groups.add(group("IG-Defense, worst case", classNames, worst(defended)));
    report.section(
        "classes",
        "Class by class",
        new Block.Table(
            "Accuracy in per cent of the class's images",
            List.of(
                "Class",
                "Base, clean",
                "IG-Defense, clean",
                "Base, worst case",
                "IG-Defense, worst case"),
            rows),
        new Block.Bars("Share of the class's images that survive everything.", groups));
    EvaluationColumns.warnings(report, List.of(base, defended));
    StudyReports.common(report);
    report
        .limit(
            "A class has a tenth or less of the images: differences between classes of a few points"
                + " are chance. Best and worst of many classes look more extreme than they are.")
        .data("class_names", classNames)
        .data("base", base)
        .data("defended", defended);
  }

  private static List<Double> worst(EvaluationResult result) {
    return result.worstCase() == null ? result.cleanPerClass() : result.worstCase().perClass();
  }

  private static Block.BarGroup group(String heading, List<String> names, List<Double> values) {
    List<Block.Bar> bars = new ArrayList<>();
    for (int c = 0; c < names.size(); c++) {
      Double value = values.get(c);
      bars.add(
          new Block.Bar(
              names.get(c),
              value == null ? null : 100 * value,
              null,
              null,
              Numbers.percentSign(value)));
    }
    return new Block.BarGroup(heading, bars);
  }

  private static void extremes(
      StudyReport.Builder report, String who, List<String> names, List<Double> values) {
    List<Integer> known =
        IntStream.range(0, names.size()).filter(c -> values.get(c) != null).boxed().toList();
    if (known.size() < 2) {
      return;
    }
    Comparator<Integer> byValue = Comparator.comparing(values::get);
    int low = known.stream().min(byValue).orElseThrow();
    int high = known.stream().max(byValue).orElseThrow();
    report.summary(
        who
            + ": worst on "
            + names.get(low)
            + " ("
            + Numbers.percentSign(values.get(low))
            + "), best on "
            + names.get(high)
            + " ("
            + Numbers.percentSign(values.get(high))
            + ").");
  }
}
