package io.github.igdefense.cli;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.model.CheckpointReader;
import io.github.igdefense.model.StateDict;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A network that only TorchScript knows goes the whole way: rank, predict, defend, attack. */
class TorchScriptCliTest {
  private static final int UNITS = 12;
  private static final int CLASSES = 5;
  private static final int KEEP = 4;
  private static final Npz EXPECTED = Npz.open(sample("small_expected.npz"));

  @TempDir Path directory;
  private String data;

  private static Path sample(String name) {
    return golden("../torchscript/" + name);
  }

  @BeforeEach
  void writeImages() {
    data = CliData.images(directory.resolve("images.npz"), EXPECTED.get("x"), EXPECTED.get("y"));
  }

  private CliRun run(String model, Object... command) {
    List<Object> all = new ArrayList<>(List.of(command));
    if (model.equals("one archive")) {
      all.addAll(List.of("--arch", "torchscript", "--checkpoint", sample("small.pt")));
    } else {
      all.addAll(List.of("--prefix", sample("small_prefix.pt")));
      all.addAll(List.of("--suffix", sample("small_suffix.pt")));
    }
    all.addAll(List.of("--input-size", "16", "--dtype", "float64", "--data", data));
    return CliRun.ok(all.toArray());
  }

  @ParameterizedTest
  @ValueSource(strings = {"one archive", "two archives"})
  void rankPredictDefendAttack(String model) {
    Path rankings = directory.resolve("rankings");
    run(model, "rank", "loir", "--out", rankings);
    String stem = model.equals("one archive") ? "small" : "small_prefix";
    Path file = rankings.resolve(stem).resolve("prefix.npz");
    Ranking ranking = RankingFiles.read(file, "prefix", UNITS, CLASSES);
    double[] drops = EXPECTED.get("leave_one_out").asDouble(); // [units, images, classes], y = 0..4
    double[] importance = new double[UNITS * CLASSES];
    for (int u = 0; u < UNITS; u++) {
      for (int c = 0; c < CLASSES; c++) {
        importance[u * CLASSES + c] = drops[(u * CLASSES + c) * CLASSES + c];
        assertThat(ranking.importance(u, c)).isCloseTo(importance[u * CLASSES + c], within(1e-12));
      }
    }

    Path plain = directory.resolve("plain.npy");
    run(model, "predict", "--out", plain);
    assertClose(Npy.read(plain).asDouble(), EXPECTED.get("logits").asDouble());

    Path defended = directory.resolve("defended.npy");
    Object[] defense = {"--ranking", file, "--keep", KEEP};
    run(model, join(new Object[] {"predict", "--out", defended}, defense));
    assertClose(Npy.read(defended).asDouble(), defended(importance));

    // Labels as the defended model gives them, so that there is something to break.
    long[] labels = new long[CLASSES];
    double[] logits = defended(importance);
    for (int n = 0; n < labels.length; n++) {
      for (int c = 1; c < CLASSES; c++) {
        boolean more = logits[n * CLASSES + c] > logits[n * CLASSES + (int) labels[n]];
        labels[n] = more ? c : labels[n];
      }
    }
    data =
        CliData.images(
            directory.resolve("labelled.npz"), EXPECTED.get("x"), NpyArray.of(labels, CLASSES));
    Path attacked = directory.resolve("attack");
    run(
        model,
        join(
            new Object[] {"attack", "--attack", "pgd", "--eps", "0.3", "--out", attacked},
            defense));
    Npz result = Npz.open(attacked.resolve("adversarial.npz"));
    double[] x = result.get("x").asDouble();
    double[] adversarial = result.get("x_adv").asDouble();
    double most = 0;
    for (int i = 0; i < x.length; i++) {
      most = Math.max(most, Math.abs(x[i] - adversarial[i]));
      assertThat(adversarial[i]).isBetween(0.0, 1.0);
    }
    assertThat(most).isPositive().isLessThanOrEqualTo(0.3 + 1e-12);
  }

  /** softmax(z/0.01)·M on the layer, by hand: the suffix is the linear layer on the means. */
  private static double[] defended(double[] importance) {
    StateDict state = CheckpointReader.read(sample("small_state.pt")).state();
    double[] weight = state.get("linear.weight").toDoubles();
    double[] bias = state.get("linear.bias").toDoubles();
    double[] activation = EXPECTED.get("activation").asDouble();
    double[] first = EXPECTED.get("logits").asDouble();
    int images = first.length / CLASSES;
    int plane = activation.length / images / UNITS;
    double[] logits = new double[first.length];
    for (int n = 0; n < images; n++) {
      double[] z = Arrays.copyOfRange(first, n * CLASSES, (n + 1) * CLASSES);
      double top = Arrays.stream(z).max().getAsDouble();
      double[] soft = Arrays.stream(z).map(v -> Math.exp((v - top) / 0.01)).toArray();
      double total = Arrays.stream(soft).sum();
      double[] mask = new double[UNITS];
      for (int c = 0; c < CLASSES; c++) {
        int label = c;
        int[] best =
            IntStream.range(0, UNITS)
                .boxed()
                .sorted(Comparator.comparingDouble(u -> -importance[u * CLASSES + label]))
                .limit(KEEP)
                .mapToInt(Integer::intValue)
                .toArray();
        for (int unit : best) {
          mask[unit] += soft[c] / total;
        }
      }
      for (int c = 0; c < CLASSES; c++) {
        logits[n * CLASSES + c] = bias[c];
        for (int u = 0; u < UNITS; u++) {
          int from = (n * UNITS + u) * plane;
          double mean = Arrays.stream(activation, from, from + plane).average().getAsDouble();
          logits[n * CLASSES + c] += weight[c * UNITS + u] * mask[u] * mean;
        }
      }
    }
    return logits;
  }

  private static void assertClose(double[] values, double[] expected) {
    assertThat(values).hasSameSizeAs(expected);
    for (int i = 0; i < values.length; i++) {
      assertThat(values[i]).isCloseTo(expected[i], within(1e-9));
    }
  }

  private static Object[] join(Object[] first, Object[] second) {
    List<Object> all = new ArrayList<>(List.of(first));
    all.addAll(List.of(second));
    return all.toArray();
  }

  @Test
  void contradictionsAreUsageErrors() {
    assertBad("both --prefix", "--prefix", sample("small_prefix.pt"));
    assertBad(
        "got both",
        "--prefix",
        sample("small_prefix.pt"),
        "--suffix",
        sample("small_suffix.pt"),
        "--checkpoint",
        sample("small.pt"));
    assertBad("got neither");
    assertBad("--arch torchscript only", "--checkpoint", sample("small.pt"), "--input-size", "16");
    assertBad("TorchScript archive", "--checkpoint", sample("small.pt"));
    assertBad("--input-size", "--arch", "torchscript", "--checkpoint", sample("flat.pt"));
    assertBad("state dict", "--arch", "torchscript", "--checkpoint", sample("small_state.pt"));
  }

  private void assertBad(String message, Object... options) {
    Path out = directory.resolve("never.npy");
    CliRun run = CliRun.of(join(new Object[] {"predict", "--data", data, "--out", out}, options));
    assertThat(run.exitCode()).as(run.err()).isEqualTo(2);
    assertThat(run.err()).contains(message).doesNotContain("internal error");
    assertThat(out).doesNotExist();
  }
}
