package io.github.igdefense.evaluation;

import io.github.igdefense.data.CorruptedImages;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Classifier;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Accuracy under common corruptions (Hendrycks and Dietterich 2019): every corruption at five
 * severities. Immutable.
 *
 * @param classifier its name
 * @param accuracies per corruption the accuracy at severities 1 to 5, in [0,1]
 * @param images per corruption and severity
 */
public record CorruptionEvaluation(
    String classifier, Map<String, List<Double>> accuracies, int images) {
  /** Copies the map, in its order. */
  public CorruptionEvaluation {
    Objects.requireNonNull(classifier, "classifier");
    accuracies = java.util.Collections.unmodifiableMap(new LinkedHashMap<>(accuracies));
  }

  /**
   * Opens one corruption at one severity.
   *
   * @see CorruptedImages#open
   */
  @FunctionalInterface
  public interface Source {
    /** The images; the evaluation closes them. */
    ImageSet open(String corruption, int severity);
  }

  /**
   * Evaluates the 15 corruptions of a folder of CIFAR-10-C or CIFAR-100-C.
   *
   * @param limit images of each corruption and severity; 0 for all
   * @throws InputException if one of the 15 is missing or does not fit the classifier
   */
  public static CorruptionEvaluation of(
      Classifier classifier,
      Path folder,
      int limit,
      int batchSize,
      RepeatedEvaluation judge,
      EvaluationListener listener) {
    return of(
        classifier,
        CorruptedImages.NAMES,
        (corruption, severity) -> {
          ImageSet all =
              CorruptedImages.open(folder, classifier.classCount(), corruption, severity);
          return limit == 0 ? all : all.limit(limit);
        },
        batchSize,
        judge,
        listener);
  }

  /** Evaluates these corruptions at severities 1 to 5. */
  public static CorruptionEvaluation of(
      Classifier classifier,
      List<String> corruptions,
      Source source,
      int batchSize,
      RepeatedEvaluation judge,
      EvaluationListener listener) {
    Map<String, List<Double>> accuracies = new LinkedHashMap<>();
    int images = 0;
    for (String corruption : corruptions) {
      List<Double> row = new ArrayList<>();
      for (int severity = 1; severity <= CorruptedImages.SEVERITIES; severity++) {
        try (ImageSet set = source.open(corruption, severity)) {
          images = set.size();
          row.add(
              judge
                  .judge(corruption + " " + severity, classifier, set, batchSize, listener)
                  .accuracy());
        }
      }
      accuracies.put(corruption, List.copyOf(row));
    }
    return new CorruptionEvaluation(classifier.name(), accuracies, images);
  }

  /** Mean accuracy of a corruption over its severities. */
  public double accuracy(String corruption) {
    List<Double> row = accuracies.get(corruption);
    if (row == null) {
      throw new IllegalArgumentException("expected one of " + accuracies.keySet());
    }
    return row.stream().mapToDouble(a -> a).average().getAsDouble();
  }

  /** Mean accuracy over corruptions and severities. */
  public double meanAccuracy() {
    return accuracies.keySet().stream().mapToDouble(this::accuracy).average().getAsDouble();
  }

  /** Mean error over corruptions and severities: the unnormalised mean corruption error. */
  public double meanError() {
    return 1 - meanAccuracy();
  }

  /**
   * The mean corruption error of the benchmark: per corruption the summed error as a multiple of a
   * baseline's, averaged. Below 1: more robust to corruptions than the baseline.
   *
   * @throws InputException if the baseline lacks a corruption, or makes no error on one
   */
  public double relativeTo(CorruptionEvaluation baseline) {
    double sum = 0;
    for (String corruption : accuracies.keySet()) {
      if (!baseline.accuracies.containsKey(corruption)) {
        throw new InputException(
            "expected errors of the baseline for " + corruption + ", got none");
      }
      double reference = 1 - baseline.accuracy(corruption);
      if (!(reference > 0)) {
        throw new InputException(
            "expected errors above 0 of the baseline for "
                + corruption
                + ", got 0: the mean corruption error is not defined; use the mean error");
      }
      sum += (1 - accuracy(corruption)) / reference;
    }
    return sum / accuracies.size();
  }
}
