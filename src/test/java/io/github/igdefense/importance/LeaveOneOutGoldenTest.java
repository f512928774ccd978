package io.github.igdefense.importance;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.GoldenFiles;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Leave-one-out importances against the reference's on model A1. */
class LeaveOneOutGoldenTest {
  @TempDir Path folder;

  /** The 200 probe images, each pixel repeated 4×4. */
  private ImageSet probe(String labels) {
    Npz file = Npz.open(golden("loir_cifar.npz"));
    float[] small = file.get("x_small").asFloat();
    int n = 200;
    float[] x = new float[n * 3 * 32 * 32];
    for (int plane = 0; plane < n * 3; plane++) {
      for (int y = 0; y < 32; y++) {
        for (int z = 0; z < 32; z++) {
          x[(plane * 32 + y) * 32 + z] = small[(plane * 8 + y / 4) * 8 + z / 4];
        }
      }
    }
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("x", NpyArray.of(x, n, 3, 32, 32));
    arrays.put("y", file.get(labels));
    Path set = folder.resolve(labels + ".npz");
    Npz.write(set, arrays);
    return ImageSets.open("npz:" + set);
  }

  private static void assertClose(double[] actual, double[] expected, double tolerance) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).as("entry %d", i).isCloseTo(expected[i], within(tolerance));
    }
  }

  private Ranking rank(
      Dtype dtype, String layer, String labels, Normalization normalization, int batchSize) {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), dtype)) {
      return new LeaveOneOut(network, network.layer(layer), normalization, false, batchSize)
          .rank(probe(labels), done -> {});
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"layer1", "layer2", "layer3", "layer4"})
  void everyLayerEqualsTheReference(String layer) {
    double[] expected =
        Npz.open(golden("loir_cifar.npz")).get("a1_" + layer + "_importance").asDouble();
    Ranking ranking = rank(Dtype.FLOAT64, layer, "y", Normalization.CLASS_MEAN, 64);
    assertClose(ranking.toArray(), expected, 1e-9);
    assertThat(ranking.provenance().method()).isEqualTo("loir");
    assertThat(ranking.provenance().images()).isEqualTo(200);
    assertThat(ranking.provenance().classCounts()).hasSize(10).containsOnly(20);
    assertThat(ranking.provenance().modelSha256()).hasSize(64);
  }

  @ParameterizedTest
  @CsvSource({
    "wrn-10-1,a2,block2",
    "wrn-10-1,a2,block3",
    "imagenet-rn50,a3,layer3",
    "imagenet-rn50,a3,layer4"
  })
  void otherArchitecturesEqualTheReference(String architecture, String model, String layer) {
    String file = model.equals("a3") ? "loir_a3.npz" : "loir_cifar.npz";
    try (StagedNetwork network =
        Networks.open(
            architecture,
            golden(model + ".pt"),
            NetworkOptions.of(Dtype.FLOAT64).withInputNormalization("none"))) {
      Ranking ranking =
          new LeaveOneOut(network, network.layer(layer), Normalization.CLASS_MEAN, false, 40)
              .rank(model.equals("a3") ? probe64() : probe("y"), done -> {});
      assertClose(
          ranking.toArray(),
          Npz.open(golden(file)).get(model + "_" + layer + "_importance").asDouble(),
          1e-9);
      assertThat(ranking.provenance().architecture()).isEqualTo(architecture);
    }
  }

  /** The 40 probe images of the ImageNet networks, each pixel repeated 4×4. */
  private ImageSet probe64() {
    Npz file = Npz.open(golden("loir_a3.npz"));
    double[] x = GoldenFiles.upsample(file.get("x_small").asDouble(), 40 * 3, 16, 4);
    float[] pixels = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      pixels[i] = (float) x[i];
    }
    Path set = folder.resolve("probe64.npz");
    Npz.write(set, Map.of("x", NpyArray.of(pixels, 40, 3, 64, 64), "y", file.get("y")));
    return ImageSets.open("npz:" + set);
  }

  @ParameterizedTest
  @CsvSource({"CLASS_MEAN,a1_layer4_unbalanced_true_mean", "REFERENCE,a1_layer4_unbalanced_seed"})
  void unbalancedClassesFollowTheNormalisation(Normalization normalization, String expected) {
    assertClose(
        rank(Dtype.FLOAT64, "layer4", "y_unbalanced", normalization, 33).toArray(),
        Npz.open(golden("loir_cifar.npz")).get(expected).asDouble(),
        1e-9);
  }

  @Test
  void float32IsWithinItsRounding() {
    assertClose(
        rank(Dtype.FLOAT32, "layer4", "y", Normalization.CLASS_MEAN, 64).toArray(),
        Npz.open(golden("loir_cifar.npz")).get("a1_layer4_importance").asDouble(),
        1e-3);
  }

  @Test
  void theClosedFormIsTheAblation() {
    double[] closed = rank(Dtype.FLOAT64, "layer4", "y", Normalization.CLASS_MEAN, 50).toArray();
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64)) {
      Ranking signed =
          new LeaveOneOut(network, network.penultimate(), Normalization.CLASS_MEAN, true, 50)
              .rank(probe("y"), done -> {});
      // Activations after ReLU are not negative, so the sign is that of −W.
      double[] values = signed.toArray();
      for (int i = 0; i < values.length; i++) {
        assertThat(Math.abs(values[i])).isCloseTo(closed[i], within(1e-12));
      }
      assertThat(java.util.Arrays.stream(values).filter(v -> v < 0).count()).isPositive();
      assertThat(java.util.Arrays.stream(values).filter(v -> v > 0).count()).isPositive();
    }
  }

  @Test
  void theBatchSizeDoesNotMatter() {
    assertThat(rank(Dtype.FLOAT64, "layer4", "y", Normalization.CLASS_MEAN, 200).toArray())
        .satisfies(
            whole ->
                assertClose(
                    rank(Dtype.FLOAT64, "layer4", "y", Normalization.CLASS_MEAN, 7).toArray(),
                    whole,
                    1e-12));
  }

  @Test
  void aClassWithoutImagesIsNamed() {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32)) {
      int[] withoutClassSeven =
          java.util.stream.IntStream.range(0, 200).filter(i -> probeLabels()[i] != 7).toArray();
      ImageSet some = probe("y").select(withoutClassSeven);
      assertThatThrownBy(
              () ->
                  new LeaveOneOut(
                          network, network.penultimate(), Normalization.CLASS_MEAN, false, 64)
                      .rank(some, done -> {}))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("class 7");
    }
  }

  private static long[] probeLabels() {
    return Npz.open(golden("loir_cifar.npz")).get("y").asLong();
  }
}
