package io.github.igdefense.attack;

/**
 * Sizes and shapes of Square's windows (Andriushchenko et al. 2020, sec. 3 and supplement), equal
 * to the reference implementation's.
 */
final class SquarePattern {
  /** Queries after which the window's share of the image halves again, for 10,000 in all. */
  private static final int[] HALVINGS = {10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000};

  private static final int FULL_SCHEDULE = 10_000;

  private SquarePattern() {}

  /**
   * Share of the image that a window covers.
   *
   * @param query from 0
   * @param queries allowed in all
   * @param initial share at the start
   * @param rescaled whether the schedule for 10,000 queries is compressed into those allowed
   */
  static double share(int query, int queries, double initial, boolean rescaled) {
    int at = rescaled ? (int) ((double) query / queries * FULL_SCHEDULE) : query;
    double share = initial;
    for (int halving : HALVINGS) {
      share = at > halving ? share / 2 : share;
    }
    return share;
  }

  /**
   * Side of a window that covers a share of the image.
   *
   * @param smallest side at least
   * @param odd whether the side must be odd, as long as the image allows it
   */
  static int side(double share, int height, int width, int smallest, boolean odd) {
    int side = Math.max((int) Math.rint(Math.sqrt(share * height * width)), smallest);
    side += odd && side % 2 == 0 ? 1 : 0;
    return Math.min(side, Math.min(height, width));
  }

  /**
   * One half of a window: concentric rectangles that fall off as a power of their size (2 in L2, 4
   * in L1), of norm one.
   *
   * @return row-major [rows·columns]
   */
  static double[] rectangles(Norm norm, int rows, int columns) {
    double[] values = new double[rows * columns];
    int power = norm == Norm.L2 ? 2 : 4;
    int top = rows / 2;
    int left = columns / 2;
    for (int k = 0; k < Math.max(rows / 2 + 1, columns / 2 + 1); k++, top--, left--) {
      double value = 1 / Math.pow(k + 1, power);
      for (int i = Math.max(top, 0); i < Math.min(top + 2 * k + 1, rows); i++) {
        for (int j = Math.max(left, 0); j < Math.min(left + 2 * k + 1, columns); j++) {
          values[i * columns + j] += value;
        }
      }
    }
    return unit(norm, values);
  }

  /**
   * A whole window: one half up, the other down, of norm one.
   *
   * @param transposed halves side by side instead of above each other
   * @return row-major [side·side]
   */
  static double[] window(Norm norm, int side, boolean transposed) {
    double[] values = new double[side * side];
    int half = side / 2;
    double[] upper = rectangles(norm, half, side);
    double[] lower = rectangles(norm, side - half, side);
    System.arraycopy(upper, 0, values, 0, upper.length);
    for (int i = 0; i < lower.length; i++) {
      values[upper.length + i] = -lower[i];
    }
    unit(norm, values);
    if (!transposed) {
      return values;
    }
    double[] flipped = new double[values.length];
    for (int i = 0; i < side; i++) {
      for (int j = 0; j < side; j++) {
        flipped[j * side + i] = values[i * side + j];
      }
    }
    return flipped;
  }

  private static double[] unit(Norm norm, double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += norm == Norm.L2 ? value * value : Math.abs(value);
    }
    double size = norm == Norm.L2 ? Math.sqrt(sum) : sum;
    for (int i = 0; i < values.length; i++) {
      values[i] /= size;
    }
    return values;
  }
}
