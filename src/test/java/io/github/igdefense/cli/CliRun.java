package io.github.igdefense.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** One command line run in this process, with what it printed. */
record CliRun(int exitCode, String out, String err, double seconds) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Runs {@code igd} with these arguments. */
  static CliRun of(Object... arguments) {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream outBytes = new ByteArrayOutputStream();
    ByteArrayOutputStream errBytes = new ByteArrayOutputStream();
    long start = System.nanoTime();
    int exitCode;
    try {
      System.setOut(new PrintStream(outBytes, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(errBytes, true, StandardCharsets.UTF_8));
      exitCode = Igd.execute(Stream.of(arguments).map(String::valueOf).toArray(String[]::new));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
    return new CliRun(
        exitCode,
        outBytes.toString(StandardCharsets.UTF_8),
        errBytes.toString(StandardCharsets.UTF_8),
        (System.nanoTime() - start) / 1e9);
  }

  /** Runs a command that has to end well. */
  static CliRun ok(Object... arguments) {
    CliRun run = of(arguments);
    if (run.exitCode != 0) {
      throw new AssertionError("expected exit code 0, got " + run);
    }
    return run;
  }

  /** The only line of standard output, as a JSON object. */
  JsonNode json() {
    List<String> lines = out.lines().toList();
    if (lines.size() != 1) {
      throw new AssertionError("expected one line on standard output, got " + this);
    }
    try {
      JsonNode node = JSON.readTree(lines.get(0));
      if (!node.isObject()) {
        throw new AssertionError("expected a JSON object, got " + this);
      }
      return node;
    } catch (IOException e) {
      throw new AssertionError("expected JSON, got " + this, e);
    }
  }

  /** A JSON file. */
  static JsonNode json(Path file) throws IOException {
    return JSON.readTree(file.toFile());
  }

  /** Every file and folder under {@code folder}, hidden ones too; none if it does not exist. */
  static List<Path> files(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return List.of();
    }
    try (Stream<Path> walk = Files.walk(folder)) {
      return walk.filter(Files::isRegularFile).sorted().toList();
    }
  }
}
