package io.github.igdefense.cli;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.igdefense.data.Hashes;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code igd inspect} tells what a file is. */
class InspectCliTest {
  @TempDir Path directory;

  private static List<String> texts(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).map(JsonNode::asText).toList();
  }

  @ParameterizedTest
  @CsvSource({
    "a1n.pt, PyTorch zip, cifar-resnet",
    "a1n_legacy.pt, PyTorch legacy, cifar-resnet",
    "a1n_wrapped_module.pt, PyTorch zip, cifar-resnet",
    "a1n_half.pt, PyTorch zip, cifar-resnet",
    "a1.pt, PyTorch zip, rn18",
    "a2.pt, PyTorch zip, wrn",
    "a3.pt, PyTorch zip, imagenet"
  })
  void checkpointsAreDescribed(String name, String format, String family) throws Exception {
    JsonNode json = CliRun.ok("inspect", golden(name), "--json").json();
    assertThat(json.get("format").asText()).isEqualTo(format);
    assertThat(json.get("bytes").asLong()).isEqualTo(Files.size(golden(name)));
    assertThat(json.get("sha256").asText()).isEqualTo(Hashes.sha256(golden(name)));
    assertThat(json.get("architectures")).as(name).isNotEmpty();
    JsonNode first = json.get("architectures").get(0);
    assertThat(first.get("arch").asText() + first.get("reason").asText()).contains(family);
    assertThat(first.get("classes").asInt()).isEqualTo(name.startsWith("a3") ? 20 : 10);
    assertThat(first.get("layers")).isNotEmpty();
    String text = CliRun.ok("inspect", golden(name)).out();
    assertThat(text).contains(json.get("sha256").asText(), format, "units", "classes");
    for (JsonNode tensor : json.get("tensors")) {
      assertThat(text).contains(tensor.get("name").asText() + " ");
    }
  }

  @Test
  void wrappersPrefixesAndOtherValuesAreTold() {
    JsonNode json = CliRun.ok("inspect", golden("a1n_wrapped_module.pt"), "--json").json();
    assertThat(texts(json.get("notes")))
        .anyMatch(note -> note.contains("'state_dict'"))
        .anyMatch(note -> note.contains("'module.'"));
    assertThat(texts(json.get("metadata"))).contains("epoch", "best");
  }

  @Test
  void shapesAndTypesAreThoseOfTheFile() throws Exception {
    JsonNode json = CliRun.ok("inspect", golden("a1n.pt"), "--json").json();
    List<String> lines = new ArrayList<>();
    for (JsonNode tensor : json.get("tensors")) {
      String shape = String.join("x", texts(tensor.get("shape")));
      lines.add(
          tensor.get("name").asText()
              + "\t"
              + (shape.isEmpty() ? "scalar" : shape)
              + "\t"
              + tensor.get("dtype").asText());
    }
    List<String> expected =
        Files.readAllLines(golden("a1n_keys.txt")).stream()
            .map(line -> String.join("\t", List.of(line.split("\t")).subList(0, 3)))
            .toList();
    assertThat(lines).isEqualTo(expected);
  }

  @Test
  void torchScriptMethodsAreFoundWithoutRunningIt() {
    Path file = golden("../torchscript/small.pt");
    JsonNode json = CliRun.ok("inspect", file, "--json").json();
    assertThat(json.get("format").asText()).isEqualTo("TorchScript");
    assertThat(texts(json.get("methods"))).containsExactlyInAnyOrder("forward", "prefix", "suffix");
    assertThat(CliRun.ok("inspect", file).out()).contains("--arch torchscript");
    for (String part : List.of("small_prefix.pt", "small_suffix.pt")) {
      JsonNode one = CliRun.ok("inspect", golden("../torchscript/" + part), "--json").json();
      assertThat(texts(one.get("methods"))).containsExactly("forward");
    }
  }

  @Test
  void arraysAreListed() {
    JsonNode json = CliRun.ok("inspect", golden("images32.npz"), "--json").json();
    assertThat(json.get("format").asText()).isEqualTo("NumPy npz");
    assertThat(json.get("tensors").get(0).get("name").asText()).isEqualTo("x");
    assertThat(texts(json.get("tensors").get(0).get("shape"))).endsWith("3", "32", "32");
    assertThat(json.get("architectures")).isEmpty();
  }

  @Test
  void whatIsNoModelIsNamedWithARemedy() throws Exception {
    Map<String, String> contents =
        Map.of(
            "<!DOCTYPE html><html><head>Google Drive", "HTML page",
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull",
            "", "empty file",
            "\u001f\u008b\b\u0000", "gzip",
            "hello", "damaged");
    for (Map.Entry<String, String> entry : contents.entrySet()) {
      Path file = directory.resolve("file.pt");
      Files.write(file, entry.getKey().getBytes(StandardCharsets.ISO_8859_1));
      CliRun run = CliRun.of("inspect", file, "--json");
      assertThat(run.exitCode()).isEqualTo(2);
      assertThat(run.out()).isEmpty();
      assertThat(run.err()).contains(entry.getValue(), "file.pt");
    }
    CliRun hostile = CliRun.of("inspect", golden("malicious_reduce.pt"));
    assertThat(hostile.exitCode()).isEqualTo(2);
    assertThat(hostile.err()).contains("os.system");
    assertThat(CliRun.of("inspect", directory.resolve("none")).exitCode()).isEqualTo(2);
    assertThat(CliRun.of("inspect", directory).exitCode()).isEqualTo(2);
  }

  @Test
  void anUnknownArchitectureIsToldSo() {
    CliRun run = CliRun.ok("inspect", golden("../torchscript/small_state.pt"));
    assertThat(run.out()).contains("none that is known", "TorchScript");
  }
}
