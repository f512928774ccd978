package io.github.igdefense.importance;

import io.github.igdefense.data.InputException;
import java.util.Arrays;

/**
 * Importance of every unit of a layer for every class: a matrix I [U,K], higher = more important
 * (spec Sec. 1, paper Sec. 3). Immutable; safe for any thread.
 */
public final class Ranking {
  private final String layer;
  private final int units;
  private final int classCount;
  private final double[] importance;
  private final RankingProvenance provenance;

  /**
   * @param importance row-major [U,K]; taken over, not copied
   * @throws InputException if the length does not fit or a value is not finite (naming unit and
   *     class)
   */
  public Ranking(
      String layer, int units, int classCount, double[] importance, RankingProvenance provenance) {
    if (importance.length != (long) units * classCount) {
      throw new InputException(
          "expected a ranking of "
              + units
              + " units x "
              + classCount
              + " classes for "
              + layer
              + ", got "
              + importance.length
              + " values");
    }
    for (int i = 0; i < importance.length; i++) {
      if (!Double.isFinite(importance[i])) {
        throw new InputException(
            "expected finite importances for "
                + layer
                + ", got "
                + importance[i]
                + " at unit "
                + i / classCount
                + ", class "
                + i % classCount
                + "; make the ranking again");
      }
    }
    this.layer = layer;
    this.units = units;
    this.classCount = classCount;
    this.importance = importance;
    this.provenance = provenance;
  }

  /** The layer's name. */
  public String layer() {
    return layer;
  }

  /** Number of units U. */
  public int units() {
    return units;
  }

  /** Number of classes K. */
  public int classCount() {
    return classCount;
  }

  /** Where this ranking comes from. */
  public RankingProvenance provenance() {
    return provenance;
  }

  /** I[unit,class]. */
  public double importance(int unit, int classIndex) {
    return importance[unit * classCount + classIndex];
  }

  /** A copy of the matrix, row-major [U,K]. */
  public double[] toArray() {
    return importance.clone();
  }

  /** Units of a class from most to least important; equal ones by index, lower first. */
  public int[] order(int classIndex) {
    Integer[] order = new Integer[units];
    Arrays.setAll(order, i -> i);
    // The sort is stable, which makes the lower index win a tie.
    Arrays.sort(
        order, (a, b) -> Double.compare(importance(b, classIndex), importance(a, classIndex)));
    return Arrays.stream(order).mapToInt(Integer::intValue).toArray();
  }

  /**
   * The k most important units of a class.
   *
   * @throws InputException if k is not in 1..U
   */
  public int[] topK(int classIndex, int k) {
    if (k < 1 || k > units) {
      throw new InputException(
          "expected to keep between 1 and " + units + " units of " + layer + ", got " + k);
    }
    return Arrays.copyOf(order(classIndex), k);
  }

  /** Whether all classes have the same k top units: the mark of a broken ranking. */
  public boolean degenerate(int k) {
    if (classCount < 2 || k >= units) {
      return false;
    }
    int[] first = topK(0, k);
    Arrays.sort(first);
    for (int c = 1; c < classCount; c++) {
      int[] other = topK(c, k);
      Arrays.sort(other);
      if (!Arrays.equals(first, other)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Whether no mask made of this ranking could tell classes apart: all classes have their units in
   * the same order, or the same tenth (at least ten, of at least four times as many) on top. Fewer
   * than 8 units can agree by chance: never.
   */
  public boolean allClassesAlike() {
    if (classCount < 2 || units < 8) {
      return false;
    }
    int top = Math.max(10, units / 10);
    if (units >= 4 * top && degenerate(top)) {
      return true;
    }
    int[] first = order(0);
    for (int c = 1; c < classCount; c++) {
      if (!Arrays.equals(first, order(c))) {
        return false;
      }
    }
    return true;
  }
}
