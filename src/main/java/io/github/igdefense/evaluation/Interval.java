package io.github.igdefense.evaluation;

/**
 * An interval of shares.
 *
 * @param low lower end, in [0,1]
 * @param high upper end, in [0,1]
 */
public record Interval(double low, double high) {
  /** 97.5 % quantile of the standard normal distribution. */
  private static final double Z = 1.959963984540054;

  /**
   * Wilson's 95 % confidence interval of a share (Wilson 1927): sound for few images and near 0 and
   * 1.
   *
   * @throws IllegalArgumentException unless 0 ≤ successes ≤ count and count ≥ 1
   */
  public static Interval wilson(int successes, int count) {
    if (count < 1 || successes < 0 || successes > count) {
      throw new IllegalArgumentException(
          "expected 0 <= successes <= count >= 1, got " + successes + " of " + count);
    }
    double p = (double) successes / count;
    double zz = Z * Z / count;
    double middle = (p + zz / 2) / (1 + zz);
    double half = Z / (1 + zz) * Math.sqrt(p * (1 - p) / count + zz / (4 * count));
    // At the ends the formula gives 0 and 1 up to rounding.
    return new Interval(
        successes == 0 ? 0 : Math.max(0, middle - half),
        successes == count ? 1 : Math.min(1, middle + half));
  }
}
