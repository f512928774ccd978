package io.github.igdefense.report;

import java.util.Locale;

/**
 * Small charts as inline SVG.
 *
 * <p>Horizontal positions are per cent of the width, so text keeps its size on every screen;
 * colours come from the style sheet, so they follow light and dark.
 */
final class Charts {
  private static final int ROW = 44;

  /** Heights of the two lanes of a row: single attacks above, clean to worst case below. */
  private static final int UPPER = 13;

  private static final int LOWER = 29;

  private static final int BAR = 6;

  private Charts() {}

  /** Kinds of marks in the accuracy plot, by shape first and colour second. */
  enum Mark {
    CLEAN("Clean"),
    DIRECT("Strongest direct attack"),
    TRANSFER("Strongest transfer"),
    WORST("Worst case, with 95\u202f% interval");

    private final String label;

    Mark(String label) {
      this.label = label;
    }

    private String style() {
      return "mark mark-" + name().toLowerCase(Locale.ROOT);
    }

    private String path() {
      return switch (this) {
        case CLEAN -> "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z";
        case DIRECT -> "M0,-6.5L6.5,0L0,6.5L-6.5,0z";
        case TRANSFER -> "M0,-6L6,5L-6,5z";
        case WORST -> "M-5.5,-5.5h11v11h-11z";
      };
    }
  }

  /** One line per classifier: its accuracies on a scale from 0 to 100 %. */
  static Html accuracies(RunReport report) {
    Html html = new Html().open("div", "class", "plot");
    for (ClassifierResult c : report.classifiers()) {
      html.element("div", c.title(), "class", "plot-label");
      html.open(
          "svg",
          "class",
          "plot-row",
          "width",
          "100%",
          "height",
          "" + ROW,
          "role",
          "img",
          "aria-label",
          describe(c));
      for (int tick = 0; tick <= 100; tick += 25) {
        line(html, "grid", tick, tick, 0, ROW);
      }
      double low = c.worstCase() == null ? c.clean() : c.worstCase();
      line(html, "span", low * 100, c.clean() * 100, LOWER, LOWER);
      mark(html, Mark.CLEAN, c.clean(), LOWER);
      c.strongestTransfer().ifPresent(a -> mark(html, Mark.TRANSFER, a, UPPER));
      c.strongestAttack().ifPresent(a -> mark(html, Mark.DIRECT, a, UPPER));
      if (c.worstCase() != null) {
        if (c.hasInterval()) {
          line(html, "interval", c.worstCaseLow() * 100, c.worstCaseHigh() * 100, LOWER, LOWER);
          line(
              html,
              "interval",
              c.worstCaseLow() * 100,
              c.worstCaseLow() * 100,
              LOWER - 8,
              LOWER + 8);
          line(
              html,
              "interval",
              c.worstCaseHigh() * 100,
              c.worstCaseHigh() * 100,
              LOWER - 8,
              LOWER + 8);
        }
        mark(html, Mark.WORST, c.worstCase(), LOWER);
      }
      html.closeLine();
    }
    html.element("div", "", "class", "plot-label");
    html.open("svg", "class", "plot-axis", "width", "100%", "height", "20", "aria-hidden", "true");
    for (int tick = 0; tick <= 100; tick += 25) {
      html.element(
          "text",
          tick + (tick == 100 ? "\u202f%" : ""),
          "x",
          tick + "%",
          "y",
          "14",
          "text-anchor",
          "middle");
    }
    return html.closeLine().closeLine();
  }

  private static String describe(ClassifierResult c) {
    StringBuilder s = new StringBuilder(c.title() + ": clean " + Numbers.percentSign(c.clean()));
    c.strongestAttack()
        .ifPresent(a -> s.append(", strongest direct attack ").append(Numbers.percentSign(a)));
    c.strongestTransfer()
        .ifPresent(a -> s.append(", strongest transfer ").append(Numbers.percentSign(a)));
    if (c.worstCase() != null) {
      s.append(", worst case ").append(Numbers.percentSign(c.worstCase()));
    }
    return s.toString();
  }

  /** The shapes of the plot, explained; only those that occur. */
  static Html legend(RunReport report) {
    Html html = new Html().open("ul", "class", "legend");
    for (Mark mark : Mark.values()) {
      boolean used =
          report.classifiers().stream()
              .anyMatch(
                  c ->
                      switch (mark) {
                        case CLEAN -> true;
                        case DIRECT -> !c.attacks().isEmpty();
                        case TRANSFER -> !c.transfer().isEmpty();
                        case WORST -> c.worstCase() != null;
                      });
      if (used) {
        html.open("li")
            .open(
                "svg",
                "width",
                "16",
                "height",
                "16",
                "viewBox",
                "-8 -8 16 16",
                "aria-hidden",
                "true");
        html.open("path", "class", mark.style(), "d", mark.path())
            .close()
            .close()
            .text(mark.label)
            .close();
      }
    }
    return html.closeLine();
  }

  private static void mark(Html html, Mark mark, double fraction, int y) {
    html.open("svg", "x", percent(fraction * 100), "y", "" + y, "overflow", "visible");
    html.open("path", "class", mark.style(), "d", mark.path()).close().close();
  }

  private static void line(Html html, String style, double x1, double x2, int y1, int y2) {
    html.open(
            "line",
            "class",
            style,
            "x1",
            percent(x1),
            "x2",
            percent(x2),
            "y1",
            "" + y1,
            "y2",
            "" + y2)
        .close();
  }

  /** A bar for clean accuracy with the worst case inside it; either may be null. */
  static Html bar(Double clean, Double worst) {
    Html html =
        new Html()
            .open(
                "svg", "class", "bar", "width", "100%", "height", "" + BAR, "aria-hidden", "true");
    html.open("rect", "class", "bar-track", "width", "100%", "height", "" + BAR, "rx", "1").close();
    if (clean != null) {
      html.open(
              "rect",
              "class",
              "bar-clean",
              "width",
              percent(clean * 100),
              "height",
              "" + BAR,
              "rx",
              "1")
          .close();
    }
    if (worst != null) {
      html.open(
              "rect",
              "class",
              "bar-worst",
              "width",
              percent(worst * 100),
              "height",
              "" + BAR,
              "rx",
              "1")
          .close();
    }
    return html.close();
  }

  private static String percent(double value) {
    return String.format(Locale.ROOT, "%.2f%%", value);
  }
}
