package io.github.igdefense.report;

import io.github.igdefense.evaluation.ActivationChanges.Change;
import io.github.igdefense.evaluation.ActivationChanges.Group;
import io.github.igdefense.evaluation.Analysis;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** An {@link Analysis} as the parts of a {@link StudyReport}. Stateless. */
public final class AnalysisReport {
  private static final int FEW_IMAGES = 30;

  private AnalysisReport() {}

  /** Adds everything but provenance, settings, command and time. */
  public static void add(StudyReport.Builder report, Analysis analysis) {
    int broken = analysis.successful().images();
    report
        .question(
            Numbers.count(analysis.correct())
                + " of "
                + Numbers.count(analysis.images())
                + " images, those that the model classifies correctly, were attacked with "
                + analysis.attack()
                + ". For every image the activations of "
                + analysis.layer()
                + ", averaged over height and width, were compared before and after. The "
                + analysis.topK()
                + " most important units of a class are those that rank highest for it.")
        .summary(
            Numbers.count(broken)
                + " attacks succeeded, "
                + Numbers.count(analysis.failed().images())
                + " failed.");
    signs(report, analysis);
    report.section(
        "changes",
        "Change of activation",
        new Block.Bars(
            "Mean relative change of the groups' mean activation, in per cent, with 95 % intervals"
                + " (percentile bootstrap over images). The published figure, averaged over five"
                + " models: successful attacks −33.3 (true class), +32.6 (post-attack class), +0.3"
                + " (remaining), −0.2 (unimportant); failed attacks −48.3, −4.5 and −11.7.",
            List.of(
                bars("Successful attacks", analysis.successful()),
                bars("Failed attacks", analysis.failed()))),
        table(analysis));
    if (broken > 0 && broken < FEW_IMAGES) {
      report.warning(
          Warning.caution(
              "few_successes",
              "Only "
                  + broken
                  + " attacks succeeded: the upper half of the figure rests on few images."));
    }
    if (broken == 0) {
      report.warning(
          Warning.caution(
              "no_success",
              "No attack succeeded, so nothing is known of successful ones; use a larger --eps,"
                  + " more steps or more images."));
    }
    report
        .limit(
            "The change of a mean says nothing about single units, nor that the units cause the"
                + " misclassification.")
        .limit(
            "Units are called important by one ranking; another method may choose others. The"
                + " post-attack class is where this attack led, another attack may lead elsewhere.")
        .limit(
            "Images without a relative change in a group (the group is empty, or silent on the"
                + " clean image) are left out of that group's mean; the table counts them.")
        .word("Unit", "One channel of the layer.")
        .word(
            "True class",
            "The " + analysis.topK() + " units that matter most to the class the image belongs to.")
        .word("Post-attack class", "Those of the class the model sees after the attack.")
        .word("Remaining", "Units important to some class, but to neither of these two.")
        .word("Unimportant", "Units that are not important to any class.")
        .word(
            "Relative change",
            "(mean activation of the group after − before) / before, for one image; then the mean"
                + " over images.")
        .data("analysis", analysis);
  }

  private static void signs(StudyReport.Builder report, Analysis analysis) {
    Double own = analysis.successful().percent(Group.TRUE_CLASS);
    Double post = analysis.successful().percent(Group.POST_ATTACK_CLASS);
    if (own == null || post == null) {
      return;
    }
    boolean asPublished = own < 0 && post > 0;
    report.summary(
        "Where an attack succeeds, units important to the true class change by "
            + signed(own)
            + " and those of the class it leads to by "
            + signed(post)
            + ": "
            + (asPublished
                ? "down and up, as the paper found"
                : "not down and up, as the paper found on its models")
            + (clear(analysis.successful()) ? "." : "; at least one interval includes 0."));
  }

  /** Whether the intervals of both groups lie on one side of 0. */
  private static boolean clear(Analysis.Part part) {
    return part.changes().stream()
        .filter(c -> c.group() == Group.TRUE_CLASS || c.group() == Group.POST_ATTACK_CLASS)
        .allMatch(c -> c.low() != null && (c.low() > 0 || c.high() < 0));
  }

  private static Block.BarGroup bars(String heading, Analysis.Part part) {
    List<Block.Bar> bars = new ArrayList<>();
    for (Change change : part.changes()) {
      bars.add(
          new Block.Bar(
              title(change.group(), part),
              change.percent(),
              change.low(),
              change.high(),
              signed(change.percent())));
    }
    return new Block.BarGroup(heading + ", " + Numbers.count(part.images()) + " images", bars);
  }

  private static String title(Group group, Analysis.Part part) {
    return switch (group) {
      case TRUE_CLASS -> "True class";
      case POST_ATTACK_CLASS -> "Post-attack class";
      case REMAINING ->
          part.percent(Group.POST_ATTACK_CLASS) == null ? "Other classes" : "Remaining classes";
      case UNIMPORTANT -> "Unimportant";
    };
  }

  /** A change in per cent with its sign: +32.6 %. */
  static String signed(Double percent) {
    if (percent == null) {
      return "–";
    }
    String size = String.format(Locale.ROOT, "%.1f", Math.abs(percent));
    String sign = size.equals("0.0") ? "±" : percent < 0 ? "\u2212" : "+";
    return sign + size + "\u202f%";
  }

  private static Block.Table table(Analysis analysis) {
    List<List<String>> rows = new ArrayList<>();
    rows(rows, "Successful", analysis.successful());
    rows(rows, "Failed", analysis.failed());
    return new Block.Table(
        "Mean relative change in per cent",
        List.of("Attacks, units", "Change", "From", "To", "Images", "Skipped"),
        rows);
  }

  private static void rows(List<List<String>> rows, String kind, Analysis.Part part) {
    for (Change change : part.changes()) {
      rows.add(
          List.of(
              kind + ": " + title(change.group(), part).toLowerCase(Locale.ROOT),
              signed(change.percent()),
              signed(change.low()),
              signed(change.high()),
              Numbers.count(change.images()),
              Numbers.count(change.skipped())));
    }
  }
}
