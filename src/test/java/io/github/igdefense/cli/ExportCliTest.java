package io.github.igdefense.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.Npz;
import io.github.igdefense.defense.Bundle;
import io.github.igdefense.defense.Classification;
import io.github.igdefense.defense.DefendedClassifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code igd export}, and what its file says against {@code igd predict}. */
class ExportCliTest {
  @TempDir Path folder;

  private Path ranking() {
    return CliData.singleFile(folder.resolve("ranking.npz"), "layer4");
  }

  private Path names(int count) throws Exception {
    Path file = folder.resolve("names.txt");
    Files.write(file, IntStream.range(0, count).mapToObj(i -> "class " + i).toList());
    return file;
  }

  @Test
  void theBundleSaysWhatPredictSays() throws Exception {
    Path bundle = folder.resolve("model.igd");
    Path logits = folder.resolve("logits.npy");
    JsonNode json =
        CliRun.ok(
                "export",
                "--checkpoint",
                CliData.MODEL,
                "--ranking",
                ranking(),
                "--keep",
                "13",
                "--class-names",
                names(10),
                "--seed",
                "3",
                "--out",
                bundle,
                "--json")
            .json();
    assertThat(json.get("sha256").asText()).isEqualTo(Hashes.sha256(bundle));
    JsonNode manifest = json.get("manifest");
    assertThat(manifest.get("defense").get("keep").asInt()).isEqualTo(13);
    assertThat(manifest.get("defense").get("seed").asLong()).isEqualTo(3);
    assertThat(manifest.get("class_names").get(9).asText()).isEqualTo("class 9");
    assertThat(manifest.get("provenance").get("checkpoint").asText()).isEqualTo("a1.pt");
    assertThat(manifest.get("provenance").get("ranking").asText()).isEqualTo("ranking.npz");
    assertThat(manifest.get("provenance").get("checkpoint_sha256").asText())
        .isEqualTo(Hashes.sha256(Path.of(CliData.MODEL)));
    CliRun.ok(
        "predict",
        "--checkpoint",
        CliData.MODEL,
        "--ranking",
        ranking(),
        "--keep",
        "13",
        "--data",
        CliData.IMAGES,
        "--out",
        logits);
    float[] expected = Npy.read(logits).asFloat();
    float[] x = Npz.open(Path.of(CliData.IMAGES.substring(4))).get("x").asFloat();
    try (DefendedClassifier classifier = DefendedClassifier.open(bundle)) {
      Classification got = classifier.classify(x);
      assertThat(got.size()).isEqualTo(16);
      for (int i = 0; i < 16; i++) {
        assertThat(got.logits(i))
            .containsExactly(Arrays.copyOfRange(expected, 10 * i, 10 * i + 10), within(1e-5f));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--float32-precision high, high, float32, high",
    "--pseudo-label-precision high, highest, float32, high",
    "--pseudo-label-precision medium --float32-precision high, high, float32, medium",
    "--pseudo-label-dtype bfloat16, highest, bfloat16, highest",
    "--pseudo-label-dtype bfloat16 --float32-precision high, high, bfloat16, high"
  })
  void theArithmeticIsInTheManifest(
      String options, String precision, String type, String pseudoLabels) throws Exception {
    Path bundle = folder.resolve("model.igd");
    Object[] line =
        Stream.concat(
                Stream.of("export", "--checkpoint", CliData.MODEL, "--ranking", ranking()),
                Stream.concat(
                    Stream.of("--smoothing-sigma", "4/255", "--out", bundle, "--json"),
                    Stream.of(options.split(" "))))
            .toArray();
    JsonNode manifest = CliRun.ok(line).json().get("manifest");
    assertThat(manifest.get("version").asInt()).isEqualTo(2);
    JsonNode arithmetic = manifest.get("arithmetic");
    assertThat(arithmetic.get("float32_precision").asText()).isEqualTo(precision);
    assertThat(arithmetic.get("pseudo_label_dtype").asText()).isEqualTo(type);
    assertThat(arithmetic.get("pseudo_label_precision").asText()).isEqualTo(pseudoLabels);
    float[] x = Npz.open(Path.of(CliData.IMAGES.substring(4))).get("x").asFloat();
    try (DefendedClassifier classifier = DefendedClassifier.open(bundle)) {
      assertThat(classifier.classify(x).size()).isEqualTo(16);
      assertThat(classifier.manifest().arithmetic().float32Precision()).isEqualTo(precision);
    }
  }

  @Test
  void whatIsTheDefaultLeavesTheBundleAsItWas() throws Exception {
    Path bundle = folder.resolve("model.igd");
    JsonNode manifest =
        CliRun.ok(
                "export",
                "--checkpoint",
                CliData.MODEL,
                "--ranking",
                ranking(),
                "--float32-precision",
                "highest",
                "--pseudo-label-precision",
                "highest",
                "--pseudo-label-dtype",
                "float32",
                "--out",
                bundle,
                "--json")
            .json()
            .get("manifest");
    assertThat(manifest.get("version").asInt()).isEqualTo(1);
    assertThat(manifest.has("arithmetic")).isFalse();
  }

  @Test
  void twoExportsAreEqualBytes() throws Exception {
    Path ranking = ranking();
    for (String name : List.of("a.igd", "b.igd")) {
      CliRun run =
          CliRun.ok(
              "export",
              "--checkpoint",
              CliData.MODEL,
              "--ranking",
              ranking,
              "--smoothing-sigma",
              "4/255",
              "--smoothing-samples",
              "2",
              "--preprocessing",
              "Res36Crop32",
              "--out",
              folder.resolve(name));
      assertThat(run.out()).contains("rn18, 10 classes, 50 of", "units of layer4 kept, SHA-256");
    }
    assertThat(folder.resolve("a.igd")).hasSameBinaryContentAs(folder.resolve("b.igd"));
    Bundle bundle = Bundle.read(folder.resolve("a.igd"));
    assertThat(bundle.smoothing().sigma()).isEqualTo(4 / 255.0);
    assertThat(bundle.manifest().preprocessing()).isEqualTo("Res36Crop32");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--out OUT | needs --ranking",
        "--ranking RANKING --out FOLDER | the folder",
        "--ranking RANKING --out OUT --preprocessing Foo | expected a preprocessing",
        "--ranking RANKING --out OUT --preprocessing Res224 | expected images [3,32,32]",
        "--ranking RANKING --out OUT --image-size 33 | expected images [3,32,32]",
        "--ranking RANKING --out OUT --image-size 0 | --image-size of at least 1",
        "--ranking RANKING --out OUT --class-names NAMES | a name for each of the 10 classes",
        "--ranking RANKING --out OUT --keep 0 | between 1 and",
        "--ranking RANKING --out OUT --arch torchscript | cannot be exported",
        "--ranking RANKING --out OUT --pseudo-label-dtype bfloat16 | --smoothing-sigma above 0",
        "--ranking RANKING --out OUT --pseudo-label-precision high | --smoothing-sigma above 0",
        "--ranking RANKING --out OUT --float32-precision high --dtype float64 | --dtype float64",
        "--ranking RANKING --out OUT --float32-precision low | highest, high or medium",
        "--ranking OUT --out OUT | OUT",
        "--ranking random:3 --out OUT | no ranking",
      })
  void badInputIsRefusedAndNothingWritten(String options, String message) throws Exception {
    Path out = folder.resolve("refused.igd");
    String[] arguments =
        Stream.concat(
                Stream.of("export", "--checkpoint", CliData.MODEL), Stream.of(options.split(" ")))
            .toArray(String[]::new);
    Path names = names(3);
    Path ranking = ranking();
    for (int i = 0; i < arguments.length; i++) {
      arguments[i] =
          switch (arguments[i]) {
            case "OUT" -> out.toString();
            case "FOLDER" -> folder.toString();
            case "RANKING" -> ranking.toString();
            case "NAMES" -> names.toString();
            default -> arguments[i];
          };
    }
    CliRun run = CliRun.of((Object[]) arguments);
    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains(message.replace("OUT", out.toString()));
    assertThat(out).doesNotExist();
  }
}
