package io.github.igdefense.data;

/**
 * Antialiased resizing of 8-bit images with the arithmetic of Pillow's {@code Image.resize}: a
 * separable filter widened by the scale, weights in fixed point with 22 fractional bits, each pass
 * rounded to 8 bits, rows first. Only the wanted window of the result is computed. Stateless.
 */
final class Resampling {
  private static final int PRECISION = 22;

  private Resampling() {}

  /** An interpolation filter. */
  enum Filter {
    /** A triangle of half-width 1. */
    BILINEAR(1) {
      @Override
      double weight(double x) {
        return Math.max(0, 1 - Math.abs(x));
      }
    },
    /** Keys's cubic with a = -0.5, half-width 2. */
    BICUBIC(2) {
      @Override
      double weight(double x) {
        double a = -0.5;
        double d = Math.abs(x);
        if (d < 1) {
          return ((a + 2) * d - (a + 3)) * d * d + 1;
        }
        return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
      }
    };

    private final double support;

    Filter(double support) {
      this.support = support;
    }

    abstract double weight(double x);
  }

  /** Weights of one axis: output i is the sum over k of weights[i][k] · input[first[i] + k]. */
  private record Axis(int[] first, int[][] weights) {
    /** For outputs {@code from} up to {@code from + count} of {@code out}, of {@code in} inputs. */
    static Axis of(Filter filter, int in, int out, int from, int count) {
      double scale = (double) in / out;
      double widening = Math.max(1, scale);
      double support = filter.support * widening;
      double inverse = 1 / widening;
      int[] first = new int[count];
      int[][] weights = new int[count][];
      for (int i = 0; i < count; i++) {
        double center = (from + i + 0.5) * scale;
        int least = Math.max(0, (int) (center - support + 0.5));
        int most = Math.min(in, (int) (center + support + 0.5));
        double[] exact = new double[most - least];
        double sum = 0;
        for (int k = 0; k < exact.length; k++) {
          exact[k] = filter.weight((k + least - center + 0.5) * inverse);
          sum += exact[k];
        }
        first[i] = least;
        weights[i] = new int[exact.length];
        for (int k = 0; k < exact.length; k++) {
          double weight = sum == 0 ? exact[k] : exact[k] / sum;
          double fixed = weight * (1 << PRECISION);
          weights[i][k] = (int) (fixed < 0 ? fixed - 0.5 : fixed + 0.5);
        }
      }
      return new Axis(first, weights);
    }

    int end() {
      int last = first.length - 1;
      return first[last] + weights[last].length;
    }
  }

  /** A part of a larger image. */
  record Window(int top, int left, int height, int width) {}

  /**
   * Resizes to {@code outHeight} × {@code outWidth} and gives a window of that.
   *
   * @param source three planes of {@code height} × {@code width} bytes
   * @return three planes of the window's size
   */
  static byte[] resize(
      byte[] source,
      int height,
      int width,
      Filter filter,
      int outHeight,
      int outWidth,
      Window window) {
    // Pillow skips a pass that would not change the size.
    Axis rows =
        height == outHeight ? null : Axis.of(filter, height, outHeight, window.top, window.height);
    Axis columns =
        width == outWidth ? null : Axis.of(filter, width, outWidth, window.left, window.width);
    int top = rows == null ? window.top : rows.first[0];
    int needed = rows == null ? window.height : rows.end() - top;
    byte[] target = new byte[3 * window.height * window.width];
    byte[] middle = new byte[needed * window.width];
    for (int plane = 0; plane < 3; plane++) {
      for (int y = 0; y < needed; y++) {
        int from = plane * height * width + (top + y) * width;
        if (columns == null) {
          System.arraycopy(source, from + window.left, middle, y * window.width, window.width);
        } else {
          across(source, from, columns, middle, y * window.width);
        }
      }
      int to = plane * window.height * window.width;
      if (rows == null) {
        System.arraycopy(middle, 0, target, to, middle.length);
      } else {
        down(middle, window.width, top, rows, target, to);
      }
    }
    return target;
  }

  private static void across(byte[] source, int from, Axis axis, byte[] target, int to) {
    for (int x = 0; x < axis.first.length; x++) {
      int[] weights = axis.weights[x];
      int at = from + axis.first[x];
      int sum = 1 << PRECISION - 1;
      for (int k = 0; k < weights.length; k++) {
        sum += (source[at + k] & 0xff) * weights[k];
      }
      target[to + x] = clip(sum);
    }
  }

  private static void down(byte[] source, int width, int top, Axis axis, byte[] target, int to) {
    int[] sums = new int[width];
    for (int y = 0; y < axis.first.length; y++) {
      java.util.Arrays.fill(sums, 1 << PRECISION - 1);
      int[] weights = axis.weights[y];
      for (int k = 0; k < weights.length; k++) {
        int at = (axis.first[y] - top + k) * width;
        for (int x = 0; x < width; x++) {
          sums[x] += (source[at + x] & 0xff) * weights[k];
        }
      }
      for (int x = 0; x < width; x++) {
        target[to + y * width + x] = clip(sums[x]);
      }
    }
  }

  private static byte clip(int sum) {
    return (byte) Math.max(0, Math.min(255, sum >> PRECISION));
  }
}
