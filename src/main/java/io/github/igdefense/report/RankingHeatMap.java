package io.github.igdefense.report;

/**
 * The heat map of a ranking as a file of its own: a strip per class, a column per unit, ticks under
 * the top units (from 40 classes on, a row per class and no ticks). Stateless and thread-safe.
 */
public final class RankingHeatMap {
  private static final int LABEL_WIDTH = 110;
  private static final int TITLE_HEIGHT = 34;
  private static final int FOOT_HEIGHT = 28;
  private static final int FONT_SIZE = 12;

  private RankingHeatMap() {}

  /**
   * The strips alone, without text.
   *
   * @return a PNG file's bytes, at least 960 pixels wide
   * @throws IllegalArgumentException if the picture carries no importances
   */
  public static byte[] png(RankingPicture ranking) {
    return map(ranking).bytes();
  }

  /**
   * The strips with the class names, a title and what the columns are.
   *
   * @return an SVG document that needs no other file
   * @throws IllegalArgumentException if the picture carries no importances
   */
  public static String svg(RankingPicture ranking) {
    HeatMap map = map(ranking);
    int width = map.width() + LABEL_WIDTH;
    int height = map.shownHeight() + TITLE_HEIGHT + FOOT_HEIGHT;
    StringBuilder svg = new StringBuilder();
    svg.append("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"")
        .append(width)
        .append("\" height=\"")
        .append(height)
        .append("\" font-family=\"sans-serif\" font-size=\"")
        .append(FONT_SIZE)
        .append("\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fbfaf7\"/>\n");
    text(svg, 8, 22, "Importance of the units of " + ranking.layer() + " by class");
    int classes = ranking.classNames().size();
    int step = map.labelStep();
    for (int c = 0; c < classes; c += step) {
      double y = TITLE_HEIGHT + (c + 0.5) * map.shownHeight() / classes + FONT_SIZE / 3.0;
      text(svg, 8, y, ranking.classNames().get(c));
    }
    svg.append("<image x=\"")
        .append(LABEL_WIDTH)
        .append("\" y=\"")
        .append(TITLE_HEIGHT)
        .append("\" width=\"")
        .append(map.width())
        .append("\" height=\"")
        .append(map.shownHeight())
        .append("\" preserveAspectRatio=\"none\" href=\"")
        .append(map.uri())
        .append("\"/>\n");
    text(
        svg,
        LABEL_WIDTH,
        height - 10,
        ranking.units() + " units, grouped by the class they matter to most");
    return svg.append("</svg>\n").toString();
  }

  private static void text(StringBuilder svg, double x, double y, String words) {
    svg.append("<text x=\"").append(x).append("\" y=\"").append(y).append("\">");
    svg.append(words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"));
    svg.append("</text>\n");
  }

  private static HeatMap map(RankingPicture ranking) {
    if (!ranking.drawable()) {
      throw new IllegalArgumentException("expected a ranking with its importances");
    }
    return new HeatMap(ranking);
  }
}
