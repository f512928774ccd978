package io.github.igdefense.tensor;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** A JVM of its own that runs one class of the test class path. */
record Subprocess(int exitCode, List<String> out, String err) {
  /** Generous: a busy machine takes minutes to unpack libtorch. */
  private static final int TIMEOUT_SECONDS = 600;

  /** The values of the lines {@code key=value} with this key. */
  List<String> values(String key) {
    return out.stream()
        .filter(line -> line.startsWith(key + "="))
        .map(line -> line.substring(key.length() + 1))
        .toList();
  }

  /** The only value of a key. */
  String value(String key) {
    List<String> values = values(key);
    if (values.size() != 1) {
      throw new AssertionError("expected one value of " + key + ", got " + values + " in " + this);
    }
    return values.get(0);
  }

  /**
   * Runs {@code main} and waits for its end.
   *
   * @param scratch an existing folder for its output
   * @param environment added to an environment without settings of OpenMP, OpenBLAS and the dynamic
   *     linker
   * @param keep which entries of the class path it gets
   */
  static Subprocess run(
      Class<?> main,
      Path scratch,
      Map<String, String> environment,
      List<String> options,
      Predicate<String> keep,
      String... arguments)
      throws IOException, InterruptedException {
    List<String> classPath = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      if (keep.test(entry)) {
        classPath.add(entry);
      }
    }
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx512m", "-XX:+UseSerialGC", "-XX:-CreateCoredumpOnCrash"));
    command.add("-XX:ErrorFile=" + scratch.resolve("crash.txt"));
    command.addAll(options);
    command.addAll(List.of("-cp", String.join(File.pathSeparator, classPath), main.getName()));
    command.addAll(List.of(arguments));

    Path out = scratch.resolve("out.txt");
    Path err = scratch.resolve("err.txt");
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.redirectOutput(out.toFile()).redirectError(err.toFile());
    builder
        .environment()
        .keySet()
        .removeIf(
            name ->
                name.startsWith("OMP_")
                    || name.startsWith("GOMP_")
                    || name.startsWith("OPENBLAS_NUM")
                    || name.equals("LD_LIBRARY_PATH")
                    || name.equals("LD_PRELOAD"));
    builder.environment().putAll(environment);
    Process process = builder.start();
    if (!process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("no end after " + TIMEOUT_SECONDS + " s: " + Files.readString(out));
    }
    return new Subprocess(
        process.exitValue(),
        Files.readAllLines(out, StandardCharsets.UTF_8),
        Files.readString(err, StandardCharsets.UTF_8));
  }
}
