package io.github.igdefense.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.CompiledNet;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code --float32-precision} and {@code --pseudo-label-precision} as commands see them. Where the
 * machine has no tile unit, libtorch computes at highest, which has to be said.
 */
class PrecisionCliTest {
  private static final boolean TILES = CompiledNet.accelerated();

  @TempDir Path folder;
  private Path rankings;

  @BeforeEach
  void write() throws Exception {
    rankings = folder.resolve("rankings");
    CliData.unitFiles(rankings, "layer4");
  }

  private static Object[] line(String command, Object... more) {
    List<Object> line = new ArrayList<>(List.of(command, "--checkpoint", CliData.MODEL));
    line.addAll(List.of("--data", CliData.IMAGES));
    line.addAll(Arrays.asList(more));
    return line.toArray();
  }

  @Test
  void predictComputesInItAndSaysWhereItCannot() {
    Path highest = folder.resolve("highest.npy");
    Path high = folder.resolve("high.npy");
    CliRun.ok(line("predict", "--out", highest));
    CliRun run = CliRun.ok(line("predict", "--float32-precision", "high", "--json", "--out", high));
    assertThat(run.json().get("arithmetic").asText())
        .isEqualTo(TILES ? "float32 (high)" : "float32");
    float[] fine = Npy.read(highest).asFloat();
    float[] coarse = Npy.read(high).asFloat();
    assertThat(coarse).usingComparatorWithPrecision(2e-3f).containsExactly(fine);
    if (TILES) {
      assertThat(coarse).isNotEqualTo(fine);
      assertThat(run.err()).doesNotContain("libtorch computes");
    } else {
      assertThat(coarse).isEqualTo(fine);
      assertThat(run.err()).contains("--float32-precision high: libtorch computes");
    }
  }

  @Test
  void resultsNameIt() throws Exception {
    Path out = folder.resolve("out");
    CliRun.ok(line("eval", "--attack", "fgsm", "--float32-precision", "high", "--out", out));
    JsonNode provenance = CliRun.json(out.resolve("result.json")).get("provenance");
    assertThat(provenance.get("dtype").asText()).isEqualTo("float32");
    assertThat(provenance.get("float32_precision").asText()).isEqualTo(TILES ? "high" : "highest");
    assertThat(provenance.get("engine").asText())
        .contains(TILES ? "three bfloat16 products" : "highest precision");
    if (TILES) {
      assertThat(Files.readString(out.resolve("report.html"))).contains("precision high");
    }
  }

  /** On images that the two precisions classify differently, all with the labels of highest. */
  @Test
  void whatAttacksLeaveIsJudgedAtHighest() throws Exception {
    String data = between();
    Path logits = folder.resolve("l.npy");
    Object[] common = {"--checkpoint", CliData.MODEL, "--data", data};
    Object[] predict = with(new Object[] {"predict"}, with(common, "--out", logits, "--json"));
    Object[] high = {"--float32-precision", "high"};
    assertThat(CliRun.ok(predict).json().get("accuracy").asDouble()).isEqualTo(1);
    assertThat(CliRun.ok(with(predict, high)).json().get("accuracy").asDouble())
        .isEqualTo(TILES ? 0 : 1);

    for (boolean defended : new boolean[] {false, true}) {
      Object[] defense = defended ? new Object[] {"--ranking", rankings} : new Object[0];
      Path out = folder.resolve("eval" + defended);
      Object[] eval = {"eval", "--attack", "fgsm", "--eps", "1e-7", "--save-adversarial"};
      CliRun.ok(with(eval, with(common, with(high, with(defense, "--out", out)))));
      JsonNode json = CliRun.json(out.resolve("result.json"));
      JsonNode base = json.get("classifiers").get(0);
      assertThat(base.get("clean").asDouble()).isEqualTo(1);
      Npz points = Npz.open(out.resolve("adversarial/base-fgsm.npz"));
      String attacked =
          CliData.images(folder.resolve("attacked.npz"), points.get("x_adv"), points.get("y"));
      double judged =
          CliRun.ok(
                  "predict",
                  "--checkpoint",
                  CliData.MODEL,
                  "--data",
                  attacked,
                  "--out",
                  logits,
                  "--json")
              .json()
              .get("accuracy")
              .asDouble();
      assertThat(base.get("attacks").get("fgsm").asDouble()).isEqualTo(judged);
    }
    Path out = folder.resolve("attack");
    CliRun attack =
        CliRun.ok(
            with(new Object[] {"attack", "--attack", "fgsm", "--out", out}, with(common, high)));
    assertThat(attack.out()).contains("clean 100.00 %");
    CliRun compare =
        CliRun.ok(
            with(
                new Object[] {"compare", "--with", "random", "--attack", "fgsm"},
                with(common, with(high, "--out", folder.resolve("compare"), "--json"))));
    assertThat(compare.json().get("classifiers").get(0).get("clean").asDouble()).isEqualTo(1);
  }

