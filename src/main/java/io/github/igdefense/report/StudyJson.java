package io.github.igdefense.report;

import io.github.igdefense.data.AtomicFiles;
import java.nio.file.Path;

/**
 * {@code result.json} of an analysis or study: a {@link StudyReport} in snake_case JSON, documented
 * in {@code docs/studies.md}. Shares of images are fractions in [0,1], relative changes per cent;
 * what is not known is null.
 */
public final class StudyJson {
  private StudyJson() {}

  /**
   * Writes the report with its standard warnings; the file is replaced as a whole or not at all.
   *
   * @throws java.io.UncheckedIOException if it cannot be written
   */
  public static void write(Path file, StudyReport report) {
    AtomicFiles.writeText(file, text(report));
  }

  /** The same as text, ending in a line break. */
  public static String text(StudyReport report) {
    return ResultJson.pretty(report.withStandardWarnings()) + "\n";
  }

  /** The same on one line, for {@code --json} on standard output. */
  public static String line(StudyReport report) {
    return ResultJson.oneLine(report.withStandardWarnings());
  }
}
