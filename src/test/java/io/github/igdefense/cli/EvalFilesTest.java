package io.github.igdefense.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.igdefense.data.CorruptedImages;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code igd eval} writes about cascades and the worst case, and what it refuses. */
class EvalFilesTest {
  @TempDir Path folder;
  private Path rankings;
  private Path out;

  @BeforeEach
  void write() throws Exception {
    rankings = folder.resolve("rankings");
    out = folder.resolve("out");
    CliData.unitFiles(rankings, "layer4");
  }

  private static CliRun eval(Object... more) {
    List<Object> line = new ArrayList<>(List.of("eval", "--data", CliData.IMAGES));
    line.addAll(List.of("--checkpoint", CliData.MODEL, "--threads", 1));
    line.addAll(Arrays.asList(more));
    return CliRun.of(line.toArray());
  }

  private CliRun screening(Object... more) {
    List<Object> line = new ArrayList<>(List.of("--worst-case", "--worst-case-preset"));
    line.addAll(List.of("screening", "--limit", 6, "--batch-size", 4, "--keep", 8));
    line.addAll(List.of("--ranking", rankings, "--cache", folder.resolve("cache")));
    line.addAll(Arrays.asList(more));
    return eval(line.toArray());
  }

  @Test
  void theWorstCaseIsWrittenImageByImageAndScreeningIsCalledSo() throws Exception {
    Path info = folder.resolve("info.json");
    CliRun run =
        screening(
            "--also-ranking",
            "random:3",
            "--per-image",
            "--save-adversarial",
            "--model-info",
            info,
            "--info",
            "venue=none",
            "--info",
            "additional_data=false",
            "--out",
            out);
    assertThat(run.exitCode()).as("%s", run).isZero();
    assertThat(run.out())
        .contains("clean", "AutoAttack", "worst case (screening)", "not a robustness claim")
        .contains("after APGD-CE", "Random masks");
    assertThat(out.resolve("state")).doesNotExist();

    JsonNode json = CliRun.json(out.resolve("result.json"));
    assertThat(json.get("protocol").asText()).isEqualTo("iw_wc_screening");
    assertThat(json.get("warnings").findValuesAsText("code")).contains("screening_preset");
    assertThat(json.get("classifiers")).hasSize(3);
    JsonNode defended = json.get("classifiers").get(1);
    assertThat(defended.get("attacks").fieldNames())
        .toIterable()
        .containsExactly("autoattack", "rays", "apgd-ce-eot");
    assertThat(defended.get("transfer").fieldNames())
        .toIterable()
        .containsExactly("autoattack", "rays", "apgd-ce-eot", "apgd-ce", "apgd-cw", "apgd-t");
    JsonNode detail = defended.get("attack_details").get("autoattack");
    assertThat(detail.get("stages").findValuesAsText("name"))
        .containsExactly("apgd-ce", "apgd-t", "fab-t", "square");
    assertThat(detail.get("stages").get(3).get("accuracy"))
        .isEqualTo(defended.get("attacks").get("autoattack"));
    assertThat(detail.get("largest_perturbation").asDouble()).isBetween(0.0, 8 / 255.0 + 1e-6);

    Npz matrix = Npz.open(out.resolve("worst_case.npz"));
    List<String> csv = Files.readAllLines(out.resolve("worst_case.csv"));
    List<String> header = List.of(csv.get(0).split(","));
    assertThat(csv).hasSize(7);
    int column = 2;
    for (String line : matrix.text("columns.txt").lines().toList()) {
      String[] names = line.split("\t");
      NpyArray flags = matrix.get(names[0]);
      assertThat(flags.shape()).containsExactly(6, names.length - 1);
      boolean[] values = flags.asBoolean();
      int last = names.length - 2;
      assertThat(names[last + 1]).isEqualTo("worst_case_screening");
      int robust = 0;
      for (int i = 0; i < 6; i++) {
        boolean all = true;
        for (int a = 0; a <= last; a++) {
          boolean value = values[i * (last + 1) + a];
          all &= value || a == last;
          assertThat(csv.get(i + 1).split(",")[column + a]).isEqualTo(value ? "1" : "0");
          assertThat(header.get(column + a)).isEqualTo(names[0] + "/" + names[a + 1]);
        }
        assertThat(values[i * (last + 1) + last]).as("survives all columns").isEqualTo(all);
        robust += all ? 1 : 0;
      }
      String name = names[0];
      for (JsonNode classifier : json.get("classifiers")) {
        if (classifier.get("name").asText().equals(name)) {
          assertThat(classifier.get("worst_case").asDouble()).isEqualTo(robust / 6.0);
        }
      }
      column += last + 1;
    }

    List<String> perImage = Files.readAllLines(out.resolve("per_image.csv"));
    // Six attacks on the base; three and six transfers on each of two defended models.
    assertThat(perImage).hasSize(1 + 6 * (6 + 9 + 9));
    assertThat(perImage).allSatisfy(line -> assertThat(line.split(",", -1)).hasSize(11));
    Npz points = Npz.open(out.resolve("adversarial/base-autoattack.npz"));
    assertThat(points.names()).containsExactly("x", "y", "x_adv", "success");

    JsonNode record = CliRun.json(info);
    assertThat(record.fieldNames())
        .toIterable()
        .startsWith("link", "name", "authors", "additional_data", "number_forward_passes")
        .endsWith("external", "footnote", "unreliable");
    assertThat(record.get("eps").asText()).isEqualTo("8/255");
    assertThat(record.get("venue").asText()).isEqualTo("none");
    assertThat(record.get("additional_data").isBoolean()).isTrue();
    assertThat(record.get("number_forward_passes").asInt()).isEqualTo(2);
    assertThat(record.get("footnote").asText()).contains("not a robustness claim");

    // The base's images come from the cache: same numbers, no second attack.
    Path second = folder.resolve("second");
    CliRun again = screening("--out", second);
    assertThat(again.exitCode()).as("%s", again).isZero();
    JsonNode base = CliRun.json(second.resolve("result.json")).get("classifiers").get(0);
    assertThat(base.get("attack_details"))
        .isEqualTo(json.get("classifiers").get(0).get("attack_details"));
  }