  /**
   * Points on lines between two images, where the classes of highest and high change places, with
   * the class at highest. Where both are the same, points beside that place.
   */
  private String between() {
    float[] x = Npz.open(Path.of(CliData.IMAGES.substring(4))).get("x").asFloat();
    List<float[]> found = new ArrayList<>();
    List<Long> labels = new ArrayList<>();
    try (StagedNetwork highest = Networks.open("rn18", CliData.MODEL, Dtype.FLOAT32);
        StagedNetwork high = highest.withFloat32Precision(Float32Precision.HIGH)) {
      for (int i = 0; i < 15; i++) {
        if (label(highest, x, i, i + 1, 0) == label(highest, x, i, i + 1, 1)) {
          continue;
        }
        double at = turn(highest, x, i);
        double other = turn(high, x, i);
        // libtorch may compute another batch in another order (the head, at least): not on the
        // border itself.
        double middle = TILES ? (at + other) / 2 : at + 1e-3;
        long expected = label(highest, x, i, i + 1, middle);
        boolean apart = Math.abs(at - other) > LEAST_DISTANCE;
        if (!TILES || apart && expected != label(high, x, i, i + 1, middle)) {
          found.add(mix(x, i, i + 1, middle));
          labels.add(expected);
        }
      }
    }
    assertThat(found).hasSizeGreaterThanOrEqualTo(2);
    float[] all = new float[found.size() * CliData.VALUES];
    for (int i = 0; i < found.size(); i++) {
      System.arraycopy(found.get(i), 0, all, i * CliData.VALUES, CliData.VALUES);
    }
    return CliData.images(
        folder.resolve("between.npz"),
        NpyArray.of(all, found.size(), 3, 32, 32),
        NpyArray.of(labels.stream().mapToLong(Long::longValue).toArray(), labels.size()));
  }

  private static final double LEAST_DISTANCE = 1e-6;

  /** Where the class first changes between images i and i + 1, by bisection. */
  private static double turn(StagedNetwork network, float[] x, int i) {
    long first = label(network, x, i, i + 1, 0);
    double low = 0;
    double up = 1;
    for (int step = 0; step < 30; step++) {
      double middle = (low + up) / 2;
      if (label(network, x, i, i + 1, middle) == first) {
        low = middle;
      } else {
        up = middle;
      }
    }
    return up;
  }

  private static float[] mix(float[] x, int i, int j, double t) {
    float[] mixed = new float[CliData.VALUES];
    for (int v = 0; v < mixed.length; v++) {
      mixed[v] = (float) ((1 - t) * x[i * CliData.VALUES + v] + t * x[j * CliData.VALUES + v]);
    }
    return mixed;
  }

  private static long label(StagedNetwork network, float[] x, int i, int j, double t) {
    try (PointerScope scope = new PointerScope()) {
      double[] logits =
          Tensors.toDoubles(network.logits(Tensors.of(mix(x, i, j, t), 1, 3, 32, 32)));
      int best = 0;
      for (int c = 1; c < logits.length; c++) {
        best = logits[c] > logits[best] ? c : best;
      }
      return best;
    }
  }

