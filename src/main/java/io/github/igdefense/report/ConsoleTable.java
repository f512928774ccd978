package io.github.igdefense.report;

import java.nio.charset.Charset;
import java.nio.charset.CharsetEncoder;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * The results as a plain-text table: a line per measure, a column per classifier, the worst case
 * last.
 *
 * <p>Accuracies are in per cent. Columns line up for wide and combining characters as well; control
 * characters in names never reach the terminal.
 */
public final class ConsoleTable {
  private static final int LONGEST_TITLE = 28;

  private final RunReport report;
  private final boolean unicode;
  private final List<List<String>> rows = new ArrayList<>();

  private ConsoleTable(RunReport report, boolean unicode) {
    this.report = report;
    this.unicode = unicode;
  }

  /** The table for a terminal that shows Unicode; lines end in {@code \n}. */
  public static String text(RunReport report) {
    return new ConsoleTable(report.withStandardWarnings(), true).table();
  }

  /**
   * The table for an output in the given charset: plain ASCII where it cannot show the signs used.
   */
  public static String text(RunReport report, Charset charset) {
    CharsetEncoder encoder = charset.canEncode() ? charset.newEncoder() : null;
    boolean unicode = encoder != null && encoder.canEncode("─×ε∞σ–");
    String table = new ConsoleTable(report.withStandardWarnings(), unicode).table();
    return unicode ? table : table.replaceAll("[^\\x0a\\x20-\\x7e]", "?");
  }

  private String table() {
    header();
    rule();
    accuracies("clean", ClassifierResult::clean);
    for (String attack : report.attackNames(false)) {
      for (String stage : report.stageNames(attack)) {
        row("  after " + AttackTexts.title(stage), c -> Numbers.percent(c.after(attack, stage)));
      }
      accuracies(report.attackTitle(attack), c -> c.attacks().get(attack));
    }
    if (report.kind().equals("eval") && !report.autoAttacked()) {
      row("AutoAttack", c -> "not run");
    }
    for (String attack : report.attackNames(true)) {
      accuracies("transfer " + report.attackTitle(attack), c -> c.transfer().get(attack));
    }
    rule();
    accuracies(report.worstCaseTitle(), ClassifierResult::worstCase);
    if (report.classifiers().stream().anyMatch(ClassifierResult::hasInterval)) {
      row("  95 % interval", c -> c.hasInterval() ? Summary.interval(c) : "–");
    }
    if (report.classifiers().stream().anyMatch(c -> c.inferenceTimeRatio() != null)) {
      row("inference time", c -> Numbers.times(c.inferenceTimeRatio()));
    }
    StringBuilder out = new StringBuilder();
    Settings settings = report.settings();
    out.append(report.title()).append(": accuracy in % over ");
    out.append(Numbers.count(report.provenance().imagesUsed())).append(" images, ");
    out.append(settings.normText()).append(", ε = ").append(settings.epsilonShown());
    String head = safe(out.toString());
    out.setLength(0);
    out.append(head).append("\n\n");
    layOut(out);
    for (Warning warning : report.warnings()) {
      out.append('\n').append(wrapped(warning));
    }
    return out.toString();
  }

  private void header() {
    List<String> cells = new ArrayList<>(List.of(""));
    for (ClassifierResult c : report.classifiers()) {
      String title = safe(c.title());
      cells.add(Text.width(title) > LONGEST_TITLE ? safe(shortened(c.title())) : title);
    }
    rows.add(cells);
  }

  private static String shortened(String title) {
    StringBuilder kept = new StringBuilder();
    for (int c : title.codePoints().toArray()) {
      if (Text.width(kept.toString()) >= LONGEST_TITLE - 2) {
        break;
      }
      kept.appendCodePoint(c);
    }
    return kept + "…";
  }

  private void rule() {
    rows.add(List.of());
  }

  private void accuracies(String label, Function<ClassifierResult, Double> value) {
    ClassifierResult base = report.baseResult();
    row(
        label,
        c -> {
          Double mine = value.apply(c);
          Double reference = value.apply(base);
          boolean compare = c != base && mine != null && reference != null;
          String difference = compare ? "(" + Numbers.points(mine - reference) + ")" : "";
          return report.classifiers().size() == 1
              ? Numbers.percent(mine)
              : Numbers.percent(mine) + (c == base ? "" : String.format("%8s", difference));
        });
  }

  private void row(String label, Function<ClassifierResult, String> value) {
    List<String> cells = new ArrayList<>(List.of(safe(label)));
    report.classifiers().forEach(c -> cells.add(safe(value.apply(c))));
    rows.add(cells);
  }

  private void layOut(StringBuilder out) {
    int[] widths = new int[report.classifiers().size() + 1];
    for (List<String> row : rows) {
      for (int i = 0; i < row.size(); i++) {
        widths[i] = Math.max(widths[i], Text.width(row.get(i)));
      }
    }
    int total = 2 * (widths.length - 1);
    for (int width : widths) {
      total += width;
    }
    for (List<String> row : rows) {
      if (row.isEmpty()) {
        out.append((unicode ? "─" : "-").repeat(total));
      }
      for (int i = 0; i < row.size(); i++) {
        String padding = " ".repeat(widths[i] - Text.width(row.get(i)));
        out.append(i == 0 ? row.get(i) + padding : "  " + padding + row.get(i));
      }
      int end = out.length();
      while (out.charAt(end - 1) == ' ') {
        end--;
      }
      out.setLength(end);
      out.append('\n');
    }
  }

  private String wrapped(Warning warning) {
    StringBuilder out = new StringBuilder();
    int column = 0;
    for (String word : safe(warning.level().json() + ": " + warning.text()).split(" ")) {
      if (column > 0 && column + 1 + Text.width(word) > 96) {
        out.append("\n  ");
        column = 2;
      } else if (column > 0) {
        out.append(' ');
        column++;
      }
      out.append(word);
      column += Text.width(word);
    }
    return out.append('\n').toString();
  }

  private String safe(String text) {
    String clean = Text.clean(text).replace('\u202f', ' ').replace('\u00a0', ' ');
    return unicode
        ? clean
        : clean
            .replace("ε", "eps")
            .replace("∞", "inf")
            .replace("×", "x")
            .replace("σ", "sigma")
            .replace("–", "-")
            .replace("\u2212", "-")
            .replace("±", "+-")
            .replace("…", "...")
            .replace("’", "'");
  }
}
