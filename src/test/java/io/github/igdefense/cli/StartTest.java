package io.github.igdefense.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The process itself: what starting costs, and its exit codes. */
class StartTest {
  private static final int TIMEOUT_SECONDS = 60;
  private static final String TORCH = "org.bytedeco.pytorch.global.torch ";
  private static final String RUNTIME = "io.github.igdefense.tensor.NativeRuntime ";

  @TempDir Path folder;

  private record Ended(int exitCode, String out, String err, String classes) {}

  private Ended start(String... arguments) throws Exception {
    Path out = folder.resolve("out.txt");
    Path err = folder.resolve("err.txt");
    Path classes = folder.resolve("classes.txt");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-Xlog:class+load=info:file=" + classes));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Igd.class.getName()));
    command.addAll(List.of(arguments));
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    if (!process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("no end after " + TIMEOUT_SECONDS + " s");
    }
    return new Ended(
        process.exitValue(),
        Files.readString(out),
        Files.readString(err),
        Files.readString(classes));
  }

  @ParameterizedTest
  @CsvSource({"--version, igd ", "--help, Usage: igd"})
  void nothingNativeIsLoadedToSayVersionOrHelp(String option, String expected) throws Exception {
    Ended ended = start(option);
    assertThat(ended.exitCode).as("%s", ended.err).isZero();
    assertThat(ended.out).startsWith(expected);
    assertThat(ended.err).isEmpty();
    assertThat(ended.classes.contains("picocli.CommandLine ")).isTrue();
    assertThat(ended.classes.contains(TORCH)).as("libtorch's Java class loaded").isFalse();
    assertThat(ended.classes.contains(RUNTIME)).as("loader of the native libraries used").isFalse();
  }

  @Test
  void aMistakeEndsTheProcessWithTwo() throws Exception {
    Ended ended = start("predict", "--checkpoint", "absent.pt");
    assertThat(ended.exitCode).isEqualTo(2);
    assertThat(ended.out).isEmpty();
    assertThat(ended.err.lines()).hasSize(1);
    assertThat(ended.err).startsWith("igd: ").contains("--out");
    assertThat(ended.classes.contains(TORCH)).isFalse();
  }
}
