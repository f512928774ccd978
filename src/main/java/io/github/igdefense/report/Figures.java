package io.github.igdefense.report;

import java.util.List;
import java.util.Locale;

/**
 * The figures of a {@link StudyReport} as inline SVG: positions in per cent of the width where text
 * is involved, so that it keeps its size on every screen; colours from the style sheet.
 */
final class Figures {
  private static final int BAR_ROW = 26;
  private static final int PLOT_HEIGHT = 240;
  private static final int TOP = 10;
  private static final String[] STYLES = {"one", "two", "three", "four"};

  private Figures() {}

  // ---- bars

  static Html bars(Block.Bars figure) {
    double low = 0;
    double high = 0;
    for (Block.BarGroup group : figure.groups()) {
      for (Block.Bar bar : group.bars()) {
        for (Double end : new Double[] {bar.value(), bar.low(), bar.high()}) {
          if (end != null) {
            low = Math.min(low, end);
            high = Math.max(high, end);
          }
        }
      }
    }
    double margin = Math.max((high - low) * 0.04, 1e-9);
    Axis axis = new Axis(low - (low < 0 ? margin : 0), high + (high > 0 ? margin : margin / 2));
    Html html = new Html().open("figure", "class", "bars");
    for (Block.BarGroup group : figure.groups()) {
      html.element("h3", group.heading()).open("div", "class", "bar-grid");
      for (Block.Bar bar : group.bars()) {
        html.element("span", bar.label(), "class", "bar-label");
        bar(html, axis, bar, group.heading());
        html.element("span", bar.text(), "class", "bar-text");
      }
      html.closeLine();
    }
    return html.element("figcaption", figure.caption()).closeLine();
  }

  private static void bar(Html html, Axis axis, Block.Bar bar, String heading) {
    html.open(
        "svg",
        "width",
        "100%",
        "height",
        "" + BAR_ROW,
        "role",
        "img",
        "aria-label",
        heading + ", " + bar.label() + ": " + bar.text());
    double zero = axis.at(0);
    if (bar.value() != null) {
      double at = axis.at(bar.value());
      html.open(
              "rect",
              "class",
              bar.value() < 0 ? "down" : "up",
              "x",
              percent(Math.min(zero, at)),
              "width",
              percent(Math.abs(at - zero)),
              "y",
              "6",
              "height",
              "14")
          .close();
    }
    line(html, "zero", percent(zero), 0, percent(zero), BAR_ROW);
    if (bar.low() != null && bar.high() != null) {
      int middle = BAR_ROW / 2;
      String from = percent(axis.at(bar.low()));
      String to = percent(axis.at(bar.high()));
      line(html, "whisker", from, middle, to, middle);
      line(html, "whisker", from, middle - 4, from, middle + 4);
      line(html, "whisker", to, middle - 4, to, middle + 4);
    }
    html.close();
  }

  /** A linear axis onto 0 to 100 per cent. */
  private record Axis(double low, double high) {
    double at(double value) {
      return 100 * (value - low) / (high - low);
    }
  }

  // ---- curves

  static Html curves(Block.Curves figure) {
    double low = 1;
    double high = 0;
    for (Block.Series series : figure.series()) {
      for (List<Double> list : List.of(series.values(), series.low(), series.high())) {
        for (Double value : list) {
          if (value != null) {
            low = Math.min(low, value);
            high = Math.max(high, value);
          }
        }
      }
    }
    low = Math.max(0, Math.floor(low * 20) / 20);
    high = Math.min(1, Math.ceil(high * 20) / 20);
    if (high - low < 0.05) {
      low = Math.max(0, high - 0.05);
      high = low + 0.05;
    }
    Html html = new Html().open("figure", "class", "curves").open("ul", "class", "legend");
    for (int s = 0; s < figure.series().size(); s++) {
      html.open("li").open("svg", "width", "26", "height", "12", "aria-hidden", "true");
      line(html, "curve curve-" + STYLES[s % STYLES.length], "1", 6, "25", 6);
      html.close().text(figure.series().get(s).name()).close();
    }
    html.closeLine();
    html.open("div", "class", "curve-box").open("div", "class", "curve-scale");
    html.element("span", Numbers.percentSign(high)).element("span", Numbers.percentSign(low));
    html.close();
    html.open(
        "svg",
        "width",
        "100%",
        "height",
        "" + (PLOT_HEIGHT + 2 * TOP),
        "role",
        "img",
        "aria-label",
        figure.caption() + " The table gives the numbers.");
    int steps = (int) Math.round((high - low) / 0.05);
    int every = Math.max(1, (steps + 5) / 6);
    for (int i = 0; i <= steps; i += every) {
      int y = height(low + i * 0.05, low, high);
      line(html, "grid", "0%", y, "100%", y);
    }
    // The first curve is the most important one: drawn last, on top.
    for (int s = figure.series().size() - 1; s >= 0; s--) {
      curve(html, figure.series().get(s), STYLES[s % STYLES.length], low, high);
    }
    html.close().close();
    html.open("div", "class", "curve-ticks", "aria-hidden", "true");
    figure.ticks().forEach(tick -> html.element("span", tick));
    html.close();
    html.element("p", figure.axis(), "class", "curve-axis");
    return html.element("figcaption", figure.caption()).closeLine();
  }