  /** In a run of their own, so that rankings can be evaluated side by side. */
  @Test
  void randomMasksMayBeTheFirst() throws Exception {
    List<Object> same = List.of("--attack", "fgsm", "--keep", 8, "--limit", 20);
    List<Object> line = new ArrayList<>(same);
    line.addAll(List.of("--ranking", rankings, "--also-ranking", "random:3", "--out", out));
    CliRun both = eval(line.toArray());
    assertThat(both.exitCode()).as("%s", both).isZero();
    JsonNode second = CliRun.json(out.resolve("result.json")).get("classifiers").get(2);

    Path other = folder.resolve("other");
    line = new ArrayList<>(same);
    line.addAll(List.of("--ranking", "random:3", "--out", other));
    CliRun alone = eval(line.toArray());
    assertThat(alone.exitCode()).as("%s", alone).isZero();
    JsonNode json = CliRun.json(other.resolve("result.json"));
    JsonNode found = json.get("classifiers").get(1);
    for (String field : List.of("clean", "attacks", "transfer", "per_class_worst")) {
      assertThat(found.get(field)).as(field).isEqualTo(second.get(field));
    }
    assertThat(json.get("ranking").isNull()).isTrue();
    assertThat(json.get("provenance").get("ranking_file").asText()).isEqualTo("random:3");
  }

  @Test
  void aCascadeIsOneColumnAndIndividualAttacksAreSeveral() throws Exception {
    CliRun run =
        eval(
            "--attack", "apgd-ce,square", "--cascade", "--steps", 3, "--queries", 20, "--out", out);
    assertThat(run.exitCode()).as("%s", run).isZero();
    JsonNode json = CliRun.json(out.resolve("result.json"));
    assertThat(json.get("attacks").fieldNames()).toIterable().containsExactly("autoattack-custom");
    assertThat(json.get("warnings").findValuesAsText("code")).contains("autoattack_custom");
    run =
        eval("--attack", "autoattack-rand", "--individual", "--steps", 2, "--eot", 2, "--out", out);
    assertThat(run.exitCode()).as("%s", run).isZero();
    json = CliRun.json(out.resolve("result.json"));
    assertThat(json.get("attacks").fieldNames())
        .toIterable()
        .containsExactly("apgd-ce", "apgd-dlr");
  }

  @Test
  void whatCannotBeIsRefusedBeforeAnythingIsWritten() throws Exception {
    List<Object[]> lines =
        List.of(
            new Object[] {"either --worst-case", "--worst-case", "--attack", "fgsm"},
            new Object[] {"--worst-case-preset needs", "--worst-case-preset", "screening"},
            new Object[] {"norm Linf", "--worst-case", "--norm", "L2"},
            new Object[] {"positive epsilon", "--worst-case", "--eps", "0"},
            new Object[] {"positive epsilon", "--attack", "autoattack", "--eps", "-8/255"},
            new Object[] {"--cascade or --individual", "--cascade", "--individual"},
            new Object[] {"single attacks", "--cascade", "--attack", "autoattack,fgsm"},
            new Object[] {"once", "--attack", "autoattack,autoattack"},
            new Object[] {"need --ranking", "--also-ranking", "random"},
            new Object[] {"--info needs", "--info", "name=x"},
            new Object[] {"--queries", "--attack", "autoattack", "--queries", 0},
            new Object[] {"--info keys", "--model-info", folder.resolve("m"), "--info", "nme=x"});
    for (Object[] line : lines) {
      List<Object> arguments = new ArrayList<>(Arrays.asList(line).subList(1, line.length));
      arguments.addAll(List.of("--out", out));
      CliRun run = eval(arguments.toArray());
      assertThat(run.exitCode()).as("%s %s", arguments, run).isEqualTo(2);
      assertThat(run.err()).as("%s", arguments).contains(String.valueOf(line[0]));
      assertThat(CliRun.files(out)).as("%s", arguments).isEmpty();
    }
  }

