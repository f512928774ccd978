package io.github.igdefense.report;

import io.github.igdefense.evaluation.Benchmark;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A benchmark's figures as lines of a table, printed as they come, and as a map for JSON. Confined
 * to one thread.
 */
public final class BenchmarkText implements Benchmark.Listener {
  private static final Pattern BY_BATCH =
      Pattern.compile("(throughput|gmacs)_b(\\d+)_(float32|bfloat16)");
  private static final int COLUMN = 52;

  private final Consumer<String> lines;
  private final Map<String, Object> figures = new LinkedHashMap<>();

  /**
   * A table.
   *
   * @param lines gets each line
   */
  public BenchmarkText(Consumer<String> lines) {
    this.lines = lines;
  }

  /** Everything said so far, by name, in order. */
  public Map<String, Object> figures() {
    return figures;
  }

  @Override
  public void group(String title) {
    lines.accept("");
    lines.accept(title);
  }

  @Override
  public void figure(String key, double value, String unit, String label) {
    figures.put(key, value);
    Matcher byBatch = BY_BATCH.matcher(key);
    if (byBatch.matches()) {
      // The row is whole with its last figure.
      if (byBatch.group(1).equals("gmacs") && byBatch.group(3).equals("bfloat16")) {
        row(Integer.parseInt(byBatch.group(2)));
      }
      return;
    }
    line(label, number(value) + (unit.isEmpty() ? "" : " " + unit));
  }

  @Override
  public void fact(String key, String value, String label) {
    figures.put(key, value);
    line(label, value);
  }

  private void row(int batch) {
    line(
        "batch " + batch,
        String.format(
            Locale.ROOT,
            "float32 %s images/s, %s GMAC/s; bfloat16 %s images/s, %s GMAC/s",
            value("throughput_b" + batch + "_float32"),
            value("gmacs_b" + batch + "_float32"),
            value("throughput_b" + batch + "_bfloat16"),
            value("gmacs_b" + batch + "_bfloat16")));
  }

  private String value(String key) {
    return number((Double) figures.get(key));
  }

  private void line(String label, String value) {
    lines.accept(String.format(Locale.ROOT, "  %-" + COLUMN + "s %s", label, value));
  }

  /** Three significant digits, whole numbers whole. */
  static String number(double value) {
    if (value == Math.rint(value) && Math.abs(value) < 1e9) {
      return String.format(Locale.ROOT, "%d", (long) value);
    }
    double size = Math.abs(value);
    int digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    return String.format(Locale.ROOT, "%." + digits + "f", value);
  }
}
