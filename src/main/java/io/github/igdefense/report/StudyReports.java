package io.github.igdefense.report;

import io.github.igdefense.evaluation.Ablation;
import io.github.igdefense.evaluation.EvaluationResult;
import io.github.igdefense.evaluation.KeepSearch;
import io.github.igdefense.evaluation.Sweep;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;

/** Studies as the parts of a {@link StudyReport}. Stateless. */
public final class StudyReports {
  private static final String SHARES = "Accuracy in per cent of all images";

  private StudyReports() {}

  /** Adds the curves and the table of a sweep. */
  public static void sweep(StudyReport.Builder report, Sweep.Over over, List<Sweep.Point> points) {
    List<EvaluationResult> defended = points.stream().map(Sweep.Point::defended).toList();
    List<EvaluationResult> base = points.stream().map(Sweep.Point::base).toList();
    List<String> ticks = points.stream().map(Sweep.Point::value).toList();
    boolean attacked = defended.get(0).worstCase() != null;
    report.question(
        "IG-Defense was evaluated at "
            + points.size()
            + " values of "
            + text(over)
            + ", everything else unchanged. Every point was attacked directly and shown the images"
            + " made on the base model.");
    boolean attackVaries = over == Sweep.Over.STEPS || over == Sweep.Over.EPS;
    if (attacked && attackVaries) {
      int last = points.size() - 1;
      report.summary(
          "From "
              + ticks.get(0)
              + " to "
              + ticks.get(last)
              + " the worst case goes from "
              + Numbers.percentSign(EvaluationColumns.worst(defended.get(0)))
              + " to "
              + Numbers.percentSign(EvaluationColumns.worst(defended.get(last)))
              + ", the base model's from "
              + Numbers.percentSign(EvaluationColumns.worst(base.get(0)))
              + " to "
              + Numbers.percentSign(EvaluationColumns.worst(base.get(last)))
              + ".");
    } else if (attacked) {
      int best =
          IntStream.range(0, points.size())
              .boxed()
              .max(Comparator.comparing(i -> EvaluationColumns.worst(defended.get(i))))
              .orElseThrow();
      report.summary(
          "The worst case is highest, "
              + Numbers.percentSign(EvaluationColumns.worst(defended.get(best)))
              + ", at "
              + ticks.get(best)
              + " (base model under the same attacks "
              + Numbers.percentSign(EvaluationColumns.worst(base.get(best)))
              + (EvaluationColumns.overlap(defended.get(best), base.get(best))
                  ? "; the two intervals overlap)."
                  : "; the two intervals do not overlap)."));
    }
    List<Block.Series> series = new ArrayList<>();
    if (attacked) {
      series.add(
          new Block.Series(
              "IG-Defense, worst case",
              map(defended, EvaluationColumns::worst),
              map(defended, r -> r.worstCase().low()),
              map(defended, r -> r.worstCase().high())));
      series.add(
          new Block.Series(
              "Base model, worst case", map(base, EvaluationColumns::worst), null, null));
      series.add(
          new Block.Series(
              "IG-Defense, strongest direct attack",
              map(defended, EvaluationColumns::strongest),
              null,
              null));
    }
    series.add(
        new Block.Series("IG-Defense, clean", map(defended, EvaluationResult::clean), null, null));
    List<EvaluationResult> all = new ArrayList<>(defended);
    all.addAll(base);
    EvaluationColumns columns = EvaluationColumns.of(all);
    List<List<String>> rows = new ArrayList<>();
    for (Sweep.Point point : points) {
      rows.add(columns.row(point.defended(), point.value(), "IG-Defense"));
      rows.add(columns.row(point.base(), point.value(), "Base model"));
    }
    report.section(
        "curves",
        "Accuracy over " + text(over),
        new Block.Curves(
            "Accuracy as "
                + text(over)
                + " varies; vertical lines are 95 % intervals of the worst case. Values stand at"
                + " equal distances.",
            text(over),
            ticks,
            series),
        new Block.Table(SHARES, columns.headings(over.toString(), "Classifier"), rows));
    EvaluationColumns.warnings(report, all);
    common(report);
    if (!attackVaries) {
      report.limit(
          "The best of several values was chosen on the images it is reported on; other images will"
              + " show less.");
    }
    report.data("over", over.toString()).data("points", points);
  }

  private static List<Double> map(
      List<EvaluationResult> results, Function<EvaluationResult, Double> value) {
    return results.stream().map(value).collect(java.util.stream.Collectors.toList());
  }

  private static String text(Sweep.Over over) {
    return switch (over) {
      case KEEP -> "the units kept per class (k)";
      case LAYER -> "the masked layer";
      case SIGMA -> "the noise of the first pass (σ)";
      case SAMPLES -> "the noise draws per image";
      case TEMPERATURE -> "the temperature of the class weights (τ)";
      case PROBE_FRACTION -> "the share of probe images behind the ranking";
      case STEPS -> "the steps of the attacks";
      case EPS -> "the radius of the attacks (ε)";
    };
  }

