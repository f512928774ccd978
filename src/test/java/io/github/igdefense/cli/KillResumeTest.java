package io.github.igdefense.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run that is killed, as by kill -9, and resumed ends equal to one that was not. */
class KillResumeTest {
  private static final int TIMEOUT_SECONDS = 600;

  @TempDir Path folder;

  @Test
  void aKilledRunIsResumed() throws Exception {
    trials(2, 5);
  }

  @Test
  @Tag("slow")
  void twentyKilledRunsAreResumed() throws Exception {
    trials(20, 1);
  }

  private void trials(int count, long seed) throws Exception {
    Path rankings = folder.resolve("rankings");
    CliData.unitFiles(rankings, "layer4");
    Path whole = folder.resolve("whole");
    Path kept = folder.resolve("state");
    assertThat(wait(start(rankings, whole, "--state", kept.toString()))).as(errors(whole)).isZero();
    int records = records(kept);
    Random random = new Random(seed);
    int killed = 0;
    for (int trial = 0; trial < count; trial++) {
      Path out = folder.resolve("trial" + trial);
      int target = 1 + random.nextInt(records);
      Process process = start(rankings, out);
      while (process.isAlive() && records(out.resolve("state")) < target) {
        Thread.sleep(1);
      }
      Thread.sleep(random.nextInt(30));
      boolean hit = process.isAlive();
      process.destroyForcibly().waitFor();
      int batches = records(out.resolve("state"));
      if (hit && batches > 0) {
        killed++;
        assertThat(out.resolve("result.json")).doesNotExist();
        assertThat(wait(start(rankings, out, "--resume"))).as(errors(out)).isZero();
      } else if (Files.notExists(out.resolve("result.json"))) {
        assertThat(wait(start(rankings, out, "--resume"))).as(errors(out)).isZero();
      }
      assertThat(out.resolve("state")).doesNotExist();
      equal(whole, out, trial + " killed after " + batches + " of " + records + " batches");
      System.out.println(
          "trial " + trial + ": killed after " + batches + " of " + records + " batches, equal");
    }
    assertThat(killed).as("trials that were killed in the middle").isPositive();
  }

  private static void equal(Path expected, Path actual, String trial) throws IOException {
    List<String> files = names(expected);
    assertThat(names(actual)).isEqualTo(files);
    assertThat(files).contains("per_image.csv", "adversarial/base-autoattack.npz");
    for (String file : files) {
      if (file.equals("report.html")) {
        continue; // times and pictures of the same numbers
      }
      if (file.equals("result.json")) {
        assertThat(withoutTimes(actual.resolve(file)))
            .as(trial)
            .isEqualTo(withoutTimes(expected.resolve(file)));
      } else {
        assertThat(Files.mismatch(actual.resolve(file), expected.resolve(file)))
            .as(trial + ", " + file)
            .isEqualTo(-1);
      }
    }
  }

  private static List<String> names(Path out) throws IOException {
    try (Stream<Path> walk = Files.walk(out)) {
      return walk.filter(Files::isRegularFile)
          .map(path -> out.relativize(path).toString())
          .filter(name -> !name.startsWith("log"))
          .sorted()
          .toList();
    }
  }

  private static JsonNode withoutTimes(Path file) throws IOException {
    JsonNode tree = new ObjectMapper().readTree(file.toFile());
    strip(tree);
    return tree;
  }

  private static void strip(JsonNode node) {
    if (node instanceof ObjectNode object) {
      object.remove(List.of("started_at", "seconds", "command_line", "inference_time_ratio"));
    }
    node.forEach(KillResumeTest::strip);
  }

  /** Finished batches so far. */
  private static int records(Path state) {
    try (Stream<Path> walk = Files.walk(state)) {
      return (int)
          walk.filter(path -> path.getFileName().toString().matches("\\d{6}\\.npz")).count();
    } catch (IOException | java.io.UncheckedIOException e) {
      return 0; // not there yet, or just deleted
    }
  }

  private static Process start(Path rankings, Path out, String... more) throws IOException {
    Files.createDirectories(out);
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Dorg.bytedeco.javacpp.nopointergc=true",
                "-cp",
                classPath(),
                Igd.class.getName(),
                "eval"));
    command.addAll(List.of("--data", CliData.IMAGES, "--checkpoint", CliData.MODEL));
    command.addAll(List.of("--attack", "apgd-ce,rays,autoattack", "--steps", "4"));
    command.addAll(List.of("--targets", "2", "--queries", "20"));
    command.addAll(List.of("--ranking", rankings.toString(), "--keep", "8"));
    command.addAll(List.of("--smoothing-sigma", "8/255", "--evaluations", "3"));
    command.addAll(List.of("--batch-size", "6", "--threads", "1", "--quiet"));
    command.addAll(List.of("--per-image", "--save-adversarial", "--out", out.toString()));
    command.addAll(List.of(more));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.redirectOutput(out.resolve("log.out").toFile());
    builder.redirectError(out.resolve("log.err").toFile());
    builder.environment().put("OMP_NUM_THREADS", "1");
    return builder.start();
  }

  /** That of the tests, also where a launcher loads them with a class loader of its own. */
  private static String classPath() {
    String path = System.getProperty("java.class.path");
    ClassLoader loader = KillResumeTest.class.getClassLoader();
    return loader instanceof java.net.URLClassLoader own
        ? Stream.of(own.getURLs())
            .map(url -> Path.of(java.net.URI.create(url.toString())).toString())
            .collect(java.util.stream.Collectors.joining(java.io.File.pathSeparator))
        : path;
  }

  private static int wait(Process process) throws InterruptedException {
    if (!process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("no end after " + TIMEOUT_SECONDS + " s");
    }
    return process.exitValue();
  }

  private static String errors(Path out) throws IOException {
    return Files.readString(out.resolve("log.err"));
  }
}
