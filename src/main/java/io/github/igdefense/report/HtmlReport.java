package io.github.igdefense.report;

import io.github.igdefense.data.AtomicFiles;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * One self-contained HTML page for a {@link RunReport}: no script, no external asset, works
 * offline, follows light and dark, prints, and fits screens from 400 px.
 *
 * <p>Pictures are data URIs; every text from outside is escaped, and the page's own content
 * security policy forbids scripts and requests.
 */
public final class HtmlReport {
  private final RunReport report;

  private HtmlReport(RunReport report) {
    this.report = report.withStandardWarnings();
  }

  /**
   * Writes the page; the file is replaced as a whole or not at all.
   *
   * @throws UncheckedIOException if it cannot be written
   */
  public static void write(Path file, RunReport report) {
    AtomicFiles.writeText(file, text(report));
  }

  /** The page as text. */
  public static String text(RunReport report) {
    return new HtmlReport(report).page();
  }

  private String page() {
    Map<String, String> slots = new TreeMap<>();
    slots.put("head", head(report.title()));
    slots.put("title", Html.escape(report.title()));
    slots.put(
        "kicker",
        kicker(report.kind(), report.provenance(), report.startedAt(), report.seconds())
            .toString());
    slots.put("question", Html.escape(new Summary(report).question()));
    slots.put("answers", answers().toString());
    slots.put("figures", figures().toString());
    slots.put("warnings", warnings(report.warnings()).toString());
    slots.put(
        "plot", new Html().add(Charts.legend(report)).add(Charts.accuracies(report)).toString());
    slots.put("results", new ResultsTable(report).html().toString());
    slots.put("notes", notes().toString());
    slots.put("limits", limits().toString());
    slots.put("attacks", new Html().add(attacks()).add(new ChecksTable(report).html()).toString());
    slots.put(
        "classes", section("classes", "Class by class", new ClassTable(report).html()).toString());
    slots.put(
        "gallery", section("gallery", "Before and after", new Gallery(report).html()).toString());
    slots.put(
        "ranking", section("ranking", "Which units matter to which class", ranking()).toString());
    slots.put("navigation", navigation().toString());
    slots.put(
        "provenance",
        new ProvenanceTable(report.settings(), report.provenance()).html().toString());
    slots.put("command", command(report.commandLine()).toString());
    return Html.fill(resource("report.html"), slots);
  }

  /** The document up to the body: metadata and the style that all pages share. */
  static String head(String title) {
    return Html.fill(
        resource("head.html"),
        Map.of("css", resource("report.css").strip(), "title", Html.escape(title)));
  }

