package io.github.igdefense.report;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** The summary and tables of a {@link StudyReport} as plain text for a terminal. Stateless. */
public final class StudyTable {
  private StudyTable() {}

  /** Title, summary, warnings and every table. */
  public static String text(StudyReport report) {
    StringBuilder out = new StringBuilder(report.title()).append('\n');
    report.summary().forEach(sentence -> out.append(sentence).append('\n'));
    for (StudyReport.Section section : report.sections()) {
      for (Block block : section.blocks()) {
        if (block instanceof Block.Table table) {
          out.append('\n').append(table.caption()).append('\n');
          table(out, table);
        }
      }
    }
    for (Warning warning : report.withStandardWarnings().warnings()) {
      out.append(warning.level().json()).append(": ").append(warning.text()).append('\n');
    }
    return out.toString()
        .stripTrailing()
        .lines()
        .map(line -> Text.clean(line).replace('\u202f', ' ').replace('\u00a0', ' '))
        .collect(Collectors.joining("\n"));
  }

  private static void table(StringBuilder out, Block.Table table) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(table.columns());
    rows.addAll(table.rows());
    int[] widths = new int[table.columns().size()];
    for (List<String> row : rows) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], Text.width(row.get(i)));
      }
    }
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < widths.length; i++) {
        String pad = " ".repeat(widths[i] - Text.width(row.get(i)));
        line.append(i == 0 ? row.get(i) + pad : "  " + pad + row.get(i));
      }
      out.append(line.toString().stripTrailing()).append('\n');
    }
  }
}
