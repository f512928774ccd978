package io.github.igdefense.report;

import java.util.Locale;

/** Colours of a scale from low to high, readable on light and dark pages. */
final class Scale {
  private static final int[] STOPS = {0x1d3f5e, 0x2f7f97, 0x8fc1a9, 0xf0d789, 0xc8542b};

  private Scale() {}

  /** The colour {@code #rrggbb} of a position in [0,1]; what lies outside is clipped. */
  static String colour(double position) {
    double p = Math.max(0, Math.min(1, Double.isFinite(position) ? position : 0));
    double scaled = p * (STOPS.length - 1);
    int i = Math.min((int) scaled, STOPS.length - 2);
    double t = scaled - i;
    int mixed = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
      int a = STOPS[i] >> shift & 255;
      int b = STOPS[i + 1] >> shift & 255;
      mixed |= (int) Math.round(a + t * (b - a)) << shift;
    }
    return String.format(Locale.ROOT, "#%06x", mixed);
  }
}