  /** Adds the nine rows of an ablation. */
  public static void ablation(StudyReport.Builder report, List<Ablation> rows) {
    List<EvaluationResult> results = rows.stream().map(Ablation::result).toList();
    EvaluationColumns columns = EvaluationColumns.of(results);
    List<List<String>> cells = new ArrayList<>();
    List<Block.Bar> bars = new ArrayList<>();
    for (Ablation row : rows) {
      String smoothing = row.smoothing() ? "yes" : "no";
      cells.add(columns.row(row.result(), "" + row.passes(), mask(row.mask()), smoothing));
      Double worst = EvaluationColumns.worst(row.result());
      bars.add(
          new Block.Bar(
              row.passes()
                  + (row.passes() == 1 ? " pass, " : " passes, ")
                  + (row.mask().equals("none") ? "no mask" : mask(row.mask()))
                  + (row.smoothing() ? ", smoothed" : ""),
              worst == null ? null : 100 * worst,
              worst == null ? null : 100 * row.result().worstCase().low(),
              worst == null ? null : 100 * row.result().worstCase().high(),
              Numbers.percentSign(worst)));
    }
    report.question(
        "The parts of IG-Defense were switched on one by one: a second pass, masks (random, CD-IR,"
            + " LO-IR), smoothing of the first pass. Every row was attacked directly and shown the"
            + " images made on the base model.");
    Ablation base = rows.get(0);
    Ablation whole = rows.get(rows.size() - 1);
    Double before = EvaluationColumns.worst(base.result());
    Double after = EvaluationColumns.worst(whole.result());
    if (before != null && after != null) {
      report.summary(
          "From the base model to the whole defense (LO-IR, smoothed) the worst case goes from "
              + Numbers.percentSign(before)
              + " to "
              + Numbers.percentSign(after)
              + (EvaluationColumns.overlap(base.result(), whole.result())
                  ? "; the two 95 % intervals overlap."
                  : "; the two 95 % intervals do not overlap."));
    }
    report.section(
        "rows",
        "The nine rows",
        new Block.Table(SHARES, columns.headings("Passes", "Mask", "Smoothing"), cells),
        new Block.Bars(
            "Worst case with 95 % intervals. Without smoothing the paper's worst-case gain is zero:"
                + " the pseudo-label is attacked by transfer.",
            List.of(new Block.BarGroup("Worst case", bars))));
    if (rows.stream().anyMatch(row -> row.result() == null)) {
      report.warning(
          Warning.note(
              "no_cdir",
              "The two CD-IR rows are empty: no CD-IR ranking was given (--cdir-ranking)."));
    }
    EvaluationColumns.warnings(report, results);
    common(report);
    report.data("rows", rows);
  }

  private static String mask(String mask) {
    return switch (mask) {
      case "loir" -> "LO-IR";
      case "cdir" -> "CD-IR";
      default -> mask;
    };
  }

  /** Adds what a search for k tried, and the evaluation of the k it chose. */
  public static void keep(StudyReport.Builder report, KeepSearch search) {
    report.question(
        "A binary search looked for the smallest number k of units kept per class whose clean"
            + " accuracy is at most "
            + Numbers.points(search.tolerance()).substring(1)
            + " points below the base model's; the k found was then attacked once.");
    report.summary(
        search.reached()
            ? "k = " + search.keep() + " keeps the accuracy asked for."
            : "No k keeps the accuracy asked for, not even all "
                + search.keep()
                + " units: the noise of the first pass costs more than the tolerance.");
    report.summary(
        "Worst case with it: "
            + Numbers.percentSign(EvaluationColumns.worst(search.defended()))
            + ", base model "
            + Numbers.percentSign(EvaluationColumns.worst(search.base()))
            + ".");
    List<Double> clean = new ArrayList<>();
    List<Double> base = new ArrayList<>();
    List<List<String>> tried = new ArrayList<>();
    for (KeepSearch.Tried one : search.tried()) {
      clean.add(one.clean());
      base.add(search.baseClean());
      tried.add(
          List.of(
              "" + one.keep(),
              Numbers.percent(one.clean()),
              Numbers.points(one.clean() - search.baseClean())));
    }
    EvaluationColumns columns = EvaluationColumns.of(List.of(search.base(), search.defended()));
    report
        .section(
            "search",
            "Clean accuracy of the k tried",
            new Block.Curves(
                "Clean accuracy of every k the search tried; values stand at equal distances.",
                "k",
                search.tried().stream().map(one -> "" + one.keep()).toList(),
                List.of(
                    new Block.Series("IG-Defense, clean", clean, null, null),
                    new Block.Series("Base model, clean", base, null, null))),
            new Block.Table(
                "Clean accuracy in per cent, and the difference from the base in points",
                List.of("k", "Clean", "Difference"),
                tried))
        .section(
            "robust",
            "The k chosen, under attack",
            new Block.Table(
                SHARES,
                columns.headings("Classifier"),
                List.of(
                    columns.row(search.base(), "Base model"),
                    columns.row(search.defended(), "IG-Defense, k = " + search.keep()))));
    EvaluationColumns.warnings(report, List.of(search.base(), search.defended()));
    common(report);
    report
        .limit(
            "Clean accuracy does not grow with k everywhere: a smaller k may do as well, and a k of"
                + " equal clean accuracy may be more robust.")
        .data("search", search);
  }

  /** What holds for every study with attacks. */
  static void common(StudyReport.Builder report) {
    report
        .limit(
            "The worst case is an upper bound on robustness: a stronger attack, or more steps of"
                + " the same, can only lower it.")
        .limit(
            "Accuracy under direct attacks alone is no measure of a test-time defense; the worst"
                + " case counts images made on the base model as well.")
        .limit(
            "The intervals cover the choice of these images, not another training run, another"
                + " model or other data.")
        .word("Clean", "Share of unchanged images that are classified correctly.")
        .word(
            "Direct attack",
            "Adversarial images computed on the very classifier that is judged, the defense"
                + " included.")
        .word("Transfer", "Adversarial images computed on the base model.")
        .word(
            "Worst case",
            "Share of images that are classified correctly unchanged, after every direct attack and"
                + " after every transfer.")
        .word(
            "IG-Defense",
            "A first pass gives a pseudo-label; a second pass keeps only the k units (channels of"
                + " one layer) that matter most to that class. No training is involved.")
        .word("Smoothing", "Gaussian noise added to the image before the first pass.");
  }
}
