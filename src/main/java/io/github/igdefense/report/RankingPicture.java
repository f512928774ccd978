package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.List;

/**
 * An importance ranking, to be drawn as a heat map.
 *
 * <p>The matrix goes into the HTML page only; {@code result.json} leaves it out (the ranking has
 * its own file). The array is not copied: do not change it afterwards.
 *
 * @param method how it was computed, such as {@code loir}
 * @param layer the masked layer
 * @param units number U of units (channels) of that layer
 * @param keep how many units per class the mask keeps, 0 to U
 * @param classNames the K classes
 * @param importance [U][K], finite, higher = more important; null if it is not kept
 */
@JsonPropertyOrder({"method", "layer", "units", "keep", "classNames"})
@JsonIgnoreProperties({"importance"})
public record RankingPicture(
    String method,
    String layer,
    int units,
    int keep,
    List<String> classNames,
    double[][] importance) {
  /**
   * Checks the shape.
   *
   * @throws IllegalArgumentException if the matrix is not [units][classes] or {@code keep} is out
   *     of range
   */
  public RankingPicture {
    classNames = List.copyOf(classNames);
    if (units < 1 || keep < 0 || keep > units) {
      throw new IllegalArgumentException(
          "expected 0 ≤ keep ≤ units, got keep " + keep + " of " + units);
    }
    if (importance != null) {
      if (importance.length != units || classNames.isEmpty()) {
        throw new IllegalArgumentException(
            "expected importance of " + units + " units, got " + importance.length);
      }
      for (double[] row : importance) {
        if (row.length != classNames.size()) {
          throw new IllegalArgumentException(
              "expected importance for " + classNames.size() + " classes, got " + row.length);
        }
      }
    }
  }

  /** True if the matrix is there to be drawn. */
  boolean drawable() {
    return importance != null;
  }
}
