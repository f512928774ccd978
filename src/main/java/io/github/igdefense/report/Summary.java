package io.github.igdefense.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The run in plain words. */
final class Summary {
  private final RunReport report;
  private final ClassifierResult base;
  private final ClassifierResult subject;

  Summary(RunReport report) {
    this.report = report;
    base = report.baseResult();
    subject = report.evaluatedResult();
  }

  /** What was attacked and what an attack may do. */
  String question() {
    StringBuilder s = new StringBuilder();
    Provenance from = report.provenance();
    s.append(from.imagesUsed() == 1 ? "One image" : Numbers.count(from.imagesUsed()) + " images");
    s.append(from.dataName() == null ? "" : " of " + from.dataName());
    List<String> titles = report.classifiers().stream().map(ClassifierResult::title).toList();
    s.append(titles.size() == 1 ? ", one classifier: " : ", " + titles.size() + " classifiers: ");
    s.append(Text.list(titles)).append(". ");
    s.append(model()).append(threat());
    List<String> direct = subject.attacks().keySet().stream().map(report::attackTitle).toList();
    if (!direct.isEmpty()) {
      s.append(titles.size() == 1 ? " Attacks: " : " Attacks made directly on ")
          .append(titles.size() == 1 ? "" : subject.title() + ": ")
          .append(Text.list(direct))
          .append('.');
    }
    List<String> transferred = titles(true);
    if (!transferred.isEmpty()) {
      s.append(" Images that ")
          .append(Text.list(transferred))
          .append(" made on ")
          .append(base.title());
      s.append(
          titles.size() == 2
              ? " were shown to the other classifier too"
              : " were shown to the others too");
      s.append(" (transfer).");
    }
    return s.toString();
  }

  /** Which network all of them are built on. */
  private String model() {
    Provenance from = report.provenance();
    return from.arch() == null || from.modelFile() == null
        ? ""
        : "The network is " + from.arch() + " with the weights " + from.modelFile() + ". ";
  }

  private List<String> titles(boolean transferred) {
    return report.attackNames(transferred).stream().map(report::attackTitle).toList();
  }

  private String threat() {
    Settings settings = report.settings();
    String epsilon = settings.epsilonShown();
    return switch (settings.norm().toLowerCase(java.util.Locale.ROOT)) {
      case "linf" ->
          "An attack may change every pixel value by at most ε = "
              + epsilon
              + ", on a scale from 0 to 1 (L∞ norm).";
      case "l2" ->
          "An attack may move an image by at most ε = "
              + epsilon
              + " in Euclidean distance, pixel values from 0 to 1 (L2 norm).";
      case "l1" ->
          "The changes an attack makes to all pixel values, from 0 to 1, may add up to at most ε = "
              + epsilon
              + " (L1 norm).";
      default ->
          "An attack may change an image by at most ε = "
              + epsilon
              + " ("
              + settings.normText()
              + ").";
    };
  }

  /** What came out, sentence by sentence. */
  List<String> answers() {
    List<String> out = new ArrayList<>();
    out.add(cleanAndDirect());
    if (subject.worstCase() != null) {
      out.add(worstCase());
    }
    if (subject != base && subject.inferenceTimeRatio() != null) {
      out.add(
          "A prediction takes "
              + Numbers.times(subject.inferenceTimeRatio()).replace("×", "")
              + " times as long as"
              + " with "
              + base.title()
              + ".");
    }
    return out;
  }

  private String cleanAndDirect() {
    StringBuilder s = new StringBuilder(subject.title());
    s.append(" classifies ")
        .append(Numbers.percentSign(subject.clean()))
        .append(" of the unchanged images correctly");
    s.append(reference(base.clean()));
    if (!subject.attacks().isEmpty()) {
      double direct = subject.strongestAttack().getAsDouble();
      s.append(", and ")
          .append(Numbers.percentSign(direct))
          .append(" after the strongest attack made directly on it, ");
      s.append(strongest(subject.attacks(), direct));
      s.append(base.attacks().isEmpty() ? "" : reference(base.strongestAttack().getAsDouble()));
    }
    return s.append('.').toString();
  }

  private String reference(double accuracy) {
    return subject == base ? "" : " (" + base.title() + " " + Numbers.percentSign(accuracy) + ")";
  }

  private String strongest(Map<String, Double> accuracies, double lowest) {
    return accuracies.entrySet().stream()
        .filter(e -> e.getValue() == lowest)
        .map(e -> report.attackTitle(e.getKey()))
        .findFirst()
        .orElseThrow();
  }

  private String worstCase() {
    StringBuilder s = new StringBuilder("Counting an image only if it survives every attack");
    s.append(subject.transfer().isEmpty() ? "" : ", transfer included");
    s.append(", ")
        .append(subject.title())
        .append(" keeps ")
        .append(Numbers.percentSign(subject.worstCase()));
    s.append(subject.hasInterval() ? " (95\u202f% interval " + interval(subject) + ")" : "");
    if (subject == base || base.worstCase() == null) {
      return s.append('.').toString();
    }
    s.append(" and ")
        .append(base.title())
        .append(' ')
        .append(Numbers.percentSign(base.worstCase()));
    s.append(base.hasInterval() ? " (" + interval(base) + ")" : "").append(": ");
    return s.append(verdict()).append('.').toString();
  }

  private String verdict() {
    double gain = subject.worstCase() - base.worstCase();
    String size = Numbers.points(gain) + " points";
    if (!subject.hasInterval() || !base.hasInterval()) {
      return size;
    }
    boolean apart =
        subject.worstCaseLow() > base.worstCaseHigh()
            || subject.worstCaseHigh() < base.worstCaseLow();
    return apart
        ? size + ", more than the sampling of images explains"
        : size + ", no more than the sampling of images explains";
  }

  /** The ends of a worst case's interval: 33.0–38.6. */
  static String interval(ClassifierResult c) {
    return Numbers.percent(c.worstCaseLow()) + "–" + Numbers.percent(c.worstCaseHigh());
  }
}
