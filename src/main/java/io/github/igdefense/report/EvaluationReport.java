package io.github.igdefense.report;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.defense.AntiAdversary;
import io.github.igdefense.defense.GradientMode;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.InputDefense;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.evaluation.AttackPlan;
import io.github.igdefense.evaluation.AttackRun;
import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.EvaluationResult;
import io.github.igdefense.evaluation.Finding;
import io.github.igdefense.evaluation.Predictions;
import io.github.igdefense.evaluation.Timing;
import io.github.igdefense.evaluation.Warnings;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/** Turns the results of a {@link Comparison} into the parts of a {@link RunReport}. Stateless. */
public final class EvaluationReport {
  private static final int GALLERY_IMAGES = 8;

  private EvaluationReport() {}

  /**
   * Adds classifiers, attacks, warnings, class names and the gallery.
   *
   * @param timings of {@link Comparison#timings}, or empty
   */
  public static void add(RunReport.Builder report, Comparison comparison, List<Timing> timings) {
    report.classNames(comparison.images().classNames());
    for (AttackPlan plan : comparison.plans().all()) {
      report.attack(describe(plan));
    }
    // One warning for all classifiers of which it says the same.
    Map<List<String>, List<String>> about = new LinkedHashMap<>();
    for (int i = 0; i < comparison.rows().size(); i++) {
      Comparison.Row row = comparison.rows().get(i);
      EvaluationResult result = row.evaluation().result();
      report.classifier(
          classifier(row, result, i == 0 || timings.isEmpty() ? null : timings.get(i)));
      for (Finding finding : result.findings()) {
        said(about, finding.code(), finding.text(), row);
      }
      for (String warning : Warnings.aboutMethod(result)) {
        said(about, "evaluation", warning, row);
      }
      if (row.classifier() instanceof IgDefense defense && !defense.smoothing().enabled()) {
        said(
            about,
            "no_smoothing",
            "without smoothing the worst-case gain of this defense is zero. Its pseudo-label comes"
                + " from the base model, so images that fool the base model fool it too; accuracies"
                + " against direct attacks alone are no evidence of robustness.",
            row);
      }
    }
    about.forEach(
        (text, titles) ->
            report.warning(Warning.caution(text.get(0), Text.list(titles) + ": " + text.get(1))));
    gallery(report, comparison);
  }

  private static void said(
      Map<List<String>, List<String>> about, String code, String text, Comparison.Row row) {
    about.computeIfAbsent(List.of(code, text), key -> new ArrayList<>()).add(row.title());
  }

  /** Adds one classifier that was attacked alone. */
  public static void addSingle(
      RunReport.Builder report, String title, Evaluation evaluation, ImageSet images) {
    EvaluationResult result = evaluation.result();
    report.classNames(images.classNames());
    evaluation.attacks().values().forEach(run -> report.attack(describe(run.plan())));
    report.classifier(classifier(new Comparison.Row("evaluated", title, evaluation), result, null));
    result
        .findings()
        .forEach(finding -> report.warning(Warning.caution(finding.code(), finding.text())));
    Warnings.aboutMethod(result)
        .forEach(warning -> report.warning(Warning.caution("evaluation", warning)));
  }

  private static AttackDescription describe(AttackPlan plan) {
    String[] text = AttackTexts.of(plan.name());
    Map<String, String> parameters = new LinkedHashMap<>();
    plan.parameters()
        .forEach(
            (name, value) -> {
              if (value instanceof List<?> list) {
                for (int i = 0; i < list.size(); i++) {
                  parameters.put("stage " + (i + 1), String.valueOf(list.get(i)));
                }
              } else {
                parameters.put(name, String.valueOf(value));
              }
            });
    return new AttackDescription(plan.name(), text[0], text[1], parameters);
  }

  private static ClassifierResult classifier(
      Comparison.Row row, EvaluationResult result, Timing timing) {
    ClassifierResult.Builder out =
        ClassifierResult.builder(row.name()).title(row.title()).clean(result.clean());
    result.attacks().forEach((name, o) -> out.attack(name, o.accuracy()).detail(name, detail(o)));
    result.transfer().forEach((name, outcome) -> out.transfer(name, outcome.accuracy()));
    double[] perClassWorst = null;
    if (result.worstCase() != null) {
      out.worstCase(
          result.worstCase().accuracy(), result.worstCase().low(), result.worstCase().high());
      perClassWorst = array(result.worstCase().perClass());
    }
    out.perClass(
        array(result.cleanPerClass()), perClassWorst == null ? new double[0] : perClassWorst);
    if (timing != null) {
      out.inferenceTimeRatio(timing.ratio());
    }
    if (row.classifier() instanceof IgDefense defense) {
      Smoothing smoothing = defense.smoothing();
      if (smoothing.enabled()) {
        out.smoothing(smoothing.sigma(), smoothing.samples());
      }
    }
    if (row.classifier() instanceof InputDefense defense) {
      out.note(
          (defense instanceof AntiAdversary
                  ? "Moves the image so that the model becomes surer of the class it sees, then"
                      + " classifies the moved image: "
                  : "Moves the image to where the losses of all classes, summed, are largest"
                      + " nearby, then classifies the moved image: ")
              + defense.name()
              + ". Attacks take the derivative of the move "
              + (defense.gradientMode() == GradientMode.BPDA
                  ? "as the identity (BPDA)."
                  : "as it is, through every step."));
    }
    if (result.evaluationsPerImage() > 1) {
      out.note(
          "Judged by the majority of "
              + result.evaluationsPerImage()
              + " evaluations with fresh noise.");
    }
    return out.build();
  }

