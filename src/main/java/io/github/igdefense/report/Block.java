package io.github.igdefense.report;

import java.util.List;

/** A piece of a {@link StudyReport}: text, a table or a figure. Immutable. */
public sealed interface Block {
  /**
   * A paragraph.
   *
   * @param text complete sentences
   */
  record Paragraph(String text) implements Block {}

  /**
   * A table; the first column names the rows.
   *
   * @param caption what it shows, and in which unit
   * @param columns headings
   * @param rows cells as printed, as many as headings
   */
  record Table(String caption, List<String> columns, List<List<String>> rows) implements Block {
    /**
     * Checks the width of the rows.
     *
     * @throws IllegalArgumentException if a row has another number of cells
     */
    public Table {
      columns = List.copyOf(columns);
      rows = rows.stream().map(List::copyOf).toList();
      for (List<String> row : rows) {
        if (row.size() != columns.size()) {
          throw new IllegalArgumentException("expected " + columns.size() + " cells, got " + row);
        }
      }
    }
  }

  /**
   * Horizontal bars from a zero line, in groups.
   *
   * @param caption what it shows
   * @param groups from top to bottom
   */
  record Bars(String caption, List<BarGroup> groups) implements Block {
    /** Copies the list. */
    public Bars {
      groups = List.copyOf(groups);
    }
  }

  /**
   * Bars under one heading.
   *
   * @param heading of the group
   * @param bars from top to bottom
   */
  record BarGroup(String heading, List<Bar> bars) {
    /** Copies the list. */
    public BarGroup {
      bars = List.copyOf(bars);
    }
  }

  /**
   * One bar.
   *
   * @param label what it stands for
   * @param value its length; null draws nothing but "not known"
   * @param low lower end of its interval, or null
   * @param high upper end, or null
   * @param text the value as printed
   */
  record Bar(String label, Double value, Double low, Double high, String text) {}

  /**
   * Curves over a common axis whose points stand at equal distances.
   *
   * @param caption what it shows
   * @param axis what is varied
   * @param ticks its values as printed, at least one
   * @param series the curves, at most four
   */
  record Curves(String caption, String axis, List<String> ticks, List<Series> series)
      implements Block {
    /**
     * Checks the lengths.
     *
     * @throws IllegalArgumentException if a curve has another number of points
     */
    public Curves {
      ticks = List.copyOf(ticks);
      series = List.copyOf(series);
      for (Series one : series) {
        if (one.values().size() != ticks.size()) {
          throw new IllegalArgumentException(
              "expected " + ticks.size() + " points of " + one.name() + ", got " + one.values());
        }
      }
    }
  }

  /**
   * One curve of shares.
   *
   * @param name of the curve
   * @param values fractions in [0,1], null for a gap
   * @param low lower ends of the intervals, null for none; empty for no intervals
   * @param high upper ends
   */
  record Series(String name, List<Double> values, List<Double> low, List<Double> high) {
    /** Keeps nulls. */
    public Series {
      values = Copies.of(values);
      low = Copies.of(low);
      high = Copies.of(high);
    }
  }

  /**
   * A function over a square, as a heat map and as a surface.
   *
   * @param name whose function
   * @param caption what it shows
   * @param horizontal name of the first axis
   * @param vertical name of the second axis
   * @param ends the ends of both axes as printed, such as −8/255 and 8/255
   * @param values [rows][columns], rows from the lowest second coordinate; at least 2×2, finite
   * @param low bottom of the colour scale
   * @param high top of the colour scale
   */
  record Surface(
      String name,
      String caption,
      String horizontal,
      String vertical,
      List<String> ends,
      double[][] values,
      double low,
      double high)
      implements Block {}
}
