package io.github.igdefense.cli;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Npy;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.CheckpointReader;
import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.SafeTensors;
import io.github.igdefense.model.StateDict;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Another architecture on the command line: a wide ResNet (A2). */
class ArchitectureCliTest {
  private static final String WIDE = golden("a2.pt").toString();

  @TempDir Path folder;

  private static void close(double[] actual, double[] expected, double tolerance) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).as("value %d", i).isCloseTo(expected[i], within(tolerance));
    }
  }

  private CliRun predict(Path checkpoint, String... more) {
    List<Object> line = new ArrayList<>();
    line.addAll(List.of("predict", "--data", CliData.IMAGES, "--checkpoint", checkpoint));
    line.addAll(List.of("--dtype", "float64", "--out", folder.resolve("logits.npy")));
    line.addAll(List.of(more));
    return CliRun.ok(line.toArray());
  }

  private double[] logits() {
    return Npy.read(folder.resolve("logits.npy")).asDouble();
  }

  @ParameterizedTest
  @ValueSource(strings = {"wrn-10-1", "wrn", "auto", "wrn10_1"})
  void aWideResNetGivesTheReferencesLogits(String arch) {
    CliRun run = predict(Path.of(WIDE), "--arch", arch);
    close(logits(), Npz.open(golden("a2_forward.npz")).get("logits_f64").asDouble(), 1e-10);
    assertThat(run.err()).doesNotContain("warning");
  }

  @Test
  void itsRankingIsTheReferences() {
    CliRun.ok(
        "rank",
        "loir",
        "--arch",
        "wrn",
        "--checkpoint",
        WIDE,
        "--data",
        CliData.probe(folder.resolve("probe.npz"), "y"),
        "--dtype",
        "float64",
        "--out",
        folder.resolve("rankings"));
    double[] expected = Npz.open(golden("loir_cifar.npz")).get("a2_block3_importance").asDouble();
    for (int unit : new int[] {0, 17, 63}) {
      double[] row = Npy.read(folder.resolve("rankings/a2/block3/unit" + unit + ".npy")).asDouble();
      close(row, java.util.Arrays.copyOfRange(expected, unit * 10, unit * 10 + 10), 1e-6);
    }
  }

  /** What the published files carry besides: said once each, a warning even when quiet. */
  @Test
  void tensorsWithoutUseAreSaid() {
    List<HostTensor> tensors = new ArrayList<>();
    for (HostTensor tensor : CheckpointReader.read(Path.of(WIDE)).state()) {
      tensors.add(tensor);
      if (tensor.name().startsWith("block1.")) {
        tensors.add(tensor.withName("sub_" + tensor.name()));
      }
    }
    tensors.add(HostTensor.of("projector.weight", new float[4], 2, 2));
    Path file = folder.resolve("more.safetensors");
    SafeTensors.write(file, new StateDict(tensors), Map.of());
    CliRun run = predict(file, "--arch", "wrn");
    assertThat(run.err()).containsOnlyOnce("projector.weight").containsOnlyOnce("sub_block1.*");
    close(logits(), Npz.open(golden("a2_forward.npz")).get("logits_f64").asDouble(), 1e-10);
    CliRun quiet = predict(file, "--arch", "wrn", "--quiet");
    assertThat(quiet.err().lines().toList())
        .singleElement()
        .asString()
        .startsWith("warning: ")
        .contains("projector.weight");
  }

  @Test
  void aGivenNormalisationIsApplied() {
    predict(Path.of(WIDE), "--arch", "wrn", "--input-normalization", "0,1");
    double[] identity = logits();
    close(identity, Npz.open(golden("a2_forward.npz")).get("logits_f64").asDouble(), 1e-10);
    predict(Path.of(WIDE), "--arch", "wrn", "--input-normalization", "cifar10");
    assertThat(Math.abs(logits()[0] - identity[0])).isGreaterThan(1e-3);
  }
}