  private static void curve(Html html, Block.Series series, String style, double low, double high) {
    int n = series.values().size();
    for (int i = 0; i < n; i++) {
      Double value = series.values().get(i);
      if (value == null) {
        continue;
      }
      String x = percent(100 * (i + 0.5) / n);
      int y = height(value, low, high);
      if (i < series.low().size() && series.low().get(i) != null) {
        line(
            html,
            "curve-interval curve-" + style,
            x,
            height(series.low().get(i), low, high),
            x,
            height(series.high().get(i), low, high));
      }
      if (i + 1 < n && series.values().get(i + 1) != null) {
        line(
            html,
            "curve curve-" + style,
            x,
            y,
            percent(100 * (i + 1.5) / n),
            height(series.values().get(i + 1), low, high));
      }
      html.open("circle", "class", "dot dot-" + style, "cx", x, "cy", "" + y, "r", "4").close();
    }
  }

  private static int height(double value, double low, double high) {
    return TOP + (int) Math.round(PLOT_HEIGHT * (1 - (value - low) / (high - low)));
  }

  // ---- surface

  static Html surface(Block.Surface figure) {
    Html html = new Html().open("figure", "class", "surface").element("h3", figure.name());
    html.open("div", "class", "surface-pair");
    html.open("div").add(heat(figure));
    html.element(
        "p",
        figure.horizontal()
            + " from "
            + figure.ends().get(0)
            + " to "
            + figure.ends().get(1)
            + " (left to right)");
    html.element("p", figure.vertical() + ", the same (bottom to top)").close();
    html.open("div").add(relief(figure)).open("p", "class", "scale");
    html.text(Numbers.plain(figure.low()));
    html.open("svg", "width", "120", "height", "12", "aria-hidden", "true");
    for (int i = 0; i < 24; i++) {
      html.open(
              "rect",
              "x",
              "" + i * 5,
              "y",
              "0",
              "width",
              "5.5",
              "height",
              "12",
              "fill",
              Scale.colour((i + 0.5) / 24))
          .close();
    }
    html.close().text(Numbers.plain(figure.high())).close().close();
    html.close();
    return html.element("figcaption", figure.caption()).closeLine();
  }

  private static double position(Block.Surface figure, double value) {
    return figure.high() > figure.low()
        ? (value - figure.low()) / (figure.high() - figure.low())
        : 0;
  }

  private static Html heat(Block.Surface figure) {
    double[][] values = figure.values();
    int rows = values.length;
    int columns = values[0].length;
    Html html =
        new Html()
            .open(
                "svg",
                "class",
                "heat-square",
                "viewBox",
                "0 0 " + columns + " " + rows,
                "role",
                "img",
                "aria-label",
                "Heat map of " + figure.name() + ": " + figure.caption());
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        html.open(
                "rect",
                "x",
                "" + column,
                "y",
                "" + (rows - 1 - row),
                "width",
                "1.05",
                "height",
                "1.05",
                "fill",
                Scale.colour(position(figure, values[row][column])))
            .close();
      }
    }
    // The ball: |a| + |b| ≤ ε, a diamond between the middles of the sides.
    html.open(
            "path",
            "class",
            "ball",
            "d",
            String.format(
                Locale.ROOT,
                "M%.2f,%.2fL%.2f,%.2fL%.2f,%.2fL%.2f,%.2fz",
                columns / 2.0,
                0.5,
                columns - 0.5,
                rows / 2.0,
                columns / 2.0,
                rows - 0.5,
                0.5,
                rows / 2.0))
        .close();
    return html.close();
  }

  /** The surface seen from above at an angle; cells drawn from back to front. */
  private static Html relief(Block.Surface figure) {
    double[][] values = figure.values();
    int rows = values.length;
    int columns = values[0].length;
    Html html =
        new Html()
            .open(
                "svg",
                "class",
                "relief",
                "viewBox",
                "-105 -75 210 190",
                "role",
                "img",
                "aria-label",
                "Surface of " + figure.name() + ": " + figure.caption());
    for (int row = rows - 2; row >= 0; row--) {
      for (int column = columns - 2; column >= 0; column--) {
        StringBuilder path = new StringBuilder();
        int[][] corners = {{0, 0}, {0, 1}, {1, 1}, {1, 0}};
        double sum = 0;
        for (int[] corner : corners) {
          int r = row + corner[0];
          int c = column + corner[1];
          double z = position(figure, values[r][c]);
          sum += z;
          double u = (double) c / (columns - 1) - 0.5;
          double v = (double) r / (rows - 1) - 0.5;
          path.append(
              String.format(
                  Locale.ROOT,
                  "%s%.1f,%.1f",
                  path.length() == 0 ? "M" : "L",
                  (u - v) * 100,
                  60 - (u + v) * 50 - z * 75));
        }
        html.open(
                "path",
                "class",
                "cell",
                "d",
                path.append('z').toString(),
                "fill",
                Scale.colour(sum / 4))
            .close();
      }
    }
    return html.close();
  }

  // ---- helpers

  private static void line(Html html, String style, String x1, int y1, String x2, int y2) {
    html.open("line", "class", style, "x1", x1, "y1", "" + y1, "x2", x2, "y2", "" + y2).close();
  }

  private static String percent(double value) {
    return String.format(Locale.ROOT, "%.2f%%", value);
  }
}
