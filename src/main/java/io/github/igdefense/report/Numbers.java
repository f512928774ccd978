package io.github.igdefense.report;

import java.math.BigDecimal;
import java.util.Locale;

/** Numbers as text, always in the root locale. */
final class Numbers {
  /** Narrow no-break space. */
  private static final String THIN = "\u202f";

  private Numbers() {}

  /** A fraction as per cent with one decimal and no sign: 0.8412 → 84.1; null → an en dash. */
  static String percent(Double fraction) {
    return fraction == null ? "–" : String.format(Locale.ROOT, "%.1f", fraction * 100);
  }

  /** The same with the per-cent sign. */
  static String percentSign(Double fraction) {
    return fraction == null ? "–" : percent(fraction) + THIN + "%";
  }

  /** A difference of two fractions in percentage points, signed: +8.1, −0.3, ±0.0. */
  static String points(double difference) {
    String size = String.format(Locale.ROOT, "%.1f", Math.abs(difference) * 100);
    return (size.equals("0.0") ? "±" : difference < 0 ? "\u2212" : "+") + size;
  }

  /** A count with thin spaces between thousands: 10 000. */
  static String count(long n) {
    return String.format(Locale.ROOT, "%,d", n)
        .replace(",", n >= 10_000 || n <= -10_000 ? THIN : "");
  }

  /** A ratio of times: 1.08×. */
  static String times(Double ratio) {
    return ratio == null ? "–" : String.format(Locale.ROOT, ratio < 10 ? "%.2f×" : "%.1f×", ratio);
  }

  /** A setting without a needless tail: 0.1, 0.0314, 50. */
  static String plain(double value) {
    if (!Double.isFinite(value)) {
      return Double.toString(value);
    }
    BigDecimal decimal =
        new BigDecimal(value).round(new java.math.MathContext(4)).stripTrailingZeros();
    double size = Math.abs(value);
    return size != 0 && (size < 1e-4 || size >= 1e7) ? decimal.toString() : decimal.toPlainString();
  }

  /** A duration: 42 s, 4 min 12 s, 2 h 05 min. */
  static String duration(double seconds) {
    long s = Math.round(seconds);
    if (s < 60) {
      return seconds < 10
          ? String.format(Locale.ROOT, "%.1f", seconds) + THIN + "s"
          : s + THIN + "s";
    }
    return s < 3600
        ? s / 60 + THIN + "min " + s % 60 + THIN + "s"
        : s / 3600 + THIN + "h " + s % 3600 / 60 + THIN + "min";
  }
}
