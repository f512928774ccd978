package io.github.igdefense.report;

import io.github.igdefense.evaluation.Ablation;
import io.github.igdefense.evaluation.EvaluationResult;
import io.github.igdefense.evaluation.KeepSearch;
import io.github.igdefense.evaluation.LossSurface;
import io.github.igdefense.evaluation.Sweep;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
    if (attacked) {
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
    report
        .limit(
            "The best of several values was chosen on the images it is reported on; other images"
                + " will show less.")
        .data("over", over.toString())
        .data("points", points);
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

  /** Adds accuracies per class of the base model and the defense. */
  public static void classes(
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
    common(report);
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

  /** Adds loss surfaces by the names to print, on one common colour scale. */
  public static void surfaces(
      StudyReport.Builder report, String epsilon, Map<String, LossSurface> surfaces) {
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (LossSurface surface : surfaces.values()) {
      for (List<Double> row : surface.loss()) {
        for (double value : row) {
          low = Math.min(low, value);
          high = Math.max(high, value);
        }
      }
    }
    List<Block> blocks = new ArrayList<>();
    List<List<String>> rows = new ArrayList<>();
    for (Map.Entry<String, LossSurface> entry : surfaces.entrySet()) {
      LossSurface surface = entry.getValue();
      blocks.add(
          new Block.Surface(
              entry.getKey(),
              "Mean cross-entropy of " + surface.images() + " images over both directions.",
              "Sign of the gradient, a",
              "Orthogonal direction, b",
              List.of("\u2212" + epsilon, "+" + epsilon),
              array(surface.loss()),
              low,
              high));
      rows.add(
          List.of(
              entry.getKey(),
              Numbers.plain(surface.middle()),
              Numbers.plain(surface.alongGradient()),
              Numbers.plain(surface.highestInBall())));
      report.summary(
          entry.getKey()
              + ": mean loss "
              + Numbers.plain(surface.middle())
              + " at the images, "
              + Numbers.plain(surface.alongGradient())
              + " one full step along the gradient's sign.");
    }
    blocks.add(
        new Block.Table(
            "Mean cross-entropy",
            List.of("Classifier", "At the image", "At ε along the gradient", "Highest in the ball"),
            rows));
    report
        .question(
            "The loss of every classifier around "
                + surfaces.values().iterator().next().images()
                + " images, over the square spanned by the sign of its own loss gradient and by an"
                + " orthogonal sign pattern, clipped to the range of pixels. Random parts of a"
                + " defense are fixed to one draw. All surfaces share one colour scale.")
        .section("surfaces", "Loss around the images", blocks.toArray(Block[]::new))
        .limit(
            "Two directions out of thousands, averaged over images: a smooth picture does not show"
                + " that gradients lead to the strongest attack.")
        .limit("The ball of radius ε is the white diamond; the corners of the square lie at 2ε.")
        .word("Loss", "Cross-entropy of the true class; higher is worse for the classifier.")
        .data("epsilon", epsilon)
        .data("surfaces", new LinkedHashMap<>(surfaces));
  }

  private static double[][] array(List<List<Double>> rows) {
    return rows.stream()
        .map(row -> row.stream().mapToDouble(Double::doubleValue).toArray())
        .toArray(double[][]::new);
  }

  /** What holds for every study with attacks. */
  private static void common(StudyReport.Builder report) {
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
