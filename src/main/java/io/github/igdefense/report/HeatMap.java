package io.github.igdefense.report;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * A ranking as a picture: a strip per class, a column per unit, ticks under the units the mask
 * keeps.
 */
final class HeatMap {
  /** Pixels per class: importance, ticks, gap. */
  private static final int HEAT = 14;

  private static final int TICKS = 4;
  private static final int GAP = 4;
  private static final int ROW = HEAT + TICKS + GAP;

  /** From this many classes on a class is one PNG row without ticks or gap. */
  private static final int DENSE = 40;

  /** A PNG at least this wide is only ever made smaller on the page and stays sharp. */
  private static final int SHARP_WIDTH = 960;

  private static final int LABELS = 25;

  private final RankingPicture ranking;
  private final TopUnits top;
  private final Integer[] order;
  private final double[] highest;
  private final double[] lowest;

  HeatMap(RankingPicture ranking) {
    this.ranking = ranking;
    top = TopUnits.of(ranking);
    double[][] importance = ranking.importance();
    int classes = ranking.classNames().size();
    highest = new double[classes];
    lowest = new double[classes];
    Arrays.fill(highest, Double.NEGATIVE_INFINITY);
    Arrays.fill(lowest, Double.POSITIVE_INFINITY);
    for (double[] unit : importance) {
      for (int c = 0; c < classes; c++) {
        highest[c] = Math.max(highest[c], unit[c]);
        lowest[c] = Math.min(lowest[c], unit[c]);
      }
    }
    order = sorted();
  }

  /** Units grouped by the class for which they are relatively most important, strongest first. */
  private Integer[] sorted() {
    int units = ranking.units();
    int[] best = new int[units];
    double[] strength = new double[units];
    for (int u = 0; u < units; u++) {
      for (int c = 0; c < highest.length; c++) {
        double value = relative(u, c);
        if (c == 0 || value > strength[u]) {
          best[u] = c;
          strength[u] = value;
        }
      }
    }
    Integer[] sorted = new Integer[units];
    Arrays.setAll(sorted, u -> u);
    Arrays.sort(
        sorted,
        Comparator.<Integer>comparingInt(u -> best[u])
            .thenComparing(u -> -strength[u])
            .thenComparing(u -> u));
    return sorted;
  }

  /** Importance scaled to [0,1] within the class. */
  private double relative(int unit, int c) {
    double range = highest[c] - lowest[c];
    return range > 0 ? (ranking.importance()[unit][c] - lowest[c]) / range : 0;
  }

  private int unitWidth() {
    return Math.max(1, (SHARP_WIDTH + ranking.units() - 1) / ranking.units());
  }

  private boolean dense() {
    return highest.length >= DENSE;
  }

  /** Width of the PNG. */
  int width() {
    return ranking.units() * unitWidth();
  }

  private int height() {
    return dense() ? highest.length : highest.length * ROW;
  }

  /** Height on the page. */
  int shownHeight() {
    return dense() ? Math.max(400, Math.min(1000, highest.length * 4)) : height();
  }

  /** Every how-many-th class has its name written beside it. */
  int labelStep() {
    return (highest.length + LABELS - 1) / LABELS;
  }

  /** The strips on a light page, as a data URI of a PNG. */
  String uri() {
    return png(height(), Palette.LIGHT);
  }

  /** The strips on a light page, as a PNG file. */
  byte[] bytes() {
    String uri = uri();
    return java.util.Base64.getDecoder().decode(uri.substring(uri.indexOf(',') + 1));
  }