  private static AttackDetail detail(EvaluationResult.AttackOutcome o) {
    return new AttackDetail(
        o.reportedAccuracy(),
        o.savedAccuracy(),
        o.largestPerturbation(),
        o.seconds(),
        o.gradientEvaluations(),
        o.queries(),
        o.zeroGradientImages(),
        o.stages().stream()
            .map(s -> new AttackDetail.Stage(s.name(), s.accuracy(), s.attacked(), s.seconds()))
            .toList());
  }

  private static double[] array(List<Double> values) {
    return values.stream().mapToDouble(v -> v == null ? Double.NaN : v).toArray();
  }

  /**
   * The images the first attack broke on the base model, and what the last classifier makes of
   * them.
   */
  private static void gallery(RunReport.Builder report, Comparison comparison) {
    if (comparison.base().evaluation().attacks().isEmpty()) {
      return;
    }
    AttackRun run = comparison.base().evaluation().attacks().values().iterator().next();
    DifferentiableClassifier base = comparison.base().classifier();
    Comparison.Row last = comparison.rows().get(comparison.rows().size() - 1);
    IgDefense defense = last.classifier() instanceof IgDefense found ? found : null;
    ImageSet clean = comparison.images();
    ImageSet adversarial = run.adversarial();
    List<String> names = clean.classNames();
    boolean[] success = run.success();
    for (int i : varied(success, clean)) {
      float[] before = new float[clean.imageLength()];
      float[] after = new float[clean.imageLength()];
      clean.read(i, before, 0);
      adversarial.read(i, after, 0);
      try (PointerScope scope = new PointerScope()) {
        Tensor x = tensor(clean, i, base);
        Tensor attacked = tensor(adversarial, i, base);
        String defended = null;
        String pseudoLabel = null;
        if (defense != null) {
          IgDefense.Forward forward = defense.forward(attacked);
          defended = names.get(predicted(forward.logits()));
          pseudoLabel = names.get(predicted(forward.firstLogits()));
        }
        report.galleryItem(
            new GalleryItem(
                i,
                names.get(clean.label(i)),
                names.get(predicted(base.logits(x))),
                names.get(predicted(base.logits(attacked))),
                defended,
                pseudoLabel,
                run.plan().name(),
                new Picture(clean.channels(), clean.height(), clean.width(), before),
                new Picture(clean.channels(), clean.height(), clean.width(), after)));
      }
    }
  }

  /** Broken images, one of every class before a second of any, in their order. */
  private static int[] varied(boolean[] success, ImageSet images) {
    int[] seen = new int[images.classCount()];
    int[][] candidates =
        IntStream.range(0, success.length)
            .filter(i -> success[i])
            .mapToObj(i -> new int[] {seen[images.label(i)]++, i})
            .sorted(Comparator.<int[]>comparingInt(c -> c[0]).thenComparingInt(c -> c[1]))
            .toArray(int[][]::new);
    return Arrays.stream(candidates).limit(GALLERY_IMAGES).mapToInt(c -> c[1]).sorted().toArray();
  }

  private static Tensor tensor(ImageSet set, int index, DifferentiableClassifier classifier) {
    double[] pixels = new double[set.imageLength()];
    set.read(index, pixels, 0);
    return Tensors.to(
        Tensors.of(pixels, 1, set.channels(), set.height(), set.width()), classifier.dtype());
  }

  private static int predicted(Tensor logits) {
    double[] values = Tensors.toDoubles(logits);
    return Predictions.argmax(values, 0, values.length);
  }

  /** A ranking as a picture. */
  public static RankingPicture picture(Ranking ranking, int keep, List<String> classNames) {
    double[][] importance = new double[ranking.units()][ranking.classCount()];
    for (int u = 0; u < ranking.units(); u++) {
      for (int c = 0; c < ranking.classCount(); c++) {
        importance[u][c] = ranking.importance(u, c);
      }
    }
    String method = ranking.provenance().method();
    return new RankingPicture(
        method == null ? "unknown" : method,
        ranking.layer(),
        ranking.units(),
        keep,
        classNames,
        importance);
  }
}
