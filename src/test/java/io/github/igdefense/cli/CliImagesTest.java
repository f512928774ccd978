package io.github.igdefense.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.igdefense.data.ImageDifferences;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.Npz;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The options that say which images are used, and {@code igd subset}. */
class CliImagesTest {
  @TempDir Path folder;
  private Path in;
  private Path out;

  /** Three classes with four images each, all of different sizes. */
  @BeforeEach
  void folders() throws IOException {
    in = Files.createDirectories(folder.resolve("in"));
    out = Files.createDirectories(folder.resolve("out"));
    Random random = new Random(2);
    for (String name : List.of("a", "b", "c")) {
      Files.createDirectories(in.resolve("set").resolve(name));
      for (int i = 0; i < 4; i++) {
        BufferedImage image =
            new BufferedImage(
                30 + random.nextInt(30), 30 + random.nextInt(30), BufferedImage.TYPE_INT_RGB);
        for (int p = 0; p < image.getWidth() * image.getHeight(); p++) {
          image.setRGB(p % image.getWidth(), p / image.getWidth(), random.nextInt());
        }
        ImageIO.write(image, "png", in.resolve("set/" + name + "/" + i + ".png").toFile());
      }
    }
  }

  private String set() {
    return "folder:" + in.resolve("set");
  }

  @Test
  void whatWasAskedForAndWhatIsUsedAreBothSaidAndThePreprocessingStored() throws IOException {
    Files.writeString(in.resolve("set/b/broken.jpg"), "nothing");
    CliRun run =
        CliRun.ok(
            "attack",
            "--attack",
            "fgsm",
            "--checkpoint",
            CliData.MODEL,
            "--data",
            set(),
            "--preprocessing",
            "Res36Crop32",
            "--skip-unreadable",
            "--limit",
            7,
            "--out",
            out);
    assertThat(run.err())
        .contains("asked for 7 of 12 images, using 6 of " + set())
        .contains("preprocessing: Res36Crop32 (shorter side to 36, bilinear, centre crop 32x32)")
        .contains("warning: skipped 1 of 13 images")
        .contains("b/broken.jpg");
    JsonNode provenance = CliRun.json(out.resolve("result.json")).get("provenance");
    assertThat(provenance.get("data_preprocessing").asText()).startsWith("Res36Crop32 (");
    assertThat(provenance.get("images_asked").asInt()).isEqualTo(7);
    assertThat(provenance.get("images_used").asInt()).isEqualTo(6);
  }

  @Test
  void listsMapsAndNamesReachTheModel() throws IOException {
    Path list = Files.writeString(in.resolve("ids.txt"), "c/2.png\na/0.png\n");
    Path map = Files.writeString(in.resolve("map.json"), "{\"a\": 5, \"b\": 1, \"c\": 9}");
    Path names = Files.writeString(in.resolve("names.txt"), "0\n1\n2\n3\n4\nfive\n6\n7\n8\nnine\n");
    CliRun run =
        CliRun.ok(
            "attack",
            "--attack",
            "fgsm",
            "--checkpoint",
            CliData.MODEL,
            "--data",
            set(),
            "--preprocessing",
            "Crop32",
            "--image-list",
            list,
            "--class-map",
            map,
            "--classes",
            names,
            "--out",
            out);
    assertThat(run.err()).contains("asked for all of 2 images, using 2");
    assertThat(Npz.open(out.resolve("adversarial.npz")).get("y").asLong()).containsExactly(9, 5);
    assertThat(CliRun.json(out.resolve("result.json")).get("class_names").toString())
        .contains("five")
        .contains("nine");
  }

  @Test
  void trainingSaysItToo() {
    CliRun run =
        CliRun.ok(
            "train",
            "--limit",
            95,
            "--test-limit",
            10,
            "--epochs",
            1,
            "--width",
            2,
            "--batch-size",
            30,
            "--out",
            out.resolve("t"));
    assertThat(run.err()).contains("asked for 95 of 6000 images, using 90 of embedded:train");
  }

  @Test
  void subsetsAreBalancedAndRepeatable() throws IOException {
    JsonNode json =
        CliRun.ok(
                "subset",
                "--data",
                set(),
                "--per-class",
                3,
                "--seed",
                4,
                "--json",
                "-q",
                "--preprocessing",
                "Crop8",
                "--out",
                out.resolve("links"))
            .json();
    assertThat(json.get("images").asInt()).isEqualTo(9);
    assertThat(json.get("images_available").asInt()).isEqualTo(12);
    CliRun list =
        CliRun.ok(
            "subset",
            "--data",
            set() + ":Crop8",
            "--per-class",
            3,
            "--seed",
            4,
            "--out",
            out.resolve("list.txt"));
    assertThat(list.out()).contains("3 images of each of 3 classes (seed 4), 9 of 12 images");
    CliRun.ok(
        "subset",
        "--data",
        set() + ":Crop8",
        "--per-class",
        3,
        "--seed",
        4,
        "--out",
        out.resolve("arrays.npz"));
    ImageSet links = ImageSets.open("folder:" + out.resolve("links") + ":Crop8");
    ImageSet listed = ImageSets.open(set() + ":Crop8:list=" + out.resolve("list.txt"));
    ImageSet arrays = ImageSets.open("npz:" + out.resolve("arrays.npz"));
    assertThat(links.labels()).containsExactly(0, 0, 0, 1, 1, 1, 2, 2, 2);
    assertThat(ImageDifferences.between(links, listed).different()).isZero();
    assertThat(ImageDifferences.between(links, arrays).different()).isZero();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "subset --per-class 5 --data SET:Crop8 --out OUT/x | 3 of 3 classes have fewer: a has 4",
        "subset --per-class 5 --data SET:Crop8 --out OUT/x.txt | a has 4",
        "subset --per-class 0 --data SET:Crop8 --out OUT/x | --per-class",
        "subset --per-class 1 --data embedded --out OUT/x | .npz",
        "subset --per-class 1 --data embedded --out OUT/x.txt | .npz",
        "subset --per-class 1 --data SET --out OUT/x | Res256Crop224",
        "subset --per-class 1 --data SET:Crop8 --out IN | empty folder",
        "subset --per-class 1 --data SET:Crop8 --preprocessing Nonsense --out OUT/x | Nonsense",
        "subset --per-class 1 --data SET:Crop8 --image-list IN/none --out OUT/x | none",
        "subset --per-class 1 --data SET:Crop8 --class-map IN/none --out OUT/x | none",
        "subset --per-class 1 --data SET:Crop8 --classes IN/none --out OUT/x | none",
        "subset --per-class 1 --data cifar10c:IN:fog:9 --out OUT/x | severity",
        "export-images --data SET:Crop8 --form cifar10_binary --out OUT/x | 32x32",
        "export-images --data SET:Crop32 --form cifar10_python --part train --out OUT/x | 12",
      })
  void badInputIsExplainedAndWritesNothing(String line, String expected) throws IOException {
    String[] arguments =
        line.replace("SET", set())
            .replace("OUT", out.toString())
            .replace("IN", in.toString())
            .split(" ");
    CliRun run = CliRun.of((Object[]) arguments);
    assertThat(run.exitCode()).as(run.toString()).isEqualTo(2);
    assertThat(run.err().lines().filter(l -> l.startsWith("igd: "))).hasSize(1);
    assertThat(run.err()).contains(expected);
    assertThat(run.out()).isEmpty();
    assertThat(CliRun.files(out)).isEmpty();
  }
}
