package io.github.igdefense.model;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.GoldenFiles;
import io.github.igdefense.data.Npz;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Wide ResNet (A2) and ImageNet bottlenecks (A3, A3s) against the reference's forward passes. The
 * reference computed A3 and A3s on images as they are, without the normalisation that the family
 * brings.
 */
class ArchitectureGoldenTest {
  private static Tensor images(String model, Dtype dtype) {
    if (!model.startsWith("a3")) {
      double[] x = Npz.open(golden("images32.npz")).get("x").asDouble();
      return Tensors.to(Tensors.of(x, 16, 3, 32, 32), dtype);
    }
    Npz file = Npz.open(golden("images64.npz"));
    double[] x = GoldenFiles.upsample(file.get("x_small").asDouble(), 4 * 3, 32, 2);
    return Tensors.to(Tensors.of(x, 4, 3, 64, 64), dtype);
  }

  private static void assertClose(Tensor actual, double[] expected, double tolerance) {
    double[] found = Tensors.toDoubles(actual);
    assertThat(found).hasSameSizeAs(expected);
    for (int i = 0; i < found.length; i++) {
      assertThat(found[i]).as("value %d", i).isCloseTo(expected[i], within(tolerance));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "a2, wrn, wrn-10-1",
    "a2, wrn-10-1, wrn-10-1",
    "a2, auto, wrn-10-1",
    "a3, imagenet-rn50, imagenet-rn50",
    "a3, auto, imagenet-rn50",
    "a3s, imagenet-resnet, imagenet-resnet"
  })
  void float64LogitsAndStagesAreTheReferences(String model, String asked, String architecture) {
    Npz forward = Npz.open(golden(model + "_forward.npz"));
    try (StagedNetwork network =
            Networks.open(
                asked,
                golden(model + ".pt"),
                NetworkOptions.of(Dtype.FLOAT64).withInputNormalization("none"));
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      assertThat(network.architecture()).isEqualTo(architecture);
      Tensor x = images(model, Dtype.FLOAT64);
      assertClose(network.logits(x), forward.get("logits_f64").asDouble(), 1e-10);
      assertClose(
          network.pool(network.prefix(x, network.penultimate())),
          forward.get("penultimate_f64").asDouble(),
          1e-10);
      int stages = 0;
      for (String name : forward.names()) {
        if (name.startsWith("pooled_")) {
          String stage = name.substring("pooled_".length(), name.length() - "_f64".length());
          Tensor output =
              network.stageOutput(x, stage.equals("block3") ? stage + StagedNetwork.RAW : stage);
          assertClose(network.pool(output), forward.get(name).asDouble(), 1e-10);
          String map = "map_" + stage + "_img0_f32";
          if (forward.contains(map)) {
            assertClose(output.select(0, 0), forward.get(map).asDouble(), 1e-5);
          }
          stages++;
        }
      }
      assertThat(stages).isGreaterThanOrEqualTo(3);
      assertThat(network.layers()).hasSize(stages);
    }
  }

  @ParameterizedTest
  @CsvSource({"a2, 2e-4", "a3, 1e-5", "a3s, 1e-5"})
  void float32LogitsAreWithinRounding(String model, double tolerance) {
    Npz forward = Npz.open(golden(model + "_forward.npz"));
    try (StagedNetwork network =
            Networks.open(
                "auto",
                golden(model + ".pt"),
                NetworkOptions.of(Dtype.FLOAT32).withInputNormalization("none"));
        PointerScope scope = new PointerScope()) {
      assertClose(
          network.logits(images(model, Dtype.FLOAT32)),
          forward.get("logits_f64").asDouble(),
          tolerance);
    }
  }
}
