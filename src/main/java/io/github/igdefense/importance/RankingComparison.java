package io.github.igdefense.importance;

import io.github.igdefense.data.InputException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;

/**
 * How much two rankings agree, class by class. Immutable; the arrays are copies.
 *
 * @param k units compared by {@code jaccard}
 * @param jaccard per class: common top-k units divided by those in either set, 0 to 1
 * @param spearman per class: correlation of the units' ranks (ties share their mean rank), −1 to 1;
 *     0 where one side has equal importances only
 * @param chanceJaccard Jaccard at k to expect of two random rankings (that of the expected overlap)
 */
public record RankingComparison(int k, double[] jaccard, double[] spearman, double chanceJaccard) {

  /**
   * Compares two rankings.
   *
   * @throws InputException if they differ in units or classes, or have fewer than k units
   */
  public static RankingComparison of(Ranking a, Ranking b, int k) {
    if (a.units() != b.units() || a.classCount() != b.classCount()) {
      throw new InputException(
          "expected two rankings of as many units and classes, got "
              + describe(a)
              + " and "
              + describe(b));
    }
    int classes = a.classCount();
    double[] jaccard = new double[classes];
    double[] spearman = new double[classes];
    for (int c = 0; c < classes; c++) {
      Set<Integer> common = set(a.topK(c, k));
      common.retainAll(set(b.topK(c, k)));
      jaccard[c] = (double) common.size() / (2 * k - common.size());
      spearman[c] = correlation(ranks(a, c), ranks(b, c));
    }
    double expected = (double) k * k / a.units();
    return new RankingComparison(k, jaccard, spearman, expected / (2 * k - expected));
  }

  private static String describe(Ranking ranking) {
    return ranking.units() + " x " + ranking.classCount() + " (" + ranking.layer() + ")";
  }

  private static Set<Integer> set(int[] units) {
    Set<Integer> set = new HashSet<>();
    for (int unit : units) {
      set.add(unit);
    }
    return set;
  }

  /** Rank of every unit, 0 the most important; equal importances share the mean of their ranks. */
  private static double[] ranks(Ranking ranking, int c) {
    int[] order = ranking.order(c);
    double[] ranks = new double[order.length];
    for (int from = 0; from < order.length; ) {
      int to = from + 1;
      double value = ranking.importance(order[from], c);
      while (to < order.length && ranking.importance(order[to], c) == value) {
        to++;
      }
      for (int i = from; i < to; i++) {
        ranks[order[i]] = (from + to - 1) / 2.0;
      }
      from = to;
    }
    return ranks;
  }

  private static double correlation(double[] x, double[] y) {
    double middle = (x.length - 1) / 2.0;
    double xy = 0;
    double xx = 0;
    double yy = 0;
    for (int i = 0; i < x.length; i++) {
      xy += (x[i] - middle) * (y[i] - middle);
      xx += (x[i] - middle) * (x[i] - middle);
      yy += (y[i] - middle) * (y[i] - middle);
    }
    return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : 0;
  }

  /** Mean over classes. */
  public double meanJaccard() {
    return Arrays.stream(jaccard).average().orElse(0);
  }

  /** Mean over classes. */
  public double meanSpearman() {
    return Arrays.stream(spearman).average().orElse(0);
  }

  @Override
  public double[] jaccard() {
    return jaccard.clone();
  }

  @Override
  public double[] spearman() {
    return spearman.clone();
  }
}