  /** A text that travels in the jar. */
  static String resource(String name) {
    try (InputStream in = HtmlReport.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("resource missing from the jar: " + name);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Html section(String id, String heading, Html content) {
    String body = content.toString();
    Html html = new Html();
    return body.isEmpty()
        ? html
        : html.open("section", "id", id).element("h2", heading).add(content).closeLine();
  }

  // ---- head of the page

  /** Command, version, time and duration in one line. */
  static Html kicker(String kind, Provenance provenance, String startedAt, double seconds) {
    Html html = new Html();
    String version = provenance.version();
    html.element("span", "igdefense " + kind + (version == null ? "" : ", version " + version));
    String when = when(startedAt);
    if (!when.isEmpty()) {
      html.open("time", "datetime", startedAt).text(when).close();
    }
    return html.element("span", Numbers.duration(seconds));
  }

  private static String when(String startedAt) {
    if (startedAt == null) {
      return "";
    }
    try {
      return DateTimeFormatter.ofPattern("d MMMM yyyy, HH:mm 'UTC'", Locale.ENGLISH)
          .format(Instant.parse(startedAt).atOffset(ZoneOffset.UTC));
    } catch (DateTimeParseException e) {
      return startedAt;
    }
  }

  private Html navigation() {
    Html html = new Html();
    link(html, "results", "Results", true);
    link(html, "limits", "What they do not prove", true);
    link(html, "attacks", "Attacks", true);
    link(html, "classes", "Classes", new ClassTable(report).present());
    link(html, "gallery", "Images", !report.gallery().isEmpty());
    link(html, "ranking", "Ranking", hasRanking());
    link(html, "provenance", "Provenance", true);
    return html;
  }

  private static void link(Html html, String id, String label, boolean present) {
    if (present) {
      html.element("a", label, "href", "#" + id);
    }
  }

  private Html answers() {
    Html html = new Html();
    for (String answer : new Summary(report).answers()) {
      html.element("p", answer);
    }
    return html;
  }

  private Html figures() {
    ClassifierResult c = report.evaluatedResult();
    ClassifierResult base = report.baseResult();
    Html html = new Html();
    if (c.worstCase() != null) {
      String interval = c.hasInterval() ? "95\u202f% interval " + Summary.interval(c) : "";
      boolean screening = report.protocol() == Protocol.IW_WC_SCREENING;
      figure(
          html,
          screening ? "Worst case (screening)" : "Worst case",
          c.worstCase(),
          base.worstCase(),
          interval,
          true);
    }
    figure(html, "Clean", c.clean(), base.clean(), "", false);
    if (c.autoAttack() != null) {
      figure(html, "AutoAttack", c.autoAttack(), base.autoAttack(), "", false);
    } else if (c.strongestAttack().isPresent()) {
      Double reference =
          base.strongestAttack().isPresent() ? base.strongestAttack().getAsDouble() : null;
      figure(
          html,
          "Strongest direct attack",
          c.strongestAttack().getAsDouble(),
          reference,
          "AutoAttack: not run",
          false);
    }
    return html;
  }

  private void figure(
      Html html, String label, double value, Double reference, String more, boolean lead) {
    html.open("div", "class", lead ? "stat stat-lead" : "stat");
    html.element("dt", label);
    html.open("dd").open("span", "class", "stat-value").text(Numbers.percent(value));
    html.element("span", "\u202f%", "class", "unit").close();
    if (report.evaluatedResult() != report.baseResult() && reference != null) {
      String text = report.baseResult().title() + " " + Numbers.percent(reference);
      html.element("span", text, "class", "stat-note");
    }
    if (!more.isEmpty()) {
      html.element("span", more, "class", "stat-note");
    }
    html.close().closeLine();
  }

  /** The box of warnings, gravest first; empty without any. */
  static Html warnings(List<Warning> warnings) {
    Html html = new Html();
    if (warnings.isEmpty()) {
      return html;
    }
    html.open("aside", "class", "warnings", "aria-labelledby", "warnings-title");
    html.element("h2", "Before you quote these numbers", "id", "warnings-title").open("ul");
    for (Warning.Level level : Warning.Level.values()) {
      for (Warning warning : warnings) {
        if (warning.level() == level) {
          html.open("li", "class", "level-" + level.json());
          html.element("strong", level.json(), "class", "level")
              .text(" " + warning.text())
              .closeLine();
        }
      }
    }
    return html.close().closeLine();
  }

  // ---- results

  private Html notes() {
    Html html = new Html();
    for (ClassifierResult c : report.classifiers()) {
      for (String note : c.notes()) {
        html.open("p", "class", "note")
            .element("strong", c.title() + ".")
            .text(" " + note)
            .closeLine();
      }
    }
    return html;
  }

  private Html limits() {
    Html html = new Html();
    Settings settings = report.settings();
    html.open("li")
        .text(
            "The worst case is an upper bound on robustness. A stronger attack, or more steps of ");
    html.text("the same, can only lower it; nothing here is a certificate.").close();
    html.open("li")
        .text("It holds for changes of at most ε = " + settings.epsilonShown() + " in the ");
    html.text(
        settings.normText()
            + " norm. Larger changes, other norms, rotations, patches, blur or another ");
    html.text("camera are other questions.").close();
    html.open("li")
        .text(
            "The interval covers the choice of these "
                + Numbers.count(report.provenance().imagesUsed()));
    html.text(" images, not another training run, another model or other data.").close();
    if (report.classifiers().size() > 1) {
      html.open("li")
          .text(
              "Accuracy under direct attacks alone is no measure of a test-time defense: a"
                  + " defense ");
      html.text("that is hard to optimise through looks strong there. ");
      html.text(
          report.attackNames(true).isEmpty()
              ? "This run shows it no images made on another model."
              : "That is why images made on "
                  + report.baseResult().title()
                  + " are shown to it as well.");
      html.close();
    }
    return html;
  }

  private Html attacks() {
    Html html = new Html();
    if (report.attackDescriptions().isEmpty()) {
      return html.element("p", "Attacks: " + String.join(", ", report.attackNames(false)) + ".");
    }
    html.open("dl", "class", "attacks");
    for (AttackDescription attack : report.attackDescriptions()) {
      html.open("div").open("dt").text(attack.title());
      if (!attack.title().equals(attack.name())) {
        html.element("code", attack.name());
      }
      html.close().open("dd").text(attack.text());
      if (!attack.parameters().isEmpty()) {
        html.open("span", "class", "parameters");
        attack.parameters().forEach((k, v) -> html.element("span", k + "\u00a0" + v));
        html.close();
      }
      html.close().closeLine();
    }
    return html.closeLine();
  }

  // ---- classes

  // ---- ranking, command

  private boolean hasRanking() {
    return report.ranking() != null && report.ranking().drawable();
  }

  private Html ranking() {
    return hasRanking() ? new HeatMap(report.ranking()).figure() : new Html();
  }

  /** The command to repeat a run; empty where it is not known. */
  static Html command(String line) {
    return line == null
        ? new Html()
        : new Html().element("h3", "To repeat it").open("pre").element("code", line).close();
  }
}