  @Test
  void aStateBelongsToItsRun() throws Exception {
    Path state = folder.resolve("state");
    Object[] fgsm = {"--attack", "fgsm", "--state", state, "--out", out};
    assertThat(eval(fgsm).exitCode()).isZero();
    CliRun again = eval(fgsm);
    assertThat(again.exitCode()).isEqualTo(2);
    assertThat(again.err()).contains("--resume");
    CliRun other =
        eval("--attack", "fgsm", "--state", state, "--resume", "--seed", 1, "--out", out);
    assertThat(other.exitCode()).isEqualTo(2);
    assertThat(other.err()).contains("expected seed 1, got 0");
    CliRun attack = eval("--attack", "pgd", "--state", state, "--resume", "--out", out);
    assertThat(attack.exitCode()).isEqualTo(2);
    assertThat(attack.err()).contains("plans");
    byte[] before = Files.readAllBytes(out.resolve("result.json"));
    CliRun resumed = eval("--attack", "fgsm", "--state", state, "--resume", "--out", out);
    assertThat(resumed.exitCode()).as("%s", resumed).isZero();
    assertThat(Files.readAllBytes(out.resolve("result.json")))
        .hasSizeBetween(before.length - 200, before.length + 200);
    assertThat(state.resolve("state.json")).exists();
  }

  @Test
  void bfloat16PointsAreJudgedInFloat32() throws Exception {
    CliRun run =
        eval(
            "--attack",
            "apgd-ce",
            "--steps",
            5,
            "--dtype",
            "bfloat16",
            "--save-adversarial",
            "--out",
            out);
    assertThat(run.exitCode()).as("%s", run).isZero();
    Npz points = Npz.open(out.resolve("adversarial/base-apgd-ce.npz"));
    String attacked =
        CliData.images(folder.resolve("attacked.npz"), points.get("x_adv"), points.get("y"));
    JsonNode wide =
        CliRun.ok(
                "predict",
                "--data",
                attacked,
                "--checkpoint",
                CliData.MODEL,
                "--out",
                folder.resolve("l.npy"),
                "--json")
            .json();
    JsonNode json = CliRun.json(out.resolve("result.json"));
    assertThat(json.get("attacks").get("apgd-ce").asDouble())
        .isEqualTo(wide.get("accuracy").asDouble());
    assertThat(json.get("clean").asDouble()).isEqualTo(13 / 16.0);
  }

  @Test
  void corruptionsAreComparedWithTheBase() throws Exception {
    Path data = Files.createDirectories(folder.resolve("c"));
    byte[] pixels = new byte[5 * 4 * 32 * 32 * 3];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) (i * 37 + i / 3072 * 11);
    }
    for (String name : CorruptedImages.NAMES) {
      Npy.write(data.resolve(name + ".npy"), NpyArray.of(pixels, 20, 32, 32, 3));
    }
    Npy.write(data.resolve("labels.npy"), NpyArray.of(new byte[20], 20));
    Path file = folder.resolve("corruptions.json");
    CliRun run =
        CliRun.of(
            "corruptions",
            "--corruptions",
            data,
            "--checkpoint",
            CliData.MODEL,
            "--ranking",
            rankings,
            "--keep",
            8,
            "--limit",
            3,
            "--out",
            file);
    assertThat(run.exitCode()).as("%s", run).isZero();
    assertThat(run.out()).contains("jpeg_compression", "mean error", "mCE (base = 100)");
    JsonNode json = CliRun.json(file);
    assertThat(json.get("classifiers")).hasSize(2);
    JsonNode base = json.get("classifiers").get(0);
    assertThat(base.get("accuracies")).hasSize(15);
    assertThat(base.get("images").asInt()).isEqualTo(3);
    assertThat(base.get("mce").isNull()).isTrue();
    CliRun missing =
        CliRun.of(
            "corruptions",
            "--corruptions",
            folder.resolve("none"),
            "--checkpoint",
            CliData.MODEL,
            "--out",
            file);
    assertThat(missing.exitCode()).as("%s", missing).isEqualTo(2);
  }
}
