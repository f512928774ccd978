package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Batches;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.tensor.Dtype;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.Tensor;

/**
 * The flags AutoAttack raises about a classifier it may judge wrongly, with the reference's
 * thresholds, found on the first batch. Stateless.
 */
final class AutoAttackChecks {
  private static final int EVALUATIONS = 5;
  private static final double DIFFERENCE = 1e-4;
  private static final double SUM = 1e-5;
  private static final double SQUARE = 0.002;

  private AutoAttackChecks() {}

  /**
   * Refuses classifiers with too few classes for the attacks.
   *
   * @throws InputException that names the attacks to use instead
   */
  static void requireClasses(AttackPlan plan, Classifier classifier) {
    int classes = classifier.classCount();
    List<String> impossible = new ArrayList<>();
    List<String> possible = new ArrayList<>();
    for (Attack attack : plan.stages()) {
      int needed = attack.name().equals("apgd-t") ? 4 : attack.name().equals("apgd-dlr") ? 3 : 2;
      (classes < needed ? impossible : possible).add(attack.name());
    }
    if (!impossible.isEmpty()) {
      throw new InputException(
          "expected a classifier with more classes for "
              + String.join(" and ", impossible)
              + " of "
              + plan.name()
              + " (their loss compares three or four logits), got "
              + classes
              + " classes; use the attacks "
              + String.join(",", possible)
              + (possible.contains("fab-t") ? "" : ",fab")
              + " instead");
    }
  }

  /** What can be seen before the attack. */
  static List<Finding> before(
      AutoAttack plan, Classifier classifier, ImageSet images, int batchSize) {
    List<Finding> findings = new ArrayList<>();
    int classes = classifier.classCount();
    for (Attack attack : plan.stages()) {
      if (attack.parameters().get("targets") instanceof Integer targets && targets + 1 > classes) {
        findings.add(
            new Finding(
                "few_classes",
                String.format(
                    Locale.ROOT,
                    "%s has %d target classes, and only %d are possible: all of them are used.",
                    attack.name(),
                    targets,
                    classes - 1)));
      }
    }
    if (!plan.published() && plan.version() != AutoAttack.Version.CUSTOM) {
      findings.add(
          new Finding(
              "autoattack_reduced",
              plan.name()
                  + " ran with other settings than the published ones: do not compare it with"
                  + " published AutoAttack numbers."));
    }
    if (plan.version() == AutoAttack.Version.CUSTOM) {
      findings.add(
          new Finding(
              "autoattack_custom",
              plan.name() + " is a list of attacks of one's own, no published AutoAttack."));
    }
    try (ImageBatches batches =
            ImageBatches.of(
                images.limit(batchSize), batchSize, null, classifier.dtype() == Dtype.FLOAT64);
        PointerScope scope = new PointerScope()) {
      ImageBatch batch = batches.next();
      Tensor x = Batches.tensor(batch, classifier.dtype());
      double[][] logits = new double[EVALUATIONS][];
      for (int e = 0; e < EVALUATIONS; e++) {
        logits[e] = Predictions.logits(classifier, x);
      }
      if (plan.version() != AutoAttack.Version.RAND && random(logits, batch.labels(), classes)) {
        findings.add(
            new Finding(
                "randomized",
                "The classifier gives different logits for the same image, and "
                    + plan.name()
                    + " is made for deterministic ones: use autoattack-rand as well."));
      }
      if (probabilities(logits[0], classes)) {
        findings.add(
            new Finding(
                "probabilities",
                "The outputs look like probabilities instead of logits: their gradients vanish"
                    + " where the classifier is sure, and attacks through them fail."));
      }
      if (gradientsAtInference(classifier, x)) {
        findings.add(
            new Finding(
                "dynamic",
                "The classifier computes gradients while it predicts (a dynamic defense): attacks"
                    + " that do not see these gradients may be too weak."));
      }
    }
    return findings;
  }

  private static boolean random(double[][] logits, long[] labels, int classes) {
    int first = correct(logits[0], labels, classes);
    for (int a = 0; a < logits.length; a++) {
      if (correct(logits[a], labels, classes) != first) {
        return true;
      }
      for (int b = a + 1; b < logits.length; b++) {
        for (int i = 0; i < labels.length; i++) {
          if (!(distance(logits[a], logits[b], i, classes) <= DIFFERENCE)) {
            return true;
          }
        }
      }
    }
    return false;
  }

  private static int correct(double[] logits, long[] labels, int classes) {
    int count = 0;
    for (int i = 0; i < labels.length; i++) {
      count += Predictions.argmax(logits, i, classes) == labels[i] ? 1 : 0;
    }
    return count;
  }

  /** Distance of two answers for one image, each scaled to length one. */
  private static double distance(double[] a, double[] b, int row, int classes) {
    double lengthA = 1e-10 + length(a, row, classes);
    double lengthB = 1e-10 + length(b, row, classes);
    double sum = 0;
    for (int c = row * classes; c < (row + 1) * classes; c++) {
      double d = a[c] / lengthA - b[c] / lengthB;
      sum += d * d;
    }
    return Math.sqrt(sum);
  }

  private static double length(double[] values, int row, int classes) {
    double sum = 0;
    for (int c = row * classes; c < (row + 1) * classes; c++) {
      sum += values[c] * values[c];
    }
    return Math.sqrt(sum);
  }

  private static boolean probabilities(double[] outputs, int classes) {
    for (int row = 0; row < outputs.length / classes; row++) {
      double sum = 0;
      for (int c = row * classes; c < (row + 1) * classes; c++) {
        if (!(outputs[c] < 1 + SUM && outputs[c] > -SUM)) {
          return false;
        }
        sum += outputs[c];
      }
      if (!(Math.abs(sum - 1) < SUM)) {
        return false;
      }
    }
    return true;
  }

  /** Whether predicting fails where autograd is switched off for good. */
  private static boolean gradientsAtInference(Classifier classifier, Tensor x) {
    try (PointerScope scope = new PointerScope();
        InferenceMode mode = new InferenceMode(true)) {
      classifier.logits(x);
      return false;
    } catch (RuntimeException e) {
      return String.valueOf(e.getMessage()).contains("grad");
    }
  }

  /** What can be seen after the attack: a black-box attack that beats those with gradients. */
  static List<Finding> after(AttackRun run) {
    Map<String, Double> accuracies = new java.util.LinkedHashMap<>();
    run.stages().forEach(stage -> accuracies.put(stage.attack().name(), stage.accuracy()));
    Double square = accuracies.remove("square");
    if (square == null || accuracies.isEmpty()) {
      return List.of();
    }
    double others = accuracies.values().stream().mapToDouble(a -> a).min().getAsDouble();
    if (square >= others - SQUARE) {
      return List.of();
    }
    return List.of(
        new Finding(
            "square_better",
            String.format(
                Locale.ROOT,
                "Square, which sees no gradients, lowered the accuracy of %s by another %.2f"
                    + " points: the gradient attacks miss what exists, and more queries or an"
                    + " adaptive attack would find more.",
                run.plan().name(),
                100 * (others - square))));
  }
}