  /** The figure with labels, legend and caption. */
  Html figure() {
    int classes = highest.length;
    int pngHeight = height();
    int shown = shownHeight();
    Html html = new Html().open("figure", "class", "heat");
    html.open("div", "class", "heat-grid");
    html.open(
        "div", "class", "heat-labels", "style", "height:" + shown + "px", "aria-hidden", "true");
    int step = labelStep();
    for (int c = 0; c < classes; c += step) {
      html.element("span", ranking.classNames().get(c));
    }
    html.close();
    html.open("picture");
    html.open(
        "source", "media", "(prefers-color-scheme: dark)", "srcset", png(pngHeight, Palette.DARK));
    html.open(
        "img",
        "alt",
        alternative(),
        "width",
        "" + width(),
        "height",
        "" + pngHeight,
        "style",
        "height:" + shown + "px",
        "src",
        png(pngHeight, Palette.LIGHT));
    html.close();
    html.open("div", "class", "heat-axis", "aria-hidden", "true");
    html.element("span", "1")
        .element(
            "span", "units of " + ranking.layer() + ", grouped by the class they matter to most");
    html.element("span", Numbers.count(ranking.units())).close();
    html.close();
    html.open("figcaption").text(caption()).close();
    return html.closeLine();
  }

  private String png(int height, Palette palette) {
    return Png.uri(
        ranking.units() * unitWidth(),
        height,
        (x, y) -> {
          int c = dense() ? y : y / ROW;
          int part = dense() ? 0 : y % ROW;
          int unit = order[x / unitWidth()];
          if (part < HEAT) {
            return palette.heat(relative(unit, c));
          }
          return part < HEAT + TICKS && ranking.keep() > 0 && top.contains(c, unit)
              ? palette.tick
              : palette.paper;
        });
  }

  private String alternative() {
    return "Heat map of importance: "
        + ranking.units()
        + " units of "
        + ranking.layer()
        + " by "
        + highest.length
        + " classes; the text below describes it";
  }

  private String caption() {
    StringBuilder s = new StringBuilder();
    s.append("Each strip is a class, each column one of the ")
        .append(Numbers.count(ranking.units()));
    s.append(" units of ")
        .append(ranking.layer())
        .append(". The stronger the colour, the more important the unit ");
    s.append("is to the class (")
        .append(method())
        .append("), scaled within each class from its least to its most ");
    s.append(
        "important unit. Columns are grouped by the class to which a unit matters most, so units"
            + " that serve ");
    s.append("one class only form a staircase.");
    if (ranking.keep() > 0) {
      s.append(dense() ? " The mask keeps" : " Ticks under a strip mark");
      s.append(" the ").append(ranking.keep()).append(" most important units of the class");
      s.append(dense() ? "." : ", those the mask keeps.");
      if (highest.length > 1) {
        s.append(" Two classes share on average ").append(Numbers.percentSign(top.meanShared()));
        s.append(" of them; units chosen at random would share ");
        s.append(Numbers.percentSign((double) ranking.keep() / ranking.units())).append('.');
      }
    }
    return s.toString();
  }

  private String method() {
    return switch (ranking.method() == null ? "" : ranking.method()) {
      case "loir" -> "leave-one-out: the mean change of the class's logit when the unit is zeroed";
      case "cdir" -> "CLIP-Dissect: the similarity of the unit's activations to the class name";
      case "random" -> "drawn at random, as a baseline";
      default -> String.valueOf(ranking.method());
    };
  }

  /** Colours of the picture: three stops of a scale, the tick and the page. */
  private enum Palette {
    LIGHT(0xeceae4, 0x6fa8b8, 0x0b3c52, 0xb4451f, 0xfbfaf7),
    DARK(0x22262b, 0x2f7f97, 0xbdeaf2, 0xf08a5d, 0x14171a);

    private final List<Integer> stops;
    private final int tick;
    private final int paper;

    Palette(int low, int middle, int high, int tick, int paper) {
      stops = List.of(low, middle, high);
      this.tick = tick;
      this.paper = paper;
    }

    private int heat(double value) {
      double position = Math.max(0, Math.min(1, value)) * (stops.size() - 1);
      int i = Math.min((int) position, stops.size() - 2);
      double t = position - i;
      int mixed = 0;
      for (int shift = 16; shift >= 0; shift -= 8) {
        int a = stops.get(i) >> shift & 255;
        int b = stops.get(i + 1) >> shift & 255;
        mixed |= (int) Math.round(a + t * (b - a)) << shift;
      }
      return mixed;
    }
  }
}
