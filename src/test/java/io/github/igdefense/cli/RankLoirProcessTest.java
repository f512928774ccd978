package io.github.igdefense.cli;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code igd rank loir} in processes that are killed, and in shards. */
class RankLoirProcessTest {
  private static final int SECONDS = 300;

  @TempDir Path folder;

  private List<Object> arguments(String data, Path out) {
    return List.of(
        "rank",
        "loir",
        "--arch",
        "rn18",
        "--checkpoint",
        golden("a1.pt"),
        "--data",
        data,
        "--layer",
        "layer3",
        "--batch-size",
        "5",
        "--block-size",
        "8",
        "--threads",
        "1",
        "--checkpoint-every",
        "0",
        "--out",
        out);
  }

  private Process start(String data, Path out, String... more) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
    command.add("-Dorg.bytedeco.javacpp.nopointergc=true");
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Igd.class.getName()));
    arguments(data, out).forEach(argument -> command.add(argument.toString()));
    command.addAll(List.of(more));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("log.txt").toFile())
        .start();
  }

  @Test
  void aRunKilledTwiceEndsWithTheSameBytes() throws Exception {
    killAndResume(2);
  }

  @Test
  @Tag("slow")
  void aRunKilledTwentyTimesEndsWithTheSameBytes() throws Exception {
    killAndResume(20);
  }

  private void killAndResume(int kills) throws Exception {
    String data = CliData.probe(folder.resolve("probe.npz"), "y");
    Path whole = folder.resolve("whole");
    CliRun.ok(arguments(data, whole).toArray());
    Path out = folder.resolve("killed");
    Path state = out.resolve("a1").resolve(".layer3.state.npz");
    Random random = new Random(kills);
    int killed = 0;
    while (true) {
      long before = Files.exists(state) ? Files.getLastModifiedTime(state).toMillis() : -1;
      Process process = start(data, out, "--resume");
      if (killed < kills) {
        // Every process gets somewhere first, then dies at a random moment.
        while (process.isAlive()
            && (!Files.exists(state) || Files.getLastModifiedTime(state).toMillis() == before)) {
          process.waitFor(1, TimeUnit.MILLISECONDS);
        }
        process.waitFor(random.nextInt(40), TimeUnit.MILLISECONDS);
        if (process.isAlive()) {
          process.destroyForcibly().waitFor();
          killed++;
          continue;
        }
      }
      assertThat(process.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).as(Files.readString(folder.resolve("log.txt"))).isZero();
      break;
    }
    assertThat(killed).as("kills that met a running process").isPositive();
    List<Path> files = CliRun.files(whole);
    assertThat(CliRun.files(out).stream().map(out::relativize))
        .containsExactlyElementsOf(files.stream().map(whole::relativize).toList());
    for (Path file : files) {
      assertThat(out.resolve(whole.relativize(file))).hasSameBinaryContentAs(file);
    }
  }

  @Test
  void shardsMergeToTheSameFiles() throws Exception {
    String data = CliData.probe(folder.resolve("probe.npz"), "y");
    Path whole = folder.resolve("whole");
    CliRun.ok(arguments(data, whole).toArray());
    Path parts = folder.resolve("parts");
    List<Object> merge = new ArrayList<>(List.of("rank", "merge"));
    for (int i = 1; i <= 3; i++) {
      List<Object> shard = new ArrayList<>(arguments(data, parts));
      shard.addAll(List.of("--shard", i + "/3", "--shard-by", "images", "--json", "--quiet"));
      merge.add(CliRun.ok(shard.toArray()).json().get("shard").asText());
    }
    Path merged = folder.resolve("merged");
    merge.addAll(List.of("--out", merged));
    CliRun.ok(merge.toArray());
    List<Path> files = CliRun.files(whole);
    assertThat(files).hasSize(33);
    for (Path file : files) {
      assertThat(merged.resolve(whole.relativize(file))).hasSameBinaryContentAs(file);
    }
    // A shard is missing: nothing is written.
    List<Object> incomplete = new ArrayList<>(merge.subList(0, 4));
    incomplete.addAll(List.of("--out", folder.resolve("nothing")));
    CliRun refused = CliRun.of(incomplete.toArray());
    assertThat(refused.exitCode()).isEqualTo(2);
    assertThat(refused.err()).contains("shard 3/3 is missing");
    assertThat(folder.resolve("nothing")).doesNotExist();
  }

  @Test
  void severalLayersAndTheRaceInOneCommand() throws Exception {
    String data = CliData.probe(folder.resolve("probe.npz"), "y");
    CliRun run =
        CliRun.ok(
            "rank",
            "loir",
            "--arch",
            "rn18",
            "--checkpoint",
            golden("a1.pt"),
            "--data",
            data,
            "--layer",
            "layer2,layer3",
            "--top-k",
            "4",
            "--block-size",
            "64",
            "--json",
            "--quiet",
            "--out",
            folder.resolve("race"));
    assertThat(run.json().get("rankings")).hasSize(2);
    assertThat(run.json().get("rankings").get(1).get("race").get("work").asDouble())
        .isBetween(0.0, 1.0);
    for (String[] wrong :
        new String[][] {
          {"--shard", "1/2"}, {"--resume"}, {"--signed"}, {"--confidence", "1.5"}, {"--top-k", "99"}
        }) {
      List<Object> bad =
          new ArrayList<>(
              List.of(
                  "rank",
                  "loir",
                  "--arch",
                  "rn18",
                  "--checkpoint",
                  golden("a1.pt"),
                  "--data",
                  data,
                  "--layer",
                  "layer3",
                  "--out",
                  folder.resolve("none")));
      if (!wrong[0].equals("--top-k")) {
        bad.addAll(List.of("--top-k", "4"));
      }
      bad.addAll(List.of(wrong));
      assertThat(CliRun.of(bad.toArray()).exitCode()).as(String.join(" ", wrong)).isEqualTo(2);
    }
    assertThat(folder.resolve("none")).doesNotExist();
  }
}
