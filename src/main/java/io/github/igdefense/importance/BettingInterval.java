package io.github.igdefense.importance;

/**
 * Bounds of the mean of a finite population of N non-negative numbers from those drawn so far, in
 * random order without replacement; valid at all times at once (a confidence sequence), by betting
 * (I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B
 * 2024, Sec. 5).
 *
 * <p>If the mean is m, then what is left after i−1 draws has the mean m_i = (N·m −
 * S_{i−1})/(N−i+1), and the product over i of 1 + λ_i(X_i − m_i) is a martingale for bets λ_i made
 * before the draw. It reaches 1/α with probability α at most (Ville), so that an m whose product
 * got there is refused. Bets are fractions of the largest that keeps the product non-negative; the
 * products of several fractions are averaged. Bets on "more than m" need X ≥ 0 alone; bets on "less
 * than m" need a bound of what is still to be drawn.
 */
final class BettingInterval {
  private static final double[] FRACTIONS = {0.9, 0.45, 0.225, 0.1125, 0.05625, 0.028125};
  private static final int HALVINGS = 18;

  private BettingInterval() {}

  /**
   * A lower bound of the population's mean, with error probability {@code alpha}.
   *
   * @param drawn the draws in order, all ≥ 0
   * @param count how many there are, at most {@code population}
   * @param population N
   * @param from a lower bound known before (0 if none)
   */
  static double lower(float[] drawn, int count, int population, double alpha, double from) {
    double total = sum(drawn, count);
    double low = Math.max(from, total / population);
    double high = count == 0 ? 0 : total / count;
    if (high <= low || !refusesLow(drawn, count, population, alpha, low)) {
      return low;
    }
    for (int i = 0; i < HALVINGS; i++) {
      double middle = (low + high) / 2;
      if (refusesLow(drawn, count, population, alpha, middle)) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /**
   * An upper bound of the population's mean, with error probability {@code alpha}.
   *
   * @param bounds of each draw, known before it was made; infinity where none was known
   * @param bound of what is still to be drawn
   * @param from an upper bound known before (infinity if none)
   */
  static double upper(
      float[] drawn,
      float[] bounds,
      int count,
      int population,
      double bound,
      double alpha,
      double from) {
    double total = sum(drawn, count);
    double low = total / population;
    double high = Math.min(from, (total + (population - count) * bound) / population);
    if (high <= low || !refusesHigh(drawn, bounds, count, population, alpha, high)) {
      return Math.max(low, high);
    }
    for (int i = 0; i < HALVINGS; i++) {
      double middle = (low + high) / 2;
      if (refusesHigh(drawn, bounds, count, population, alpha, middle)) {
        high = middle;
      } else {
        low = middle;
      }
    }
    return high;
  }

  private static double sum(float[] drawn, int count) {
    double total = 0;
    for (int i = 0; i < count; i++) {
      total += drawn[i];
    }
    return total;
  }

  /** Whether a mean of m is refused as too low. Holds for every lower m, too. */
  private static boolean refusesLow(
      float[] drawn, int count, int population, double alpha, double m) {
    double goal = FRACTIONS.length / alpha;
    double[] capital = ones();
    double left = population * m;
    for (int i = 0; i < count; i++) {
      double mean = left / (population - i);
      if (mean <= 0) {
        return true;
      }
      if (grows(capital, drawn[i] / mean - 1, goal)) {
        return true;
      }
      left -= drawn[i];
    }
    return false;
  }

  /** Whether a mean of m is refused as too high. Holds for every higher m, too. */
  private static boolean refusesHigh(
      float[] drawn, float[] bounds, int count, int population, double alpha, double m) {
    double goal = FRACTIONS.length / alpha;
    double[] capital = ones();
    double left = population * m;
    for (int i = 0; i < count; i++) {
      double mean = left / (population - i);
      double bound = bounds[i];
      if (bound != Float.POSITIVE_INFINITY) {
        if (mean >= bound) {
          return true;
        }
        if (grows(capital, (mean - drawn[i]) / (bound - mean), goal)) {
          return true;
        }
      }
      left -= drawn[i];
    }
    return false;
  }

  private static double[] ones() {
    double[] capital = new double[FRACTIONS.length];
    java.util.Arrays.fill(capital, 1);
    return capital;
  }

  /**
   * Bets each fraction on an outcome (at least −1 at the odds taken); true once the goal is met.
   */
  private static boolean grows(double[] capital, double outcome, double goal) {
    double all = 0;
    for (int j = 0; j < capital.length; j++) {
      capital[j] *= Math.max(0, 1 + FRACTIONS[j] * outcome);
      all += capital[j];
    }
    return all >= goal;
  }
}