  /** The base's images of one precision are not found by a run of the other. */
  @Test
  void keptResultsOfTheOtherPrecisionAreNotTaken() throws Exception {
    Path cache = folder.resolve("cache");
    Path state = folder.resolve("state");
    Object[] common = {"--attack", "fgsm", "--cache", cache, "--evaluations", 1, "--keep", 8};
    Object[] defended = with(common, "--ranking", rankings);
    CliRun.ok(line("eval", with(defended, "--out", folder.resolve("a"), "--state", state)));
    assertThat(folders(cache)).hasSize(1);
    Object[] high = with(defended, "--float32-precision", "high", "--out", folder.resolve("b"));
    CliRun.ok(line("eval", high));
    assertThat(folders(cache)).hasSize(TILES ? 2 : 1);
    assertThat(folders(cache)).hasSize(TILES ? 2 : 1);
    CliRun resumed = CliRun.of(line("eval", with(high, "--state", state, "--resume")));
    if (TILES) {
      assertThat(resumed.exitCode()).isEqualTo(2);
      assertThat(resumed.err()).contains("expected dtype float32 (high), got float32");
    } else {
      assertThat(resumed.exitCode()).isZero();
    }
    Path pseudo = folder.resolve("pseudo");
    Object[] smoothed = with(defended, "--smoothing-sigma", "4/255", "--out", folder.resolve("c"));
    CliRun.ok(line("eval", with(smoothed, "--state", pseudo)));
    CliRun other =
        CliRun.of(
            line(
                "eval",
                with(smoothed, "--state", pseudo, "--resume", "--pseudo-label-precision", "high")));
    assertThat(other.exitCode()).as("%s", other).isEqualTo(TILES ? 2 : 0);
    if (TILES) {
      assertThat(other.err()).contains("pseudo-labels=float32 (high)");
    }
  }

  @Test
  void pseudoLabelsAreComparedAndReported() throws Exception {
    Object[] defended = {
      "--ranking",
      rankings,
      "--keep",
      8,
      "--smoothing-sigma",
      "4/255",
      "--pseudo-label-precision",
      "high"
    };
    CliRun predict =
        CliRun.ok(line("predict", with(defended, "--out", folder.resolve("l.npy"), "--json")));
    Path out = folder.resolve("eval");
    CliRun eval =
        CliRun.ok(
            line("eval", with(defended, "--attack", "fgsm", "--evaluations", 1, "--out", out)));
    Path attack = folder.resolve("attack");
    CliRun.ok(line("attack", with(defended, "--attack", "fgsm", "--out", attack)));
    if (!TILES) {
      assertThat(predict.err()).contains("--pseudo-label-precision high: libtorch computes");
      assertThat(predict.json().has("pseudo_label_agreement")).isFalse();
      return;
    }
    String sentence = "float32 (high) gives the pseudo-label of float32";
    assertThat(predict.err()).contains(sentence, "16 noisy");
    assertThat(predict.json().path("pseudo_label_dtype").asText()).isEqualTo("float32 (high)");
    assertThat(predict.json().path("pseudo_label_agreement").asDouble()).isBetween(0.9, 1.0);
    assertThat(predict.json().path("classifier").asText())
        .contains("pseudo-labels in float32 (high)");
    assertThat(eval.err()).contains(sentence);
    for (Path result : List.of(out, attack)) {
      assertThat(Files.readString(result.resolve("result.json")))
          .contains(sentence, "pseudo-label agreement");
    }
    JsonNode provenance = CliRun.json(out.resolve("result.json")).get("provenance");
    assertThat(provenance.get("float32_precision").asText()).isEqualTo("highest");
  }

  @Test
  void aRankingRemembersItsPrecision() {
    CliRun run =
        CliRun.ok(
            "rank",
            "loir",
            "--checkpoint",
            CliData.MODEL,
            "--data",
            CliData.probe(folder.resolve("probe.npz"), "y"),
            "--float32-precision",
            "high",
            "--out",
            folder.resolve("ranked"),
            "--json");
    JsonNode provenance = run.json().findValue("provenance");
    assertThat(provenance.get("dtype").asText()).isEqualTo(TILES ? "float32 (high)" : "float32");
    if (TILES) {
      assertThat(provenance.at("/parameters/agreement/with").asText()).isEqualTo("float32");
      assertThat(provenance.at("/parameters/agreement/overlap").asDouble()).isGreaterThan(0.9);
    }
  }

  private static Object[] with(Object[] options, Object... more) {
    return Stream.concat(Stream.of(options), Stream.of(more)).toArray();
  }

  private static List<Path> folders(Path cache) throws Exception {
    try (Stream<Path> all = Files.list(cache)) {
      return all.toList();
    }
  }
}
