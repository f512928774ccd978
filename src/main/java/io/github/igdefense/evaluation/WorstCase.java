package io.github.igdefense.evaluation;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * The image-wise worst case: an image counts as robust only if it is classified correctly unchanged
 * and survives every attack and every transfer. Rows are images, columns attacks. Immutable and
 * thread-safe.
 */
public final class WorstCase {
  private final boolean[] cleanCorrect;
  private final Map<String, boolean[]> columns;
  private final boolean[] robust;

  private WorstCase(boolean[] cleanCorrect, Map<String, boolean[]> columns, boolean[] robust) {
    this.cleanCorrect = cleanCorrect;
    this.columns = columns;
    this.robust = robust;
  }

  /**
   * Joins columns.
   *
   * @param cleanCorrect whether each unchanged image is classified correctly [N], N ≥ 1
   * @param survived per attack, whether each image is classified correctly after it [N]
   * @throws IllegalArgumentException if a column has another length
   */
  public static WorstCase of(boolean[] cleanCorrect, Map<String, boolean[]> survived) {
    if (cleanCorrect.length == 0) {
      throw new IllegalArgumentException("expected at least one image");
    }
    boolean[] robust = cleanCorrect.clone();
    Map<String, boolean[]> columns = new LinkedHashMap<>();
    survived.forEach(
        (name, column) -> {
          if (column.length != robust.length) {
            throw new IllegalArgumentException(
                "expected "
                    + robust.length
                    + " images in column "
                    + name
                    + ", got "
                    + column.length);
          }
          columns.put(name, column.clone());
          for (int i = 0; i < robust.length; i++) {
            robust[i] &= column[i];
          }
        });
    return new WorstCase(cleanCorrect.clone(), Collections.unmodifiableMap(columns), robust);
  }

  /** Number of images. */
  public int size() {
    return robust.length;
  }

  /** Names of the columns, in their order. */
  public Set<String> names() {
    return columns.keySet();
  }

  /** A column [N]. */
  public boolean[] column(String name) {
    boolean[] column = columns.get(name);
    if (column == null) {
      throw new IllegalArgumentException("expected a column of " + names() + ", got " + name);
    }
    return column.clone();
  }

  /** Whether each unchanged image is classified correctly. */
  public boolean[] cleanCorrect() {
    return cleanCorrect.clone();
  }

  /** Whether each image survives everything. */
  public boolean[] robust() {
    return robust.clone();
  }

  /** Share of images that survive everything. */
  public double accuracy() {
    return Accuracy.of(robust);
  }

  /** Wilson's 95 % interval of {@link #accuracy}. */
  public Interval interval() {
    return Interval.wilson(Accuracy.count(robust), robust.length);
  }

  /** Share of images that survive each column. */
  public Map<String, Double> accuracies() {
    Map<String, Double> accuracies = new LinkedHashMap<>();
    columns.forEach((name, column) -> accuracies.put(name, Accuracy.of(column)));
    return accuracies;
  }
}
