package io.github.igdefense.cli;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.igdefense.data.ElementType;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.CheckpointReader;
import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.SafeTensors;
import io.github.igdefense.model.StateDict;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The commands write what their contract says, and what the reference computes. */
class CliContractTest {
  @TempDir static Path folder;
  private static String mixtures;
  private static String probe;
  private static Path rankings;

  @TempDir Path out;

  @BeforeAll
  static void write() throws Exception {
    mixtures = CliData.mixtures(folder.resolve("mixtures.npz"));
    probe = CliData.probe(folder.resolve("probe.npz"), "y");
    rankings = folder.resolve("rankings");
    for (String layer : List.of("layer3", "layer4")) {
      CliData.unitFiles(rankings, layer);
      CliData.singleFile(folder.resolve(layer + ".npz"), layer);
    }
  }

  private static double[] close(double[] actual, double[] expected, double tolerance) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).as("value %d", i).isCloseTo(expected[i], within(tolerance));
    }
    return actual;
  }

  @ParameterizedTest
  @CsvSource({"float64, FLOAT64, logits_f64, 1e-10", "float32, FLOAT32, logits_f32, 2e-4"})
  void predictWritesTheReferencesLogits(
      String dtype, ElementType type, String expected, double tolerance) {
    Path file = out.resolve("deep/logits.npy");
    CliRun run =
        CliRun.ok(
            "predict",
            "--data",
            CliData.IMAGES,
            "--checkpoint",
            CliData.MODEL,
            "--dtype",
            dtype,
            "--out",
            file);
    NpyArray logits = Npy.read(file);
    assertThat(logits.type()).isEqualTo(type);
    assertThat(logits.shape()).containsExactly(16, 10);
    close(
        logits.asDouble(), Npz.open(golden("a1_forward.npz")).get(expected).asDouble(), tolerance);
    assertThat(run.out())
        .contains("accuracy 81.25 %")
        .contains("16 images")
        .contains(file.toString());
    assertThat(run.out().lines()).hasSize(1);
  }

  @ParameterizedTest
  @CsvSource({
    "layer4, rankings/a1/layer4",
    "layer4, rankings/a1",
    "layer4, rankings",
    "layer4, layer4.npz",
    "layer3, rankings/a1/layer3",
    "layer3, rankings",
    "layer3, layer3.npz",
  })
  void predictWithARankingWritesTheDefendedLogits(String layer, String ranking) {
    Path file = out.resolve("logits.npy");
    CliRun.ok(
        "predict",
        "--data",
        mixtures,
        "--checkpoint",
        CliData.MODEL,
        "--dtype",
        "float64",
        "--ranking",
        folder.resolve(ranking),
        "--layer",
        layer,
        "--keep",
        8,
        "--out",
        file);
    close(
        Npy.read(file).asDouble(),
        Npz.open(golden("defended.npz")).get("a1_" + layer + "_k8_plain_logits").asDouble(),
        1e-7);
  }

  @Test
  void theDefaultLayerIsThePenultimateAndItsDefaultKeepIsThePapersFifty() {
    Path defaults = out.resolve("defaults.npy");
    Path spelled = out.resolve("spelled.npy");
    Path other = out.resolve("other.npy");
    for (Path file : List.of(defaults, spelled, other)) {
      List<Object> arguments =
          new ArrayList<>(
              List.of(
                  "predict",
                  "--data",
                  mixtures,
                  "--checkpoint",
                  CliData.MODEL,
                  "--ranking",
                  rankings,
                  "--out",
                  file));
      if (!file.equals(defaults)) {
        arguments.addAll(List.of("--layer", "layer4", "--keep", file.equals(spelled) ? 50 : 20));
      }
      CliRun.ok(arguments.toArray());
    }
    assertThat(Npy.read(defaults).asDouble()).isEqualTo(Npy.read(spelled).asDouble());
    assertThat(Npy.read(defaults).asDouble()).isNotEqualTo(Npy.read(other).asDouble());
  }

  @Test
  void smoothedLogitsFollowTheSeedAndNothingElse() throws Exception {
    byte[][] files = new byte[3][];
    for (int i = 0; i < 3; i++) {
      Path file = out.resolve(i + ".npy");
      CliRun.ok(
          "predict",
          "--data",
          CliData.IMAGES,
          "--checkpoint",
          CliData.MODEL,
          "--ranking",
          rankings,
          "--keep",
          8,
          "--smoothing-sigma",
          "8/255",
          "--smoothing-samples",
          2,
          "--temperature",
          0.1,
          "--seed",
          i == 2 ? 1 : 0,
          "--out",
          file);
      files[i] = Files.readAllBytes(file);
    }
    assertThat(files[1]).isEqualTo(files[0]);
    assertThat(files[2]).isNotEqualTo(files[0]);
  }

  @ParameterizedTest
  @CsvSource({
    "y, layer4, class-mean, a1_layer4_importance",
    "y, layer3, class-mean, a1_layer3_importance",
    "y_unbalanced, layer4, class-mean, a1_layer4_unbalanced_true_mean",
    "y_unbalanced, layer4, reference, a1_layer4_unbalanced_seed",
  })
  void rankLoirWritesTheReferencesImportances(
      String labels, String layer, String normalization, String golden) throws Exception {
    String data = labels.equals("y") ? probe : CliData.probe(out.resolve("unbalanced.npz"), labels);
    CliRun run =
        CliRun.ok(
            "rank",
            "loir",
            "--data",
            data,
            "--checkpoint",
            CliData.MODEL,
            "--dtype",
            "float64",
            "--layer",
            layer,
            "--normalization",
            normalization,
            "--out",
            out.resolve("r"),
            "--json");
    double[] expected = Npz.open(golden("loir_cifar.npz")).get(golden).asDouble();
    Path single = out.resolve("r/a1/" + layer + ".npz");
    close(Npz.open(single).get("importance").asDouble(), expected, 1e-9);
    int units = expected.length / 10;
    for (int u = 0; u < units; u++) {
      NpyArray unit = Npy.read(out.resolve("r/a1/" + layer + "/unit" + u + ".npy"));
      assertThat(unit.shape()).containsExactly(10);
      assertThat(unit.type().isFloating()).isTrue();
      close(unit.asDouble(), Arrays.copyOfRange(expected, u * 10, u * 10 + 10), 1e-9);
    }
    assertThat(CliRun.files(out.resolve("r"))).hasSize(units + 1);
    JsonNode json = run.json();
    assertThat(json.get("ranking").asText()).isEqualTo(single.toString());
    assertThat(json.get("units").asInt()).isEqualTo(units);
    assertThat(json.get("images").asInt()).isEqualTo(200);
  }

  @Test
  void aRankingOfOursIsUsedWithoutComplaintAndOneOfAnotherCheckpointWithAWarning()
      throws Exception {
    CliRun.ok(
        "rank", "loir", "--data", probe, "--checkpoint", CliData.MODEL, "--out", out.resolve("r"));
    CliRun own =
        CliRun.ok(
            "predict",
            "--data",
            CliData.IMAGES,
            "--checkpoint",
            CliData.MODEL,
            "--ranking",
            out.resolve("r"),
            "--out",
            out.resolve("own.npy"));
    assertThat(own.err()).doesNotContain("warning");
    Path copy = out.resolve("copy.safetensors");
    SafeTensors.write(
        copy, CheckpointReader.read(golden("a1.pt")).state(), Map.of("note", "another file"));
    CliRun foreign =
        CliRun.ok(
            "predict",
            "--data",
            CliData.IMAGES,
            "--checkpoint",
            copy,
            "--ranking",
            out.resolve("r"),
            "--out",
            out.resolve("foreign.npy"));
    assertThat(foreign.err()).contains("warning").contains("another checkpoint");
    assertThat(Npy.read(out.resolve("foreign.npy")).asDouble())
        .isEqualTo(Npy.read(out.resolve("own.npy")).asDouble());
  }

  @ParameterizedTest
  @CsvSource({
    "apgd-ce, atk_apgd_ce_linf, 8",
    "apgd-t, atk_apgd_t_linf, 8",
    "fab-t, atk_fab_t_linf, 8",
    "square, atk_square_linf, 16"
  })
  void attackFindsWhatTheReferenceFinds(String attack, String name, int steps255) throws Exception {
    Npz golden = Npz.open(golden(name + ".npz"));
    boolean targeted = golden.contains("hp_n_target_classes");
    CliRun run =
        CliRun.ok(
            "attack",
            "--data",
            CliData.IMAGES,
            "--checkpoint",
            CliData.MODEL,
            "--dtype",
            "float64",
            "--attack",
            attack,
            "--norm",
            "Linf",
            "--eps",
            steps255 + "/255",
            "--steps",
            golden.contains("hp_n_iter") ? golden.get("hp_n_iter").asLong()[0] : 1,
            "--queries",
            golden.contains("hp_n_queries") ? golden.get("hp_n_queries").asLong()[0] : 1,
            "--targets",
            targeted ? golden.get("hp_n_target_classes").asLong()[0] : 9,
            "--reference-order",
            "--seed",
            golden.get("seed").asLong()[0],
            "--out",
            out);
    Npz file = Npz.open(out.resolve("adversarial.npz"));
    assertThat(file.names()).containsExactlyInAnyOrder("x", "y", "x_adv", "success");
    Npz images = Npz.open(golden("images32.npz"));
    assertThat(file.get("x").shape()).containsExactly(16, 3, 32, 32);
    assertThat(file.get("x_adv").shape()).containsExactly(16, 3, 32, 32);
    assertThat(file.get("x").type()).isEqualTo(ElementType.FLOAT64);
    assertThat(file.get("x_adv").type()).isEqualTo(ElementType.FLOAT64);
    assertThat(file.get("y").type()).isEqualTo(ElementType.INT64);
    assertThat(file.get("success").type()).isEqualTo(ElementType.BOOL);
    double[] x = file.get("x").asDouble();
    assertThat(x).isEqualTo(images.get("x").asDouble());
    assertThat(file.get("y").asLong()).isEqualTo(images.get("y").asLong());
    double[] adversarial = file.get("x_adv").asDouble();
    for (int i = 0; i < x.length; i++) {
      assertThat(Math.abs(adversarial[i] - x[i]))
          .as("value %d", i)
          .isLessThanOrEqualTo(steps255 / 255.0 + 1e-12);
      assertThat(adversarial[i]).as("value %d", i).isBetween(0.0, 1.0);
    }
    boolean[] before = golden.get("robust_before").asBoolean();
    boolean[] after = golden.get("robust_after").asBoolean();
    boolean[] success = new boolean[16];
    for (int i = 0; i < 16; i++) {
      success[i] = before[i] && !after[i];
    }
    assertThat(file.get("success").asBoolean()).isEqualTo(success);
    double[] first = golden.get("x_adv_first_f32").asDouble();
    close(Arrays.copyOf(adversarial, first.length), first, 1e-6);
    JsonNode json = CliRun.json(out.resolve("result.json"));
    assertThat(json.get("kind").asText()).isEqualTo("attack");
    assertThat(json.get("clean").asDouble()).isCloseTo(13 / 16.0, within(1e-12));
    assertThat(json.get("attacks").get(attack).asDouble()).isCloseTo(share(after), within(1e-12));
    assertThat(json.get("settings").get("epsilon").asDouble())
        .isCloseTo(steps255 / 255.0, within(1e-15));
    assertThat(json.get("provenance").get("seed").asLong())
        .isEqualTo(golden.get("seed").asLong()[0]);
    assertThat(CliRun.files(out)).hasSize(2);
    assertThat(run.out()).contains("robust");
  }

  private static double share(boolean[] flags) {
    int count = 0;
    for (boolean flag : flags) {
      count += flag ? 1 : 0;
    }
    return (double) count / flags.length;
  }

  @Test
  void theAdversarialFileIsDataForOtherCommandsAndShowsTheSameAccuracy() throws Exception {
    CliRun.ok(
        "attack",
        "--data",
        CliData.IMAGES,
        "--checkpoint",
        CliData.MODEL,
        "--attack",
        "apgd-ce",
        "--steps",
        10,
        "--out",
        out,
        "-q");
    Npz file = Npz.open(out.resolve("adversarial.npz"));
    assertThat(file.get("x_adv").type()).isEqualTo(ElementType.FLOAT32);
    String attacked = CliData.images(out.resolve("attacked.npz"), file.get("x_adv"), file.get("y"));
    try (ImageSet set = ImageSets.open(attacked)) {
      assertThat(set.size()).isEqualTo(16);
    }
    double robust =
        CliRun.json(out.resolve("result.json")).get("attacks").get("apgd-ce").asDouble();
    JsonNode predicted =
        CliRun.ok(
                "predict",
                "--data",
                attacked,
                "--checkpoint",
                CliData.MODEL,
                "--out",
                out.resolve("l.npy"),
                "--json")
            .json();
    assertThat(predicted.get("accuracy").asDouble()).isEqualTo(robust);
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "2/255"})
  void evalComparesTheBaseAndTheDefendedModel(String sigma) throws Exception {
    CliRun run =
        CliRun.ok(
            "eval",
            "--data",
            CliData.IMAGES,
            "--checkpoint",
            CliData.MODEL,
            "--attack",
            "apgd-ce,apgd-t",
            "--steps",
            5,
            "--targets",
            2,
            "--ranking",
            rankings,
            "--layer",
            "layer4",
            "--keep",
            8,
            "--smoothing-sigma",
            sigma,
            "--evaluations",
            3,
            "--out",
            out);
    JsonNode json = CliRun.json(out.resolve("result.json"));
    assertThat(json.get("kind").asText()).isEqualTo("eval");
    assertThat(json.get("attacks").fieldNames()).toIterable().containsExactly("apgd-ce", "apgd-t");
    assertThat(json.get("transfer").fieldNames()).toIterable().containsExactly("apgd-ce", "apgd-t");
    assertThat(json.get("classifiers")).hasSize(2);
    assertThat(json.get("classifiers").get(0).get("clean").asDouble())
        .isCloseTo(13 / 16.0, within(1e-12));
    worstCaseIsNoBetterThanAnyColumn(json);
    for (JsonNode classifier : json.get("classifiers")) {
      worstCaseIsNoBetterThanAnyColumn(classifier);
    }
    assertThat(json.get("classifiers").get(1).get("inference_time_ratio").asDouble()).isPositive();
    String html = Files.readString(out.resolve("report.html"));
    boolean whole = html.startsWith("<!doctype html>") && html.strip().endsWith("</html>");
    assertThat(whole).isTrue();
    for (String outside : List.of("http://", "https://", "<script", "@import", "url(", "<iframe")) {
      assertThat(html.contains(outside)).as(outside).isFalse();
    }
    for (String shown : List.of("APGD-CE", "APGD-T", "IG-Defense")) {
      assertThat(html.contains(shown)).as(shown).isTrue();
    }
    assertThat(CliRun.files(out)).hasSize(2);
    assertThat(run.out()).contains("IG-Defense").contains("APGD-CE");
  }

  private static void worstCaseIsNoBetterThanAnyColumn(JsonNode result) {
    double worst = result.get("worst_case").asDouble();
    assertThat(worst).isLessThanOrEqualTo(result.get("clean").asDouble());
    for (String group : List.of("attacks", "transfer")) {
      for (JsonNode column : result.get(group)) {
        assertThat(worst).as(group).isLessThanOrEqualTo(column.asDouble());
      }
    }
  }

  @Test
  void evalWithoutARankingIsTheBaseModelAlone() throws Exception {
    CliRun.ok(
        "eval",
        "--data",
        CliData.IMAGES,
        "--checkpoint",
        CliData.MODEL,
        "--attack",
        "fgsm, pgd",
        "--steps",
        2,
        "--norm",
        "l2",
        "--eps",
        0.5,
        "--limit",
        4,
        "--out",
        out);
    JsonNode json = CliRun.json(out.resolve("result.json"));
    assertThat(json.get("classifiers")).hasSize(1);
    assertThat(json.get("attacks").fieldNames()).toIterable().containsExactly("fgsm", "pgd");
    assertThat(json.get("settings").get("norm").asText()).isEqualTo("L2");
    assertThat(json.get("provenance").toString()).contains("\"images_asked\":4,\"images_used\":4");
  }

  @Test
  void withJsonStandardOutputIsOneObjectAndWithQuietStandardErrorIsEmpty() {
    List<List<Object>> commands =
        List.of(
            List.of("predict", "--data", CliData.IMAGES, "--out", out.resolve("l.npy")),
            List.of("rank", "loir", "--data", probe, "--limit", 100, "--out", out),
            List.of("attack", "--data", CliData.IMAGES, "--attack", "fgsm", "--out", out),
            List.of(
                "eval",
                "--data",
                CliData.IMAGES,
                "--attack",
                "fgsm",
                "--ranking",
                rankings,
                "--out",
                out),
            List.of("bench", "--quick", "--repetitions", 3, "--batch-size", 4));
    for (List<Object> command : commands) {
      List<Object> line = new ArrayList<>(command);
      line.addAll(List.of("--checkpoint", CliData.MODEL, "--threads", 1, "--json"));
      assertThat(CliRun.ok(line.toArray()).json()).as("%s", command).isNotEmpty();
      line.add("--quiet");
      CliRun quiet = CliRun.ok(line.toArray());
      assertThat(quiet.err()).as("%s", command).isEmpty();
      assertThat(quiet.json()).isNotEmpty();
      line.remove("--json");
      CliRun plain = CliRun.ok(line.toArray());
      assertThat(plain.err()).as("%s", command).isEmpty();
      assertThat(plain.out())
          .as("%s", command)
          .isNotBlank()
          .doesNotContain("\r")
          .doesNotContain("\u001b");
    }
  }

  @Test
  void logitsThatAreNotFiniteAreSaidAndCountAsWrong() {
    List<HostTensor> tensors = new ArrayList<>();
    for (HostTensor tensor : CheckpointReader.read(golden("a1.pt")).state()) {
      float[] bias = {0, 0, Float.NaN, 0, 0, 0, 0, 0, 0, 0};
      tensors.add(
          tensor.name().equals("linear.bias") ? HostTensor.of("linear.bias", bias, 10) : tensor);
    }
    Path broken = out.resolve("broken.safetensors");
    SafeTensors.write(broken, new StateDict(tensors), Map.of());
    CliRun run =
        CliRun.ok(
            "predict",
            "--data",
            CliData.IMAGES,
            "--checkpoint",
            broken,
            "--out",
            out.resolve("l.npy"),
            "--json",
            "--quiet");
    assertThat(run.err()).startsWith("warning: ").contains("16 of 16").contains("not finite");
    assertThat(run.json().get("accuracy").asDouble()).isZero();
  }

  @Test
  void doctorSpeaksJson() {
    CliRun run = CliRun.of("doctor", "--json");
    assertThat(run.exitCode()).isIn(0, 3);
    assertThat(run.json().get("threads")).isNotNull();
  }

  @Test
  void aLimitBeyondTheSetUsesAllAndSaysSo() {
    CliRun run =
        CliRun.ok(
            "predict",
            "--data",
            CliData.IMAGES,
            "--limit",
            5000,
            "--checkpoint",
            CliData.MODEL,
            "--batch-size",
            1_000_000_000,
            "--out",
            out.resolve("l.npy"));
    assertThat(run.err()).contains("5000").contains("using 16");
    assertThat(Npy.read(out.resolve("l.npy")).shape()).containsExactly(16, 10);
  }

  @Test
  void theEmbeddedDataAreTheDefault() {
    CliRun run =
        CliRun.of(
            "predict", "--checkpoint", CliData.MODEL, "--limit", 20, "--out", out.resolve("l.npy"));
    assertThat(run.exitCode()).as("%s", run).isZero();
    assertThat(run.err()).contains("using 20");
  }

  @Test
  void helpShowsEveryDefaultOnce() {
    for (String command :
        List.of(
            "demo",
            "rank loir",
            "rank cdir",
            "ranking show",
            "ranking compare",
            "predict",
            "attack",
            "eval",
            "analyze",
            "study ablation",
            "study sweep",
            "study loss-surface",
            "study classes",
            "study keep",
            "compare",
            "corruptions",
            "train",
            "bench",
            "doctor")) {
      List<Object> line = new ArrayList<>(Arrays.asList((Object[]) command.split(" ")));
      line.add("--help");
      CliRun run = CliRun.ok(line.toArray());
      assertThat(run.err()).isEmpty();
      assertThat(run.out()).startsWith("Usage: igd " + command).contains("--json");
      for (String text : run.out().split("(?m)^\\s*(-\\w, )?--")) {
        assertThat(text.split("Default:", -1).length).as(text).isLessThanOrEqualTo(2);
        assertThat(text.strip()).as(command).doesNotEndWith("Default: null.").doesNotContain("${");
      }
      assertThat(run.out().lines()).allSatisfy(l -> assertThat(l.length()).isLessThanOrEqualTo(80));
    }
    assertThat(CliRun.ok("--help").out()).contains("predict").contains("eval").contains("doctor");
    assertThat(CliRun.ok("--version").out()).startsWith("igd ");
    assertThat(CliRun.ok("--help").out())
        .contains("Exit codes:")
        .contains("2   usage or bad input");
    assertThat(CliRun.ok("rank", "loir", "-V").out()).startsWith("igd ");
    assertThat(CliRun.ok("rank", "loir", "--help").out()).contains("embedded:train.");
    assertThat(CliRun.ok("eval", "--help").out()).contains("embedded:test.");
    assertThat(CliRun.ok("help", "attack").out()).startsWith("Usage: igd attack");
  }
}
