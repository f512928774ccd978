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
    ClassifierResult base = report.baseResult();
    for (ClassifierResult classifier : report.classifiers()) {
      if (classifier != base) {
        misleading(classifier, out);
        overlap(base, classifier, report.provenance().imagesUsed(), out);
      }
      oneDraw(report, classifier, out);
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
        out.add(exceeds(c, "its accuracy on transferred " + report.attackTitle(e.getKey()), e.getValue()));
      }
    }
  }

  private static Warning exceeds(ClassifierResult c, String what, double value) {
    return Warning.problem(
        "worst_case_exceeds_column",
        "The worst case of " + c.title() + " (" + Numbers.percentSign(c.worstCase()) + ") is above " + what
            + " (" + Numbers.percentSign(value) + "). That cannot be: it was not computed image by image, or not"
            + " over the same images. Do not use these numbers.");
  }

  private static void misleading(ClassifierResult c, List<Warning> out) {
    if (c.worstCase() == null || c.attacks().isEmpty()) {
      return;
    }
    double direct = c.strongestAttack().getAsDouble();
    if (c.transfer().isEmpty()) {
      out.add(
          Warning.caution(
              "no_transfer",
              "No adversarial images of the base model were shown to " + c.title() + ", so its worst case covers"
                  + " direct attacks only. For a test-time defense that is likely too good."));
    } else if (direct - c.worstCase() >= MISLEADING_GAP) {
      out.add(
          Warning.caution(
              "direct_attacks_mislead",
              "Attacked directly, " + c.title() + " appears to keep " + Numbers.percentSign(direct)
                  + ", but its worst case is " + Numbers.percentSign(c.worstCase())
                  + ": images that fool it exist, and the direct attacks miss them. The gap between the two is"
                  + " not robustness; quote the worst case."));
    }
  }

  private static void overlap(ClassifierResult base, ClassifierResult c, long images, List<Warning> out) {
    if (base.hasInterval()
        && c.hasInterval()
        && c.worstCaseLow() <= base.worstCaseHigh()
        && base.worstCaseLow() <= c.worstCaseHigh()) {
      out.add(
          Warning.note(
              "intervals_overlap",
              "The 95" + "\u202f" + "% intervals of the worst cases of " + c.title() + " and " + base.title()
                  + " overlap: these " + Numbers.count(images)
                  + " images do not show that one is more robust than the other."));
    }
  }

  private static void oneDraw(RunReport report, ClassifierResult c, List<Warning> out) {
    Integer runs = report.settings().evaluationRuns();
    if (c.smoothed() && (runs == null || runs < 2)) {
      out.add(
          Warning.caution(
              "single_draw",
              c.title() + " adds random noise, and each image was judged by a single draw. Another seed gives"
                  + " other numbers."));
    }
  }

  private static void images(Provenance provenance, List<Warning> out) {
    if (provenance.imagesUsed() < SCREENING_IMAGES) {
      out.add(
          Warning.caution(
              "screening",
              "Only " + Numbers.count(provenance.imagesUsed())
                  + " images were used. Read this as a screening, not as a robustness claim; use at least "
                  + SCREENING_IMAGES + "."));
    }
    if (provenance.imagesUsed() != provenance.imagesAsked()) {
      out.add(
          Warning.note(
              "fewer_images",
              Numbers.count(provenance.imagesAsked()) + " images were asked for, "
                  + Numbers.count(provenance.imagesUsed()) + " were used."));
    }
  }

  private static void ranking(RankingPicture ranking, List<Warning> out) {
    if (ranking == null || !ranking.drawable() || ranking.keep() == 0 || ranking.keep() == ranking.units()) {
      return;
    }
    double shared = TopUnits.of(ranking).meanShared();
    if (shared > DEGENERATE_OVERLAP) {
      out.add(
          Warning.caution(
              "degenerate_ranking",
              "The ranking is degenerate: two classes share on average " + Numbers.percentSign(shared)
                  + " of their most important units, so the masks hardly depend on the class."));
    }
  }
}
