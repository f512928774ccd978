package io.github.igdefense.report;

import java.util.Arrays;

/**
 * Which units are among the {@code keep} most important of each class; ties go to the lower unit.
 */
final class TopUnits {
  private final boolean[][] top;
  private final int keep;

  private TopUnits(boolean[][] top, int keep) {
    this.top = top;
    this.keep = keep;
  }

  static TopUnits of(RankingPicture ranking) {
    double[][] importance = ranking.importance();
    boolean[][] top = new boolean[ranking.classNames().size()][ranking.units()];
    for (int c = 0; c < top.length; c++) {
      for (int unit : order(importance, c).subList(0, ranking.keep())) {
        top[c][unit] = true;
      }
    }
    return new TopUnits(top, ranking.keep());
  }

  private static java.util.List<Integer> order(double[][] importance, int c) {
    Integer[] units = new Integer[importance.length];
    Arrays.setAll(units, u -> u);
    Arrays.sort(units, (a, b) -> Double.compare(importance[b][c], importance[a][c])); // stable
    return Arrays.asList(units);
  }

  boolean contains(int c, int unit) {
    return top[c][unit];
  }

  /**
   * The part of their top units that two classes share, averaged over all pairs; 0 for one class.
   */
  double meanShared() {
    long common = 0;
    long pairs = 0;
    for (int a = 0; a < top.length; a++) {
      for (int b = a + 1; b < top.length; b++, pairs++) {
        for (int u = 0; u < top[a].length; u++) {
          common += top[a][u] && top[b][u] ? 1 : 0;
        }
      }
    }
    return pairs == 0 || keep == 0 ? 0 : (double) common / pairs / keep;
  }
}
