package io.github.igdefense.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The warnings that follow from the numbers of a report alone. */
final class StandardWarnings {
  /** Below this many images a run is a screening. */
  static final int SCREENING_IMAGES = 500;

  /** A direct attack this far above the worst case is called misleading. */
  static final double MISLEADING_GAP = 0.03;

  /** Rankings whose classes share more than this part of their top units are called degenerate. */
  static final double DEGENERATE_OVERLAP = 0.9;

  private static final double ROUNDING = 1e-9;

  private StandardWarnings() {}

  static List<Warning> of(RunReport report) {
    List<Warning> out = new ArrayList<>();
    for (ClassifierResult classifier : report.classifiers()) {
      contradictions(report, classifier, out);
    }
    misleading(report, out);
    overlap(report, out);
    for (ClassifierResult classifier : report.classifiers()) {
      oneDraw(report, classifier, out);
    }
    if (report.protocol() == Protocol.IW_WC_SCREENING) {
      out.add(
          Warning.caution(
              "screening_preset",
              "The attacks of the worst case were cut short: screening, not a robustness claim."
                  + " Run the full worst case before quoting a number."));
    }
    images(report.provenance(), out);
    ranking(report.ranking(), out);
    return out;
  }

  private static void contradictions(RunReport report, ClassifierResult c, List<Warning> out) {
    if (c.worstCase() == null) {
      return;
    }
    if (c.worstCase() > c.clean() + ROUNDING) {
      out.add(exceeds(c, "its clean accuracy", c.clean()));
    }
    for (Map.Entry<String, Double> e : c.attacks().entrySet()) {
      if (c.worstCase() > e.getValue() + ROUNDING) {
        out.add(exceeds(c, "its accuracy against " + report.attackTitle(e.getKey()), e.getValue()));
      }
    }
    for (Map.Entry<String, Double> e : c.transfer().entrySet()) {
      if (c.worstCase() > e.getValue() + ROUNDING) {
        out.add(
            exceeds(
                c, "its accuracy on transferred " + report.attackTitle(e.getKey()), e.getValue()));
      }
    }
  }

  private static Warning exceeds(ClassifierResult c, String what, double value) {
    return Warning.problem(
        "worst_case_exceeds_column",
        "The worst case of "
            + c.title()
            + " ("
            + Numbers.percentSign(c.worstCase())
            + ") is above "
            + what
            + " ("
            + Numbers.percentSign(value)
            + "). That cannot be: it was not computed image by image, or not"
            + " over the same images. Do not use these numbers.");
  }

  private static void misleading(RunReport report, List<Warning> out) {
    List<String> gaps = new ArrayList<>();
    List<String> noTransfer = new ArrayList<>();
    for (ClassifierResult c : report.classifiers()) {
      if (c.name().equals(report.base()) || c.worstCase() == null || c.attacks().isEmpty()) {
        continue;
      }
      double direct = c.strongestAttack().getAsDouble();
      if (c.transfer().isEmpty()) {
        noTransfer.add(c.title());
      } else if (direct - c.worstCase() >= MISLEADING_GAP) {
        gaps.add(
            c.title()
                + " appears to keep "
                + Numbers.percentSign(direct)
                + ", but its worst case is "
                + Numbers.percentSign(c.worstCase()));
      }
    }
    if (!noTransfer.isEmpty()) {
      out.add(
          Warning.caution(
              "no_transfer",
              "No adversarial images of the base model were shown to "
                  + Text.list(noTransfer)
                  + ", so the worst case covers direct attacks only. For a test-time defense that"
                  + " is likely too good."));
    }
    if (!gaps.isEmpty()) {
      out.add(
          Warning.caution(
              "direct_attacks_mislead",
              "Attacked directly, "
                  + String.join("; ", gaps)
                  + ". Images that fool "
                  + (gaps.size() == 1 ? "it" : "them")
                  + " exist, and the direct attacks miss them. The gap is not robustness:"
                  + " quote the worst case."));
    }
  }

  private static void overlap(RunReport report, List<Warning> out) {
    ClassifierResult base = report.baseResult();
    List<String> same = new ArrayList<>();
    for (ClassifierResult c : report.classifiers()) {
      if (c != base
          && base.hasInterval()
          && c.hasInterval()
          && c.worstCaseLow() <= base.worstCaseHigh()
          && base.worstCaseLow() <= c.worstCaseHigh()) {
        same.add(c.title());
      }
    }
    if (!same.isEmpty()) {
      out.add(
          Warning.note(
              "intervals_overlap",
              "The worst case of "
                  + Text.list(same)
                  + " has a 95\u202f% interval that overlaps "
                  + base.title()
                  + "'s: these "
                  + Numbers.count(report.provenance().imagesUsed())
                  + " images do not show that one is more robust than the other."));
    }
  }

  private static void oneDraw(RunReport report, ClassifierResult c, List<Warning> out) {
    Integer runs = report.settings().evaluationRuns();
    if (c.smoothed() && (runs == null || runs < 2)) {
      out.add(
          Warning.caution(
              "single_draw",
              c.title()
                  + " adds random noise, and each image was judged by a single draw. Another seed"
                  + " gives other numbers."));
    }
  }

  private static void images(Provenance provenance, List<Warning> out) {
    if (provenance.imagesUsed() < SCREENING_IMAGES) {
      out.add(
          Warning.caution(
              "screening",
              "Only "
                  + Numbers.count(provenance.imagesUsed())
                  + " images were used. Read this as a screening, not as a robustness claim; use at"
                  + " least "
                  + SCREENING_IMAGES
                  + "."));
    }
    if (provenance.imagesUsed() != provenance.imagesAsked()) {
      out.add(
          Warning.note(
              "fewer_images",
              Numbers.count(provenance.imagesAsked())
                  + " images were asked for, "
                  + Numbers.count(provenance.imagesUsed())
                  + " were used."));
    }
  }

  private static void ranking(RankingPicture ranking, List<Warning> out) {
    if (ranking == null
        || !ranking.drawable()
        || ranking.keep() == 0
        || ranking.keep() == ranking.units()) {
      return;
    }
    double shared = TopUnits.of(ranking).meanShared();
    if (shared > DEGENERATE_OVERLAP) {
      out.add(
          Warning.caution(
              "degenerate_ranking",
              "The ranking is degenerate: two classes share on average "
                  + Numbers.percentSign(shared)
                  + " of their most important units, so the masks hardly depend on the class."));
    }
  }
}
