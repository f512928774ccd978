package io.github.igdefense.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.InputException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * {@code result.json}: a {@link RunReport} in snake_case JSON, documented in {@code
 * docs/result-format.md}.
 *
 * <p>Accuracies are fractions in [0,1]; what is not known is null; every key is always there.
 * Pictures and the importance matrix are left out. UTF-8, two spaces of indent, keys in a fixed
 * order.
 */
public final class ResultJson {
  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  private ResultJson() {}

  /**
   * Writes the report with its {@linkplain RunReport#withStandardWarnings standard warnings}; the
   * file is replaced as a whole or not at all.
   *
   * @throws java.io.UncheckedIOException if it cannot be written
   */
  public static void write(Path file, RunReport report) {
    AtomicFiles.writeText(file, text(report));
  }

  /** The same as text, ending in a line break. */
  public static String text(RunReport report) {
    return pretty(report.withStandardWarnings()) + "\n";
  }

  /** Any record of ours in the form of {@code result.json}. */
  static String pretty(Object record) {
    DefaultIndenter indent = new DefaultIndenter("  ", "\n");
    DefaultPrettyPrinter printer = new DefaultPrettyPrinter().withObjectIndenter(indent);
    printer.indentArraysWith(DefaultPrettyPrinter.FixedSpaceIndenter.instance);
    return string(MAPPER.writer(printer), record);
  }

  /** The same on one line. */
  static String oneLine(Object record) {
    return string(MAPPER.writer(), record);
  }

  /** The same on one line without a line break, for {@code --json} on standard output. */
  public static String line(RunReport report) {
    return oneLine(report.withStandardWarnings());
  }

  private static String string(com.fasterxml.jackson.databind.ObjectWriter writer, Object record) {
    try {
      return writer.writeValueAsString(record);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e); // records of numbers and strings always have a JSON form
    }
  }

  /**
   * Reads a report back, without pictures and matrix.
   *
   * @throws InputException if the file is missing, is not JSON, is of a later schema or lacks a
   *     needed key
   */
  public static RunReport read(Path file) {
    byte[] content;
    try {
      content = Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      throw new InputException("expected a result.json at " + file + ", found no such file", e);
    } catch (IOException e) {
      throw new InputException("cannot read " + file + ": " + e.getMessage(), e);
    }
    try {
      JsonNode tree = MAPPER.readTree(new String(content, StandardCharsets.UTF_8));
      int version = tree.path("schema_version").asInt(0);
      if (version < 1 || version > RunReport.SCHEMA_VERSION) {
        throw InputException.of(
            "%s: expected a result.json of schema_version 1 to %d, got %s; read it with the"
                + " igdefense that wrote it",
            file, RunReport.SCHEMA_VERSION, version == 0 ? "none" : Integer.toString(version));
      }
      return MAPPER.treeToValue(tree, RunReport.class);
    } catch (JsonProcessingException e) {
      throw new InputException(
          file + " is not a result.json of igdefense: " + e.getOriginalMessage(), e);
    }
  }
}
