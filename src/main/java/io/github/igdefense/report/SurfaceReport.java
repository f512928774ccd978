package io.github.igdefense.report;

import io.github.igdefense.evaluation.LossSurface;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Loss surfaces as the parts of a {@link StudyReport}. Stateless. */
public final class SurfaceReport {
  private SurfaceReport() {}

  /** Adds loss surfaces by the names to print, on one common colour scale. */
  public static void add(
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
}
