package io.github.igdefense.report;

import java.util.ArrayList;
import java.util.List;

/** Accuracies per class, as bars and numbers. */
final class ClassTable {
  /** More classes than this are folded away. */
  private static final int MANY_CLASSES = 20;

  private final RunReport report;

  ClassTable(RunReport report) {
    this.report = report;
  }

  /** True if there is anything to show. */
  boolean present() {
    return report.classifiers().stream().anyMatch(c -> !c.perClassClean().isEmpty());
  }

  /** The section's content; empty if there is nothing to show. */
  Html html() {
    Html html = new Html();
    if (!present()) {
      return html;
    }
    html.element("p", extremes());
    boolean many = report.classNames().size() > MANY_CLASSES;
    if (many) {
      html.open("details").element("summary", "All " + report.classNames().size() + " classes");
    }
    html.open("p", "class", "caption", "id", "classes-caption")
        .text("Accuracy per class in per cent: ");
    html.open("span", "class", "swatch swatch-worst").close().text("\u00a0worst case of ");
    html.open("span", "class", "swatch swatch-clean").close().text("\u00a0clean").closeLine();
    html.scrolling("Classes, table");
    html.open("table", "class", "classes", "aria-describedby", "classes-caption");
    html.open("thead").open("tr").element("th", "Class", "scope", "col");
    for (ClassifierResult c : report.classifiers()) {
      html.element("th", c.title(), "scope", "col");
    }
    html.close().close().open("tbody");
    for (int k = 0; k < report.classNames().size(); k++) {
      html.open("tr").element("th", report.classNames().get(k), "scope", "row");
      for (ClassifierResult c : report.classifiers()) {
        classCell(html, at(c.perClassClean(), k), at(c.perClassWorst(), k));
      }
      html.closeLine();
    }
    html.close().close().close();
    return many ? html.close() : html;
  }

  private static void classCell(Html html, Double clean, Double worst) {
    html.open("td").add(Charts.bar(clean, worst)).open("span", "class", "pair");
    html.element("b", Numbers.percent(worst))
        .element("span", " of ", "class", "of")
        .text(Numbers.percent(clean));
    html.close().close();
  }

  private static Double at(List<Double> values, int index) {
    return index < values.size() ? values.get(index) : null;
  }

  private String extremes() {
    ClassifierResult c = report.evaluatedResult();
    boolean worst = c.perClassWorst().stream().anyMatch(v -> v != null);
    List<Double> values = worst ? c.perClassWorst() : c.perClassClean();
    List<Integer> known = new ArrayList<>();
    for (int k = 0; k < values.size(); k++) {
      if (values.get(k) != null) {
        known.add(k);
      }
    }
    if (known.size() < 2) {
      return "";
    }
    known.sort((a, b) -> Double.compare(values.get(a), values.get(b)));
    int low = known.get(0);
    int high = known.get(known.size() - 1);
    return c.title()
        + (worst ? ", worst case" : ", unchanged images")
        + ": weakest on "
        + report.classNames().get(low)
        + " ("
        + Numbers.percentSign(values.get(low))
        + "), strongest on "
        + report.classNames().get(high)
        + " ("
        + Numbers.percentSign(values.get(high))
        + ").";
  }
}
