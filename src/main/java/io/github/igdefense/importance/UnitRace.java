package io.github.igdefense.importance;

import java.util.Arrays;

/**
 * Which units are among the k most important of each class, told apart as early as the draws allow:
 * successive rejects with confidence sequences (O. Maron, A. Moore, "Hoeffding races", NIPS 1993).
 *
 * <p>A unit is in once fewer than k others can reach its lower bound, out once k others certainly
 * exceed its upper bound; then it needs no more images of that class. With probability {@code
 * confidence} at least, every decision is that of the whole population, under the assumption that
 * after the first round no value exceeds {@code margin} times the largest of its unit seen in
 * earlier rounds, on images of any class (or a tenth of the largest of all units, if that is more).
 * Broken assumptions that were seen are counted.
 *
 * <p>Not safe for use by several threads at once.
 */
final class UnitRace {
  private static final double FLOOR = 0.1;

  private final int units;
  private final int k;
  private final int[] population;
  private final double margin;
  private final double alpha;
  private final float[][][] drawn;
  private final float[][][] bounds;
  private final int[][] count;
  private final double[][] low;
  private final double[][] high;
  private final int[][] verdict;
  private final double[] largest;
  private final double[] bound;
  private final ExactSums sums;
  private long violations;
  private long evaluations;

  /**
   * @param population images of each class [K]
   * @param k units to find per class, 1 to U
   * @param confidence that all decisions are right, above 0 and below 1
   * @param margin of the assumption, at least 1
   */
  UnitRace(int units, int[] population, int k, double confidence, double margin) {
    int classes = population.length;
    this.units = units;
    this.population = population.clone();
    this.k = k;
    this.margin = margin;
    // Two bounds per unit and class.
    this.alpha = (1 - confidence) / (2.0 * units * classes);
    this.drawn = new float[classes][units][0];
    this.bounds = new float[classes][units][0];
    this.count = new int[classes][units];
    this.low = new double[classes][units];
    this.high = new double[classes][units];
    for (double[] row : high) {
      Arrays.fill(row, Double.POSITIVE_INFINITY);
    }
    this.verdict = new int[classes][units];
    this.largest = new double[units];
    this.bound = new double[units];
    Arrays.fill(bound, Double.POSITIVE_INFINITY);
    this.sums = new ExactSums(classes * units);
    if (k == units) {
      for (int[] row : verdict) {
        Arrays.fill(row, 1);
      }
    }
  }

  /** Whether the unit needs more images of the class. */
  boolean racing(int classIndex, int unit) {
    return verdict[classIndex][unit] == 0 && count[classIndex][unit] < population[classIndex];
  }

  /** Whether any unit needs more images of the class. */
  boolean racing(int classIndex) {
    for (int unit = 0; unit < units; unit++) {
      if (racing(classIndex, unit)) {
        return true;
      }
    }
    return false;
  }

  /** The next value of a racing unit, in the random order of its class. */
  void draw(int classIndex, int unit, double value) {
    int i = count[classIndex][unit]++;
    if (i == drawn[classIndex][unit].length) {
      int length = Math.min(population[classIndex], Math.max(16, 2 * i));
      drawn[classIndex][unit] = Arrays.copyOf(drawn[classIndex][unit], length);
      bounds[classIndex][unit] = Arrays.copyOf(bounds[classIndex][unit], length);
    }
    drawn[classIndex][unit][i] = (float) value;
    bounds[classIndex][unit][i] = (float) bound[unit];
    sums.add(classIndex * units + unit, value);
    largest[unit] = Math.max(largest[unit], value);
    violations += value > bound[unit] ? 1 : 0;
    evaluations++;
  }

  /** Takes what was drawn into account: new bounds, then decisions. */
  void endRound() {
    double most = 0;
    for (double value : largest) {
      most = Math.max(most, value);
    }
    for (int unit = 0; unit < units; unit++) {
      bound[unit] = margin * Math.max(largest[unit], FLOOR * most);
    }
    for (int c = 0; c < population.length; c++) {
      for (int unit = 0; unit < units; unit++) {
        if (verdict[c][unit] == 0) {
          tighten(c, unit);
        }
      }
      decide(c);
    }
  }

  private void tighten(int c, int unit) {
    int n = count[c][unit];
    if (n == population[c]) {
      low[c][unit] = mean(c, unit);
      high[c][unit] = low[c][unit];
      return;
    }
    float[] values = drawn[c][unit];
    low[c][unit] = BettingInterval.lower(values, n, population[c], alpha, low[c][unit]);
    high[c][unit] =
        Math.max(
            low[c][unit],
            BettingInterval.upper(
                values, bounds[c][unit], n, population[c], bound[unit], alpha, high[c][unit]));
  }

  private void decide(int c) {
    double[] lows = low[c].clone();
    double[] highs = high[c].clone();
    Arrays.sort(lows);
    Arrays.sort(highs);
    for (int unit = 0; unit < units; unit++) {
      if (verdict[c][unit] != 0) {
        continue;
      }
      // Units whose upper bound reaches this lower bound, itself among them.
      int reach = units - firstAtLeast(highs, low[c][unit]);
      int exceed = units - firstAtLeast(lows, Math.nextUp(high[c][unit]));
      if (reach <= k) {
        verdict[c][unit] = 1;
      } else if (exceed >= k) {
        verdict[c][unit] = -1;
      }
    }
  }

  /** Number of sorted values below {@code value}. */
  private static int firstAtLeast(double[] sorted, double value) {
    int from = 0;
    int to = sorted.length;
    while (from < to) {
      int middle = (from + to) >>> 1;
      if (sorted[middle] < value) {
        from = middle + 1;
      } else {
        to = middle;
      }
    }
    return from;
  }

  /** Images of the class that the unit has been left out of. */
  int count(int classIndex, int unit) {
    return count[classIndex][unit];
  }

  /** Mean of the values drawn. */
  private double mean(int c, int unit) {
    int n = count[c][unit];
    return n == 0 ? 0 : sums.get(c * units + unit) / n;
  }

  /**
   * The mean of the values drawn, moved into the bounds: exact for units drawn to the end. The k
   * largest of a class are the units that are in.
   */
  double estimate(int classIndex, int unit) {
    return Math.min(
        Math.max(mean(classIndex, unit), low[classIndex][unit]), high[classIndex][unit]);
  }

  /** Values that exceeded the bound assumed of them. */
  long violations() {
    return violations;
  }

  /** Values drawn. */
  long evaluations() {
    return evaluations;
  }

  /** Units of a class that needed every image. */
  int exhausted(int classIndex) {
    int exhausted = 0;
    for (int unit = 0; unit < units; unit++) {
      exhausted += count[classIndex][unit] == population[classIndex] ? 1 : 0;
    }
    return exhausted;
  }

  /** Whether a class's k-th and next unit are equal even on all images: the index decided. */
  boolean tied(int classIndex) {
    if (k == units) {
      return false;
    }
    double[] sorted = new double[units];
    Arrays.setAll(sorted, unit -> estimate(classIndex, unit));
    Arrays.sort(sorted);
    return sorted[units - k] == sorted[units - k - 1];
  }
}
