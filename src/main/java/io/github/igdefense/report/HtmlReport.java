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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * One self-contained HTML page for a {@link RunReport}: no script, no external asset, works
 * offline, follows light and dark, prints, and fits screens from 320 px.
 *
 * <p>Pictures are data URIs; every text from outside is escaped, and the page's own content
 * security policy forbids scripts and requests.
 */
public final class HtmlReport {
  private static final int MANY_CLASSES = 20;

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
    slots.put("css", resource("report.css").strip());
    slots.put("title", Html.escape(report.title()));
    slots.put("kicker", kicker().toString());
    slots.put("question", Html.escape(new Summary(report).question()));
    slots.put("answers", answers().toString());
    slots.put("figures", figures().toString());
    slots.put("warnings", warnings().toString());
    slots.put(
        "plot", new Html().add(Charts.legend(report)).add(Charts.accuracies(report)).toString());
    slots.put("results", results().toString());
    slots.put("notes", notes().toString());
    slots.put("limits", limits().toString());
    slots.put("attacks", attacks().toString());
    slots.put("classes", section("classes", "Class by class", classes()).toString());
    slots.put("gallery", section("gallery", "Before and after", gallery()).toString());
    slots.put(
        "ranking", section("ranking", "Which units matter to which class", ranking()).toString());
    slots.put("navigation", navigation().toString());
    slots.put("provenance", provenance().toString());
    slots.put("command", command().toString());
    return Html.fill(resource("report.html"), slots);
  }

  private static String resource(String name) {
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

  private Html kicker() {
    Html html = new Html();
    String version = report.provenance().version();
    html.element(
        "span", "igdefense " + report.kind() + (version == null ? "" : ", version " + version));
    String when = when();
    if (!when.isEmpty()) {
      html.open("time", "datetime", report.startedAt()).text(when).close();
    }
    return html.element("span", Numbers.duration(report.seconds()));
  }

  private String when() {
    if (report.startedAt() == null) {
      return "";
    }
    try {
      return DateTimeFormatter.ofPattern("d MMMM yyyy, HH:mm 'UTC'", Locale.ENGLISH)
          .format(Instant.parse(report.startedAt()).atOffset(ZoneOffset.UTC));
    } catch (DateTimeParseException e) {
      return report.startedAt();
    }
  }

  private Html navigation() {
    Html html = new Html();
    link(html, "results", "Results", true);
    link(html, "limits", "What they do not prove", true);
    link(html, "attacks", "Attacks", true);
    link(html, "classes", "Classes", hasClasses());
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
      figure(html, "Worst case", c.worstCase(), base.worstCase(), interval, true);
    }
    figure(html, "Clean", c.clean(), base.clean(), "", false);
    if (c.strongestAttack().isPresent()) {
      Double reference =
          base.strongestAttack().isPresent() ? base.strongestAttack().getAsDouble() : null;
      figure(
          html, "Strongest direct attack", c.strongestAttack().getAsDouble(), reference, "", false);
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

  private Html warnings() {
    Html html = new Html();
    if (report.warnings().isEmpty()) {
      return html;
    }
    html.open("aside", "class", "warnings", "aria-labelledby", "warnings-title");
    html.element("h2", "Before you quote these numbers", "id", "warnings-title").open("ul");
    for (Warning.Level level : Warning.Level.values()) {
      for (Warning warning : report.warnings()) {
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

  private Html results() {
    Html html =
        new Html()
            .open("p", "class", "caption", "id", "results-caption")
            .text("Accuracy in per cent; small figures are the difference to ");
    html.text(report.baseResult().title())
        .text(" in points. The last line of the accuracies is the one to quote.");
    html.closeLine();
    scrolling(html, "Results, table");
    html.open("table", "class", "results", "aria-describedby", "results-caption")
        .open("colgroup")
        .open("col", "class", "first");
    String width = String.format(Locale.ROOT, "width:%.2f%%", 72.0 / report.classifiers().size());
    for (int i = 0; i < report.classifiers().size(); i++) {
      html.open("col", "style", width);
    }
    html.close().open("thead").open("tr").open("td").close();
    for (ClassifierResult c : report.classifiers()) {
      html.open(
          "th", "scope", "col", "class", c.name().equals(report.evaluated()) ? "evaluated" : null);
      html.text(c.title());
      html.element("span", role(c), "class", "role").close();
    }
    html.close().closeLine();
    group(html, "Unchanged images");
    accuracyRow(html, "Clean", null, ClassifierResult::clean);
    html.close();
    List<String> direct = report.attackNames(false);
    if (!direct.isEmpty()) {
      group(html, "Attacked directly");
      direct.forEach(a -> accuracyRow(html, report.attackTitle(a), null, c -> c.attacks().get(a)));
      html.close();
    }
    List<String> transferred = report.attackNames(true);
    if (!transferred.isEmpty()) {
      group(html, "Images made on " + report.baseResult().title() + " (transfer)");
      transferred.forEach(
          a -> accuracyRow(html, report.attackTitle(a), null, c -> c.transfer().get(a)));
      html.close();
    }
    if (report.classifiers().stream().anyMatch(c -> c.worstCase() != null)) {
      html.open("tbody", "class", "total");
      accuracyRow(html, "Worst case", "worst", ClassifierResult::worstCase);
      if (report.classifiers().stream().anyMatch(ClassifierResult::hasInterval)) {
        row(html, "95\u202f% interval", "minor", c -> c.hasInterval() ? Summary.interval(c) : "–");
      }
      html.close();
    }
    group(html, "Cost and noise");
    row(html, "Inference time", null, c -> Numbers.times(c.inferenceTimeRatio()));
    if (report.classifiers().stream().anyMatch(ClassifierResult::smoothed)) {
      row(html, "Smoothing", null, HtmlReport::smoothing);
    }
    return html.close().close().closeLine();
  }

  /** Opens a box that scrolls sideways, by keyboard too, where its table is wider than the page. */
  private static void scrolling(Html html, String label) {
    String[] box = {"class", "scroll", "role", "region", "tabindex", "0", "aria-label", label};
    html.open("div", box);
  }

  private static String smoothing(ClassifierResult c) {
    if (!c.smoothed()) {
      return "none";
    }
    String draws = c.smoothingSamples() == 1 ? "1 draw" : c.smoothingSamples() + " draws";
    return "σ " + Numbers.plain(c.smoothingSigma()) + ", " + draws;
  }

  private String role(ClassifierResult c) {
    return c.name().equals(report.base())
        ? "reference"
        : c.name().equals(report.evaluated()) ? "evaluated" : "";
  }

  private void group(Html html, String title) {
    html.open("tbody").open("tr", "class", "group");
    String columns = Integer.toString(report.classifiers().size() + 1);
    html.open("th", "scope", "rowgroup", "colspan", columns)
        .element("span", title)
        .close()
        .closeLine();
  }

  private void accuracyRow(
      Html html, String label, String style, Function<ClassifierResult, Double> value) {
    ClassifierResult base = report.baseResult();
    html.open("tr", "class", style).element("th", label, "scope", "row");
    for (ClassifierResult c : report.classifiers()) {
      Double mine = value.apply(c);
      Double reference = value.apply(base);
      boolean compare = c != base && mine != null && reference != null;
      cell(html, Numbers.percent(mine), compare ? Numbers.points(mine - reference) : "");
    }
    html.closeLine();
  }

  private void row(
      Html html, String label, String style, Function<ClassifierResult, String> value) {
    html.open("tr", "class", style).element("th", label, "scope", "row");
    report.classifiers().forEach(c -> cell(html, value.apply(c), ""));
    html.closeLine();
  }

  /** A value with room for a difference beside it, so that values line up. */
  private void cell(Html html, String value, String difference) {
    html.open("td").text(value);
    if (report.classifiers().size() > 1) {
      html.element("small", difference);
    }
    html.close();
  }

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

  private boolean hasClasses() {
    return report.classifiers().stream().anyMatch(c -> !c.perClassClean().isEmpty());
  }

  private Html classes() {
    Html html = new Html();
    if (!hasClasses()) {
      return html;
    }
    html.element("p", extremes());
    boolean many = report.classNames().size() > MANY_CLASSES;
    if (many) {
      html.open("details").element("summary", "All " + report.classNames().size() + " classes");
    }
    html.open("p", "class", "caption", "id", "classes-caption")
        .text("Accuracy per class in per cent: ");
    html.open("span", "class", "swatch swatch-worst").close().text("\u00a0worst case of ");
    html.open("span", "class", "swatch swatch-clean").close().text("\u00a0clean").closeLine();
    scrolling(html, "Classes, table");
    html.open("table", "class", "classes", "aria-describedby", "classes-caption");
    html.open("thead").open("tr").element("th", "Class", "scope", "col");
    for (ClassifierResult c : report.classifiers()) {
      html.element("th", c.title(), "scope", "col");
    }
    html.close().close().open("tbody");
    for (int k = 0; k < report.classNames().size(); k++) {
      html.open("tr").element("th", report.classNames().get(k), "scope", "row");
      for (ClassifierResult c : report.classifiers()) {
        classCell(html, at(c.perClassClean(), k), at(c.perClassWorst(), k));
      }
      html.closeLine();
    }
    html.close().close().close();
    return many ? html.close() : html;
  }

  private static void classCell(Html html, Double clean, Double worst) {
    html.open("td").add(Charts.bar(clean, worst)).open("span", "class", "pair");
    html.element("b", Numbers.percent(worst))
        .element("span", " of ", "class", "of")
        .text(Numbers.percent(clean));
    html.close().close();
  }

  private static Double at(List<Double> values, int index) {
    return index < values.size() ? values.get(index) : null;
  }

  private String extremes() {
    ClassifierResult c = report.evaluatedResult();
    boolean worst = c.perClassWorst().stream().anyMatch(v -> v != null);
    List<Double> values = worst ? c.perClassWorst() : c.perClassClean();
    List<Integer> known = new java.util.ArrayList<>();
    for (int k = 0; k < values.size(); k++) {
      if (values.get(k) != null) {
        known.add(k);
      }
    }
    if (known.size() < 2) {
      return "";
    }
    known.sort((a, b) -> Double.compare(values.get(a), values.get(b)));
    int low = known.get(0);
    int high = known.get(known.size() - 1);
    return c.title()
        + (worst ? ", worst case" : ", unchanged images")
        + ": weakest on "
        + report.classNames().get(low)
        + " ("
        + Numbers.percentSign(values.get(low))
        + "), strongest on "
        + report.classNames().get(high)
        + " ("
        + Numbers.percentSign(values.get(high))
        + ").";
  }

  // ---- gallery

  private Html gallery() {
    Html html = new Html();
    if (report.gallery().isEmpty()) {
      return html;
    }
    int factor = differenceFactor(report.gallery());
    html.open("p").text("Each row of three: the image, the image after the attack, and ");
    html.element("strong", "their difference ×" + factor).text(" (mid-grey means unchanged).");
    html.text(
        " Clean and Attacked say what " + report.baseResult().title() + " sees in the first two");
    boolean defended =
        report.gallery().stream().anyMatch(item -> item.defendedPrediction() != null);
    html.text(
        defended ? "; Defended, what the defended classifier sees in the attacked image" : "");
    boolean pseudo = report.gallery().stream().anyMatch(item -> item.pseudoLabel() != null);
    html.text(pseudo ? "; Pseudo-label, the class its mask was chosen for." : ".").close();
    html.open("div", "class", "gallery");
    report.gallery().forEach(item -> item(html, item, factor));
    return html.close();
  }

  /** The largest whole factor at which no difference is clipped, 1 to 100; 1 without pictures. */
  static int differenceFactor(List<GalleryItem> items) {
    float largest = 0;
    for (GalleryItem item : items) {
      if (item.drawable()) {
        for (int i = 0; i < item.clean().pixels().length; i++) {
          largest =
              Math.max(
                  largest, Math.abs(item.adversarial().pixels()[i] - item.clean().pixels()[i]));
        }
      }
    }
    return largest > 0 ? (int) Math.max(1, Math.min(100, Math.floor(0.5 / largest + 1e-3))) : 1;
  }

  private void item(Html html, GalleryItem item, int factor) {
    html.open("figure");
    if (item.drawable()) {
      html.open("div", "class", "triple");
      String name = "image " + item.index() + ", " + item.trueClass();
      picture(html, item.clean(), Png.of(item.clean()), "Clean: " + name);
      picture(
          html,
          item.clean(),
          Png.of(item.adversarial()),
          "Attacked by " + report.attackTitle(item.attack()) + ": " + name);
      picture(
          html,
          item.clean(),
          Png.difference(item.clean(), item.adversarial(), factor),
          "Difference ×" + factor + ": " + name);
      html.close();
    }
    html.open("figcaption").open("span", "class", "item-title").element("b", item.trueClass());
    html.element(
        "span", "no. " + Numbers.count(item.index()) + ", " + report.attackTitle(item.attack()));
    html.close().open("dl");
    seen(html, "Clean", item.cleanPrediction(), item.trueClass());
    seen(html, "Attacked", item.adversarialPrediction(), item.trueClass());
    seen(html, "Defended", item.defendedPrediction(), item.trueClass());
    seen(html, "Pseudo-label", item.pseudoLabel(), item.trueClass());
    html.close().close().closeLine();
  }

  private static void picture(Html html, Picture shape, String uri, String alt) {
    html.open(
        "img", "alt", alt, "width", "" + shape.width(), "height", "" + shape.height(), "src", uri);
  }

  private static void seen(Html html, String who, String what, String truth) {
    if (what == null) {
      return;
    }
    boolean right = what.equals(truth);
    html.open("div", "class", right ? "right" : "wrong").element("dt", who).open("dd");
    html.element("span", right ? "✓" : "✗", "class", "tick", "aria-hidden", "true").text(what);
    html.element("span", right ? " (right)" : " (wrong)", "class", "hidden").close().close();
  }

  // ---- ranking, provenance

  private boolean hasRanking() {
    return report.ranking() != null && report.ranking().drawable();
  }

  private Html ranking() {
    return hasRanking() ? new HeatMap(report.ranking()).figure() : new Html();
  }

  private Html provenance() {
    Settings s = report.settings();
    Provenance p = report.provenance();
    Map<String, String> rows = new LinkedHashMap<>();
    rows.put(
        "Data",
        joined(
            p.dataName(),
            p.imagesUsed() == p.imagesAsked()
                ? Numbers.count(p.imagesUsed()) + " images"
                : Numbers.count(p.imagesUsed())
                    + " of "
                    + Numbers.count(p.imagesAsked())
                    + " images asked for"));
    rows.put("Data SHA-256", p.dataSha256());
    rows.put("Model", joined(p.arch(), p.modelFile()));
    rows.put("Model SHA-256", p.modelSha256());
    rows.put("Ranking", joined(s.rankingMethod(), p.rankingFile()));
    rows.put("Ranking SHA-256", p.rankingSha256());
    rows.put("Threat model", s.normText() + ", ε = " + s.epsilonShown());
    rows.put(
        "Defense",
        s.layer() == null
            ? null
            : joined(
                "masks on " + s.layer(),
                s.keep() == null ? null : "keep " + s.keep() + " units per class",
                s.temperature() == null ? null : "temperature " + Numbers.plain(s.temperature())));
    rows.put("Judgements per image", s.evaluationRuns() == null ? null : "" + s.evaluationRuns());
    rows.put("Batch size", s.batchSize() == null ? null : "" + s.batchSize());
    s.other().forEach((k, v) -> rows.put(k, v));
    rows.put("Seed", "" + p.seed());
    rows.put(
        "Arithmetic",
        joined(p.dtype(), p.device(), p.threads() == 1 ? "1 thread" : p.threads() + " threads"));
    rows.put("Processor", p.cpu());
    rows.put(
        "Software",
        joined(
            p.version() == null ? null : "igdefense " + p.version(),
            p.libtorch() == null ? null : "libtorch " + p.libtorch(),
            p.java() == null ? null : "Java " + p.java()));
    rows.put("Commit", p.gitCommit());
    Html html = new Html().open("table", "class", "provenance").open("tbody");
    rows.forEach(
        (label, value) -> {
          if (value != null && !value.isEmpty()) {
            String style = label.endsWith("SHA-256") || label.equals("Commit") ? "hash" : null;
            html.open("tr")
                .element("th", label, "scope", "row")
                .element("td", value, "class", style)
                .closeLine();
          }
        });
    return html.close().close();
  }

  private static String joined(String... parts) {
    return java.util.Arrays.stream(parts)
        .filter(part -> part != null && !part.isEmpty())
        .collect(java.util.stream.Collectors.joining(", "));
  }

  private Html command() {
    String line = report.commandLine();
    return line == null
        ? new Html()
        : new Html().element("h3", "To repeat it").open("pre").element("code", line).close();
  }
}
