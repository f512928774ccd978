package io.github.igdefense.model;

import static io.github.igdefense.model.TorchScriptArchiveTest.sample;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.TorchScriptNetworks.Input;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Exported networks are networks: named layer, cut, types, gradients. */
class TorchScriptNetworksTest {
  private static final Npz EXPECTED = Npz.open(sample("small_expected.npz"));
  private static final Input SMALL = new Input(3, 16);

  private static StagedNetwork one(Dtype dtype) {
    return TorchScriptNetworks.open(sample("small.pt"), SMALL, dtype);
  }

  private static StagedNetwork two(Dtype dtype) {
    return TorchScriptNetworks.open(
        sample("small_prefix.pt"), sample("small_suffix.pt"), SMALL, dtype);
  }

  private static Tensor images(Dtype dtype) {
    return Tensors.to(Tensors.of(EXPECTED.get("x").asDouble(), EXPECTED.get("x").shape()), dtype);
  }

  private static double distance(Tensor tensor, String name) {
    double[] values = Tensors.toDoubles(tensor);
    double[] expected = EXPECTED.get(name).asDouble();
    assertThat(values.length).isEqualTo(expected.length);
    double most = 0;
    for (int i = 0; i < values.length; i++) {
      most = Math.max(most, Math.abs(values[i] - expected[i]));
    }
    return most;
  }

  @ParameterizedTest
  @EnumSource(Dtype.class)
  void oneArchiveAndTwoGiveTheValuesOfPython(Dtype dtype) {
    double bound = dtype == Dtype.FLOAT64 ? 1e-12 : dtype == Dtype.FLOAT32 ? 1e-5 : 0.1;
    try (PointerScope scope = new PointerScope();
        StagedNetwork one = one(dtype);
        StagedNetwork two = two(dtype)) {
      for (StagedNetwork network : new StagedNetwork[] {one, two}) {
        assertThat(network.classCount()).isEqualTo(5);
        assertThat(network.inputChannels()).isEqualTo(3);
        assertThat(network.imageSize()).isEqualTo(16);
        assertThat(network.dtype()).isEqualTo(dtype);
        MaskableLayer layer = network.penultimate();
        assertThat(layer).isEqualTo(new MaskableLayer("prefix", 12, 0, false));
        assertThat(network.layers()).containsExactly(network.layer("prefix"));
        Tensor x = images(dtype);
        Tensor activation = network.prefix(x, layer);
        assertThat(distance(activation, "activation")).isLessThan(bound);
        assertThat(distance(network.logits(x), "logits")).isLessThan(bound);
        assertThat(network.suffix(activation, layer).equal(network.forward(x))).isTrue();
        assertThat(network.opening(layer)).isEmpty();
        assertThatThrownBy(network::head).isInstanceOf(IllegalStateException.class);
      }
      assertThat(one.sha256()).isNotEqualTo(two.sha256()).hasSize(64);
    }
  }

  @Test
  void lossGradientIsPythons() {
    try (PointerScope scope = new PointerScope();
        StagedNetwork network = one(Dtype.FLOAT64)) {
      long[] y = EXPECTED.get("y").asLong();
      DifferentiableClassifier.LossGradient result =
          network.lossGradient(
              images(Dtype.FLOAT64),
              logits ->
                  torch
                      .log_softmax(logits, 1)
                      .gather(1, Tensors.of(y, y.length, 1))
                      .neg()
                      .squeeze(1));
      assertThat(distance(result.gradient(), "gradient")).isLessThan(1e-12);
    }
  }

  @Test
  void layersWithoutSpaceWork() {
    try (PointerScope scope = new PointerScope();
        StagedNetwork network =
            TorchScriptNetworks.open(sample("flat.pt"), new Input(1, 4), Dtype.FLOAT32)) {
      assertThat(network.penultimate().units()).isEqualTo(7);
      assertThat(network.classCount()).isEqualTo(3);
      Tensor x = torch.ones(2, 1, 4, 4);
      assertThat(Tensors.shape(network.prefix(x, network.penultimate())))
          .isEqualTo(new long[] {2, 7});
    }
  }

  /** The exported suffix begins with an in-place ReLU: a layer handed to it twice must stay. */
  @Test
  void exportedCodeThatWritesItsInputIsKeptFromDoingSo() {
    try (PointerScope scope = new PointerScope();
        StagedNetwork network =
            TorchScriptNetworks.open(sample("inplace.pt"), new Input(1, 4), Dtype.FLOAT32)) {
      MaskableLayer layer = network.penultimate();
      Tensor x =
          Tensors.of(new float[] {1, -1, 2, -2, 1, -1, 2, -2, 1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 4, 4);
      Tensor before = x.clone();
      Tensor activation = network.prefix(x, layer);
      assertThat(x.equal(before)).isTrue();
      Tensor saved = activation.clone();
      Tensor first = network.suffix(activation, layer);
      assertThat(activation.equal(saved)).isTrue();
      assertThat(network.suffix(activation, layer).equal(first)).isTrue();
      assertThat(network.forward(x).equal(first)).isTrue();
    }
  }

  @Test
  void whatDoesNotFitIsNamed() {
    assertThatThrownBy(
            () -> TorchScriptNetworks.open(sample("small_prefix.pt"), SMALL, Dtype.FLOAT32))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("[forward]")
        .hasMessageContaining("--suffix");
    assertThatThrownBy(
            () ->
                TorchScriptNetworks.open(
                    sample("small_suffix.pt"), sample("small_prefix.pt"), SMALL, Dtype.FLOAT32))
        .isInstanceOf(InputException.class);
    assertThatThrownBy(
            () -> TorchScriptNetworks.open(sample("flat.pt"), new Input(3, 4), Dtype.FLOAT32))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("[1, 3, 4, 4]");
    assertThatThrownBy(
            () ->
                TorchScriptNetworks.open(
                    sample("fixed_batch.pt"), sample("small_suffix.pt"), SMALL, Dtype.FLOAT32))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("fixed_batch.pt");
    try (PointerScope scope = new PointerScope();
        StagedNetwork network = one(Dtype.FLOAT32)) {
      assertThatThrownBy(() -> network.logits(torch.zeros(1, 3, 32, 32)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("16,16");
    }
  }

  @Test
  void inputSizesAreParsed() {
    assertThat(Input.parse("32")).isEqualTo(new Input(3, 32));
    assertThat(Input.parse("1x28x28")).isEqualTo(new Input(1, 28));
    assertThat(Input.parse("3,224,224")).isEqualTo(new Input(3, 224)).hasToString("3x224x224");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "x", "0", "-3", "3x32x16", "2x8x8", "32x32", "3x99999x99999", "1e3"})
  void otherInputSizesAreErrors(String text) {
    assertThatThrownBy(() -> Input.parse(text))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("'" + text + "'");
  }
}
