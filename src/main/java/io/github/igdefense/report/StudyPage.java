package io.github.igdefense.report;

import io.github.igdefense.data.AtomicFiles;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/**
 * One self-contained HTML page for a {@link StudyReport}, under the same rules as {@link
 * HtmlReport}: no script, no external asset, light and dark, prints, fits screens from 400 px.
 */
public final class StudyPage {
  private final StudyReport report;

  private StudyPage(StudyReport report) {
    this.report = report.withStandardWarnings();
  }

  /**
   * Writes the page; the file is replaced as a whole or not at all.
   *
   * @throws java.io.UncheckedIOException if it cannot be written
   */
  public static void write(Path file, StudyReport report) {
    AtomicFiles.writeText(file, text(report));
  }

  /** The page as text. */
  public static String text(StudyReport report) {
    return new StudyPage(report).page();
  }

  private String page() {
    Map<String, String> slots = new TreeMap<>();
    slots.put("head", HtmlReport.head(report.title()));
    slots.put("title", Html.escape(report.title()));
    slots.put(
        "kicker",
        HtmlReport.kicker(report.kind(), report.provenance(), report.startedAt(), report.seconds())
            .toString());
    slots.put("question", Html.escape(report.question()));
    Html answers = new Html();
    report.summary().forEach(sentence -> answers.element("p", sentence));
    slots.put("answers", answers.toString());
    slots.put("navigation", navigation().toString());
    slots.put("warnings", HtmlReport.warnings(report.warnings()).toString());
    slots.put("sections", sections().toString());
    Html limits = new Html();
    report.limits().forEach(sentence -> limits.element("li", sentence));
    slots.put("limits", limits.toString());
    slots.put(
        "provenance",
        new ProvenanceTable(report.settings(), report.provenance()).html().toString());
    slots.put("command", HtmlReport.command(report.commandLine()).toString());
    Html words = new Html();
    report
        .words()
        .forEach(
            (term, meaning) ->
                words.open("div").element("dt", term).element("dd", meaning).closeLine());
    slots.put("words", words.toString());
    return Html.fill(HtmlReport.resource("study.html"), slots);
  }

  private Html navigation() {
    Html html = new Html();
    report.sections().forEach(s -> html.element("a", s.title(), "href", "#" + s.id()));
    html.element("a", "What they do not prove", "href", "#limits");
    return html.element("a", "Provenance", "href", "#provenance");
  }

  private Html sections() {
    Html html = new Html();
    for (StudyReport.Section section : report.sections()) {
      html.open("section", "id", section.id()).element("h2", section.title());
      section.blocks().forEach(block -> html.add(block(block)));
      html.closeLine();
    }
    return html;
  }

  private static Html block(Block block) {
    if (block instanceof Block.Paragraph paragraph) {
      return new Html().element("p", paragraph.text(), "class", "prose-block");
    }
    if (block instanceof Block.Table table) {
      return table(table);
    }
    if (block instanceof Block.Bars bars) {
      return Figures.bars(bars);
    }
    if (block instanceof Block.Curves curves) {
      return Figures.curves(curves);
    }
    return Figures.surface((Block.Surface) block);
  }

  private static Html table(Block.Table table) {
    Html html = new Html().element("p", table.caption(), "class", "caption");
    html.scrolling(table.caption()).open("table", "class", "study").open("thead").open("tr");
    table.columns().forEach(column -> html.element("th", column, "scope", "col"));
    html.close().close().open("tbody");
    for (var row : table.rows()) {
      html.open("tr").element("th", row.get(0), "scope", "row");
      row.subList(1, row.size()).forEach(cell -> html.element("td", cell));
      html.closeLine();
    }
    return html.close().close().close();
  }
}
