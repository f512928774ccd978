package io.github.igdefense.report;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.evaluation.AttackRun;
import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.EvaluationResult;
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
  private static final Map<String, String[]> ATTACKS =
      Map.ofEntries(
          text("fgsm", "FGSM", "One step along the sign of the gradient of the loss."),
          text("pgd", "PGD", "Steps along the gradient of the loss from a random start."),
          text(
              "apgd-ce",
              "APGD-CE",
              "Auto-PGD on the cross-entropy: the step size halves where progress stalls."),
          text("apgd-dlr", "APGD-DLR", "Auto-PGD on the difference of logits ratio."),
          text("apgd-cw", "APGD-CW", "Auto-PGD on the Carlini-Wagner margin."),
          text(
              "apgd-t",
              "APGD-T",
              "Auto-PGD on the targeted difference of logits ratio, for several target classes."),
          text(
              "fab",
              "FAB",
              "Steps onto the nearest linearised decision boundary, looking for the nearest"
                  + " misclassified point."),
          text("fab-t", "FAB-T", "FAB onto the boundary to several target classes."),
          text("square", "Square", "Random search over square windows; uses logits, no gradients."),
          text(
              "gama-pgd",
              "GAMA-PGD",
              "PGD on the margin of the probabilities, at first driven away from those at the"
                  + " start."),
          text(
              "rays",
              "RayS",
              "Search for the direction of signs in which the nearest misclassified point lies;"
                  + " uses predictions alone."));

  private static Map.Entry<String, String[]> text(String name, String title, String text) {
    return Map.entry(name, new String[] {title, text});
  }

  private EvaluationReport() {}

  /**
   * Adds classifiers, attacks, warnings, class names and the gallery.
   *
   * @param timings of {@link Comparison#timings}, or empty
   */
  public static void add(RunReport.Builder report, Comparison comparison, List<Timing> timings) {
    report.classNames(comparison.images().classNames());
    for (Attack attack : comparison.attacks()) {
      report.attack(describe(attack));
    }
    List<String> seen = new ArrayList<>();
    for (int i = 0; i < comparison.rows().size(); i++) {
      Comparison.Row row = comparison.rows().get(i);
      EvaluationResult result = row.evaluation().result();
      report.classifier(
          classifier(row, result, i == 0 || timings.isEmpty() ? null : timings.get(i)));
      for (String warning : Warnings.aboutMethod(result)) {
        if (!seen.contains(warning)) {
          seen.add(warning);
          report.warning(Warning.caution("evaluation", row.title() + ": " + warning));
        }
      }
      if (row.classifier() instanceof IgDefense defense && !defense.smoothing().enabled()) {
        report.warning(
            Warning.caution(
                "no_smoothing",
                row.title()
                    + ": without smoothing the worst-case gain of this defense is zero. Its"
                    + " pseudo-label comes from the base model, so images that fool the base model"
                    + " fool it too; accuracies against direct attacks alone are no evidence of"
                    + " robustness."));
      }
    }
    gallery(report, comparison);
  }

  /** Adds one classifier that was attacked alone. */
  public static void addSingle(
      RunReport.Builder report, String title, Evaluation evaluation, ImageSet images) {
    EvaluationResult result = evaluation.result();
    report.classNames(images.classNames());
    evaluation.attacks().values().forEach(run -> report.attack(describe(run.attack())));
    report.classifier(classifier(new Comparison.Row("evaluated", title, evaluation), result, null));
    Warnings.aboutMethod(result)
        .forEach(warning -> report.warning(Warning.caution("evaluation", warning)));
  }

  private static AttackDescription describe(Attack attack) {
    String[] text = ATTACKS.getOrDefault(attack.name(), new String[] {attack.name(), ""});
    Map<String, String> parameters = new LinkedHashMap<>();
    attack.parameters().forEach((name, value) -> parameters.put(name, String.valueOf(value)));
    return new AttackDescription(attack.name(), text[0], text[1], parameters);
  }

  private static ClassifierResult classifier(
      Comparison.Row row, EvaluationResult result, Timing timing) {
    ClassifierResult.Builder out =
        ClassifierResult.builder(row.name()).title(row.title()).clean(result.clean());
    result.attacks().forEach((name, outcome) -> out.attack(name, outcome.accuracy()));
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
    if (result.evaluationsPerImage() > 1) {
      out.note(
          "Judged by the majority of "
              + result.evaluationsPerImage()
              + " evaluations with fresh noise.");
    }
    return out.build();
  }

  private static double[] array(List<Double> values) {
    return values.stream().mapToDouble(v -> v == null ? Double.NaN : v).toArray();
  }

  /**
   * The images the first attack broke on the base model, and what the last classifier makes of
   * them.
   */
  private static void gallery(RunReport.Builder report, Comparison comparison) {
    if (comparison.attacks().isEmpty()) {
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
          defended = names.get(argmax(forward.logits()));
          pseudoLabel = names.get(argmax(forward.firstLogits()));
        }
        report.galleryItem(
            new GalleryItem(
                i,
                names.get(clean.label(i)),
                names.get(argmax(base.logits(x))),
                names.get(argmax(base.logits(attacked))),
                defended,
                pseudoLabel,
                run.attack().name(),
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

  private static int argmax(Tensor logits) {
    double[] values = Tensors.toDoubles(logits);
    int best = 0;
    for (int i = 1; i < values.length; i++) {
      if (values[i] > values[best]) {
        best = i;
      }
    }
    return best;
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
