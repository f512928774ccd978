package io.github.igdefense.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * A sweep whose disk takes no more in the middle: a process of its own, which the system refuses
 * files of more than a kibibyte ({@code ulimit -f}), as a full disk does.
 */
class FullDiskTest {
  @TempDir Path folder;

  private List<Object> arguments(Path ranking, String values, Path out) {
    return List.of(
        "study",
        "sweep",
        "--over",
        "keep",
        "--values",
        values,
        "--checkpoint",
        CliData.MODEL,
        "--data",
        CliData.IMAGES,
        "--ranking",
        ranking,
        "--attack",
        "fgsm",
        "--threads",
        1,
        "--quiet",
        "--out",
        out,
        "--json");
  }

  private static Map<String, String> contents(Path folder) throws Exception {
    Map<String, String> contents = new TreeMap<>();
    for (Path file : CliRun.files(folder)) {
      contents.put(
          folder.relativize(file).toString(), io.github.igdefense.data.Hashes.sha256(file));
    }
    return contents;
  }

  private static String withoutTimes(JsonNode result) {
    return result.at("/data/points").toString().replaceAll("\"seconds\":[^,}]*", "");
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void aFullDiskLosesNoFinishedPoint() throws Exception {
    Path ranking = CliData.unitFiles(folder.resolve("rankings"), "layer4");
    Path out = folder.resolve("sweep");
    CliRun.ok(arguments(ranking, "10,20", out).toArray());
    Map<String, String> before = contents(out);

    List<String> command =
        new ArrayList<>(List.of("bash", "-c", "ulimit -f 1; exec \"$@\"", "igd"));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
    command.addAll(List.of("-XX:-UsePerfData", "-Dorg.bytedeco.javacpp.nopointergc=true"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Igd.class.getName()));
    arguments(ranking, "10,20,64", out).forEach(argument -> command.add(argument.toString()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes());
    assertThat(process.waitFor(300, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(said).isEqualTo(1);
    assertThat(said).contains("cannot write", "point-", "free space");
    assertThat(contents(out))
        .as("what was there before, and nothing half-written")
        .isEqualTo(before);

    JsonNode resumed = CliRun.ok(arguments(ranking, "10,20,64", out).toArray()).json();
    assertThat(resumed.at("/data/points_kept/computed").asInt()).isEqualTo(1);
    Path whole = folder.resolve("whole");
    JsonNode expected = CliRun.ok(arguments(ranking, "10,20,64", whole).toArray()).json();
    assertThat(resumed.at("/data/points")).hasSize(3);
    assertThat(withoutTimes(resumed)).isEqualTo(withoutTimes(expected));
    assertThat(Files.exists(out.resolve("report.html"))).isTrue();
  }
}
