package io.github.igdefense.report;

import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/** A line per measure, a column per classifier, the worst case last. */
final class ResultsTable {
  private final RunReport report;

  ResultsTable(RunReport report) {
    this.report = report;
  }

  /** The caption and the table. */
  Html html() {
    boolean several = report.classifiers().size() > 1;
    Html html = new Html().open("p", "class", "caption", "id", "results-caption");
    boolean worst = report.classifiers().stream().anyMatch(c -> c.worstCase() != null);
    html.text("Accuracy in per cent" + (worst ? "; the line to quote is the worst case." : "."));
    if (several) {
      html.text(
          " Small figures are the difference to " + report.baseResult().title() + " in points.");
    }
    html.closeLine();
    html.scrolling("Results, table");
    html.open("table", "class", "results", "aria-describedby", "results-caption")
        .open("colgroup")
        .open("col", "class", "first");
    String width = String.format(Locale.ROOT, "width:%.2f%%", 72.0 / report.classifiers().size());
    for (int i = 0; i < report.classifiers().size(); i++) {
      html.open("col", "style", width);
    }
    html.close().open("thead").open("tr").open("td").close();
    for (ClassifierResult c : report.classifiers()) {
      html.open(
          "th", "scope", "col", "class", c.name().equals(report.evaluated()) ? "evaluated" : null);
      html.text(c.title());
      html.element("span", several ? role(c) : "", "class", "role").close();
    }
    html.close().closeLine();
    group(html, "Unchanged images");
    accuracyRow(html, "Clean", null, ClassifierResult::clean);
    html.close();
    List<String> direct = report.attackNames(false);
    if (!direct.isEmpty()) {
      group(html, "Attacked directly");
      for (String attack : direct) {
        for (String stage : report.stageNames(attack)) {
          row(
              html,
              "after " + AttackTexts.title(stage),
              "minor",
              c -> Numbers.percent(c.after(attack, stage)));
        }
        accuracyRow(html, report.attackTitle(attack), null, c -> c.attacks().get(attack));
      }
      if (!report.autoAttacked()) {
        row(html, "AutoAttack", "minor", c -> "not run");
      }
      html.close();
    }
    List<String> transferred = report.attackNames(true);
    if (!transferred.isEmpty()) {
      group(html, "Images made on " + report.baseResult().title() + " (transfer)");
      transferred.forEach(
          a -> accuracyRow(html, report.attackTitle(a), null, c -> c.transfer().get(a)));
      html.close();
    }
    if (worst) {
      html.open("tbody", "class", "total");
      String title = report.worstCaseTitle();
      String label = title.substring(0, 1).toUpperCase(Locale.ROOT) + title.substring(1);
      accuracyRow(html, label, "worst", ClassifierResult::worstCase);
      if (report.classifiers().stream().anyMatch(ClassifierResult::hasInterval)) {
        row(html, "95\u202f% interval", "minor", c -> c.hasInterval() ? Summary.interval(c) : "–");
      }
      html.close();
    }
    group(html, "Cost and noise");
    row(html, "Inference time", null, c -> Numbers.times(c.inferenceTimeRatio()));
    if (report.classifiers().stream().anyMatch(ClassifierResult::smoothed)) {
      row(html, "Smoothing", null, ResultsTable::smoothing);
    }
    return html.close().close().closeLine();
  }

  private static String smoothing(ClassifierResult c) {
    if (!c.smoothed()) {
      return "none";
    }
    String draws = c.smoothingSamples() == 1 ? "1 draw" : c.smoothingSamples() + " draws";
    double levels = c.smoothingSigma() * 255;
    String sigma =
        Math.abs(levels - Math.rint(levels)) < 1e-9
            ? Math.round(levels) + "/255"
            : Numbers.plain(c.smoothingSigma());
    return "σ " + sigma + ", " + draws;
  }

  private String role(ClassifierResult c) {
    return c.name().equals(report.base())
        ? "reference"
        : c.name().equals(report.evaluated()) ? "evaluated" : "";
  }

  private void group(Html html, String title) {
    html.open("tbody").open("tr", "class", "group");
    String columns = Integer.toString(report.classifiers().size() + 1);
    html.open("th", "scope", "rowgroup", "colspan", columns)
        .element("span", title)
        .close()
        .closeLine();
  }

  private void accuracyRow(
      Html html, String label, String style, Function<ClassifierResult, Double> value) {
    ClassifierResult base = report.baseResult();
    html.open("tr", "class", style).element("th", label, "scope", "row");
    for (ClassifierResult c : report.classifiers()) {
      Double mine = value.apply(c);
      Double reference = value.apply(base);
      boolean compare = c != base && mine != null && reference != null;
      cell(html, Numbers.percent(mine), compare ? Numbers.points(mine - reference) : "");
    }
    html.closeLine();
  }

  private void row(
      Html html, String label, String style, Function<ClassifierResult, String> value) {
    html.open("tr", "class", style).element("th", label, "scope", "row");
    report.classifiers().forEach(c -> cell(html, value.apply(c), ""));
    html.closeLine();
  }

  /** A value with room for a difference beside it, so that values line up. */
  private void cell(Html html, String value, String difference) {
    html.open("td").text(value);
    if (report.classifiers().size() > 1) {
      html.element("small", difference);
    }
    html.close();
  }
}
