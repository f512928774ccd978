package io.github.igdefense.model;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The CIFAR ResNet-18 against the reference's forward pass on model A1. */
class CifarResNetGoldenTest {
  private static final long[] IMAGES = {16, 3, 32, 32};

  private static Tensor images(Dtype dtype) {
    return Tensors.to(
        Tensors.of(Npz.open(golden("images32.npz")).get("x").asDouble(), IMAGES), dtype);
  }

  private static void assertClose(double[] actual, double[] expected, double tolerance) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).as("value %d", i).isCloseTo(expected[i], within(tolerance));
    }
  }

  @Test
  void float64LogitsAndStagesAreTheReferences() {
    Npz forward = Npz.open(golden("a1_forward.npz"));
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor x = images(Dtype.FLOAT64);
      assertClose(
          Tensors.toDoubles(network.logits(x)), forward.get("logits_f64").asDouble(), 1e-10);
      for (MaskableLayer layer : network.layers()) {
        Tensor activation = network.prefix(x, layer);
        assertClose(
            Tensors.toDoubles(network.pool(activation)),
            forward.get("pooled_" + layer.name() + "_f64").asDouble(),
            1e-10);
        String map = "map_" + layer.name() + "_img0_f32";
        if (forward.contains(map)) {
          assertClose(
              Tensors.toDoubles(activation.select(0, 0)), forward.get(map).asDouble(), 1e-5);
        }
      }
      assertClose(
          Tensors.toDoubles(network.pool(network.prefix(x, network.penultimate()))),
          forward.get("penultimate_f64").asDouble(),
          1e-10);
    }
  }

  @Test
  void float32LogitsAreWithinRounding() {
    Npz forward = Npz.open(golden("a1_forward.npz"));
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
        PointerScope scope = new PointerScope()) {
      assertClose(
          Tensors.toDoubles(network.logits(images(Dtype.FLOAT32))),
          forward.get("logits_f64").asDouble(),
          2e-4);
    }
  }

  @Test
  void bfloat16LogitsKeepThePredictionsOfClearImages() {
    double[] expected = Npz.open(golden("a1_forward.npz")).get("logits_f64").asDouble();
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.BFLOAT16);
        PointerScope scope = new PointerScope()) {
      double[] actual = Tensors.toDoubles(network.logits(images(Dtype.BFLOAT16)));
      double scale = 0;
      double worst = 0;
      for (int i = 0; i < actual.length; i++) {
        scale = Math.max(scale, Math.abs(expected[i]));
        worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
      }
      assertThat(worst / scale).isLessThan(0.05);
    }
  }

  @ParameterizedTest
  @EnumSource(Dtype.class)
  void prefixThenSuffixIsTheWholeToTheLastBit(Dtype dtype) {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), dtype);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor x = images(dtype);
      double[] whole = Tensors.toDoubles(network.logits(x));
      for (MaskableLayer layer : network.layers()) {
        assertThat(Tensors.toDoubles(network.suffix(network.prefix(x, layer), layer)))
            .as(layer.name())
            .isEqualTo(whole);
      }
    }
  }

  @Test
  void aBatchOfOneTakesTheSamePathAsAutograd() {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
        PointerScope scope = new PointerScope()) {
      Tensor x = images(Dtype.FLOAT32).narrow(0, 3, 1);
      double[] plain = Tensors.toDoubles(network.logits(x));
      try (AutoGradMode on = new AutoGradMode(true)) {
        assertClose(Tensors.toDoubles(network.forward(x)), plain, 1e-4);
      }
    }
  }

  @Test
  void inputGradientsEqualFiniteDifferences() {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
        PointerScope scope = new PointerScope()) {
      Tensor x = images(Dtype.FLOAT64).narrow(0, 0, 2);
      LogitLoss loss = logits -> logits.mul(logits).sum(1);
      DifferentiableClassifier.LossGradient result = network.lossGradient(x, loss);
      double[] gradient = Tensors.toDoubles(result.gradient());
      double step = 1e-6;
      for (int index : new int[] {0, 1000, 3071, 3072, 5000}) {
        double[] values = Tensors.toDoubles(x);
        values[index] += step;
        double up = Tensors.sum(loss.of(network.logits(Tensors.of(values, 2, 3, 32, 32))));
        values[index] -= 2 * step;
        double down = Tensors.sum(loss.of(network.logits(Tensors.of(values, 2, 3, 32, 32))));
        assertThat(gradient[index]).isCloseTo((up - down) / (2 * step), within(1e-4));
      }
      assertThat(Tensors.toDoubles(result.logits()))
          .isEqualTo(Tensors.toDoubles(network.logits(x)));
    }
  }

  @Test
  void anUnknownLayerListsTheLayers() {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32)) {
      assertThatThrownBy(() -> network.layer("layer5"))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("layer1 with 8 units")
          .hasMessageContaining("layer4 with 64 units")
          .hasMessageContaining("'layer5'");
    }
  }

  @Test
  void anOpenedSuffixEqualsTheSuffix() {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      for (MaskableLayer layer : network.layers()) {
        Tensor activation = network.prefix(images(Dtype.FLOAT64), layer);
        if (layer.penultimate()) {
          assertThat(network.opening(layer)).isEmpty();
          continue;
        }
        Opening opening = network.opening(layer).orElseThrow();
        Tensor entered = opening.entry() == null ? activation : opening.entry().apply(activation);
        Tensor hidden = opening.middle().apply(opening.first().apply(entered));
        Tensor residual =
            opening.shortcut() == null ? activation : opening.shortcut().apply(entered);
        assertThat(Tensors.toDoubles(opening.rest().apply(hidden, residual)))
            .containsExactly(Tensors.toDoubles(network.suffix(activation, layer)));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 16, 31, 64})
  void imagesOfAnotherSizeAreRefused(int size) {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
        PointerScope scope = new PointerScope()) {
      Tensor x = torch.zeros(1, 3, size, size);
      assertThatThrownBy(() -> network.logits(x))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("[N,3,32,32]");
    }
  }

  @Test
  void imagesOfAnotherTypeAreRefused() {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
        PointerScope scope = new PointerScope()) {
      assertThatThrownBy(() -> network.logits(images(Dtype.FLOAT32)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("float64");
    }
  }

  @Test
  void aCheckpointOfAnotherArchitectureNamesTheFirstTensorThatDiffers() {
    assertThatThrownBy(() -> Networks.open("rn34", golden("a1.pt"), Dtype.FLOAT32))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("layer1.2.conv1.weight");
  }

  @Test
  void aTensorOfAnotherShapeIsNamed() {
    NetworkDescription net = Networks.describe("rn18", 3, 4, 10);
    List<HostTensor> tensors = new ArrayList<>();
    for (HostTensor tensor : Networks.randomState(net, 0)) {
      tensors.add(
          tensor.name().equals("layer3.1.bn2.bias")
              ? HostTensor.of(tensor.name(), new float[3], 3)
              : tensor);
    }
    assertThatThrownBy(() -> Networks.describe("rn18", new StateDict(tensors)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("layer3.1.bn2.bias")
        .hasMessageContaining("[16]")
        .hasMessageContaining("[3]");
  }

  @Test
  void theFullWidthModelHasThePublishedSize() {
    NetworkDescription net = Networks.describe("rn18", 3, 10);
    assertThat(net.parameterCount()).isEqualTo(11_173_962);
    assertThat(net.macs()).isBetween(555_000_000L, 557_000_000L);
  }

  @Test
  void aClosedNetworkSaysSo() {
    StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
    network.close();
    network.close();
    try (PointerScope scope = new PointerScope()) {
      assertThatThrownBy(() -> network.logits(images(Dtype.FLOAT32)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed");
    }
  }
}
