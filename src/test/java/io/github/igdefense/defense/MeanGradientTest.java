package io.github.igdefense.defense;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.attack.LogitLosses;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.model.Engine;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.model.StateDict;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Several draws with one pass of the clean images, against as many single gradients. */
class MeanGradientTest {
  private static final double TEMPERATURE = 2;

  private static StagedNetwork open(Dtype dtype) {
    StateDict state = Networks.checkpoint(Networks.EMBEDDED + "fashion-mnist").state();
    Engine engine = dtype == Dtype.FLOAT64 ? Engine.AUTO : Engine.NATIVE;
    return Networks.build("rn18", state, "same", NetworkOptions.of(dtype).withEngine(engine));
  }

  private static IgDefense defense(StagedNetwork network, String layer, int draws, Rng rng) {
    ClassMasks masks =
        ClassMasks.random(layer, network.classCount(), network.layer(layer).units(), 5, 11);
    Smoothing smoothing = new Smoothing(96 / 255.0, draws);
    return new IgDefense(network, masks, TEMPERATURE, smoothing, NoiseSource.fresh(rng));
  }

  private static Tensor images(Dtype dtype, int n) {
    try (Rng rng = new Rng(9)) {
      return Tensors.to(rng.uniform(Dtype.FLOAT32, n, 3, 32, 32), dtype);
    }
  }

  private static LogitLoss loss(int n) {
    long[] labels = new long[n];
    for (int i = 0; i < n; i++) {
      labels[i] = i % 10;
    }
    return LogitLosses.crossEntropy(Tensors.of(labels, n));
  }

  /** What the mean is of: the classifier asked again and again. */
  private static Tensor oneByOne(IgDefense defense, Tensor x, LogitLoss loss, int samples) {
    Tensor sum = Tensors.to(org.bytedeco.pytorch.global.torch.zeros_like(x), Dtype.FLOAT64);
    for (int s = 0; s < samples; s++) {
      sum.add_(defense.lossGradient(x, loss).gradient());
    }
    return sum.div_(Tensors.scalar(samples));
  }

  /** Norm of the difference over that of the expected. */
  static double distance(Tensor expected, Tensor found) {
    Tensor a = Tensors.to(expected, Dtype.FLOAT64);
    Tensor b = Tensors.to(found, Dtype.FLOAT64);
    return Math.sqrt(Tensors.sum(a.sub(b).square()) / Tensors.sum(a.square()));
  }

  /** Few images share passes of several draws, with a last one of fewer; many do not. */
  @ParameterizedTest
  @CsvSource({
    "FLOAT64, 3, 1, 7, 1e-12",
    "FLOAT64, 2, 3, 2, 1e-12",
    "FLOAT32, 1, 1, 20, 1e-5",
    "FLOAT32, 5, 3, 6, 1e-5",
    "FLOAT32, 40, 2, 3, 1e-5",
    "BFLOAT16, 5, 1, 4, 2e-2"
  })
  void isTheMeanOfSingleGradients(Dtype dtype, int n, int draws, int samples, double tolerance) {
    try (StagedNetwork network = open(dtype);
        Rng rng = new Rng(3);
        PointerScope scope = new PointerScope();
        IgDefense defense = defense(network, network.penultimate().name(), draws, rng)) {
      Tensor x = images(dtype, n);
      Tensor expected = oneByOne(defense, x, loss(n), samples);
      final double[] next = Tensors.toDoubles(rng.uniform(Dtype.FLOAT32, 4));

      rng.seed(3);
      LossGradient found = defense.meanLossGradient(x, loss(n), samples);

      assertThat(distance(expected, found.gradient())).isLessThan(tolerance);
      assertThat(Tensors.toDoubles(rng.uniform(Dtype.FLOAT32, 4)))
          .as("as many draws were taken")
          .isEqualTo(next);
      rng.seed(3);
      for (int s = 1; s < samples; s++) {
        defense.lossGradient(x, loss(n));
      }
      LossGradient last = defense.lossGradient(x, loss(n));
      // libtorch's product for the first logits may round otherwise in a larger batch.
      assertThat(distance(last.logits(), found.logits())).isLessThan(tolerance);
      assertThat(distance(last.loss(), found.loss())).isLessThan(tolerance);
      assertThat(distance(last.gradient(), found.gradient()))
          .as("one draw's gradient is not the mean")
          .isGreaterThan(tolerance);
      assertThat(Tensors.shape(found.gradient())).containsExactly(n, 3, 32, 32);
    }
  }

  @Test
  void oneEvaluationIsTheSingleGradientBitByBit() {
    try (StagedNetwork network = open(Dtype.FLOAT32);
        Rng rng = new Rng(3);
        PointerScope scope = new PointerScope();
        IgDefense defense = defense(network, network.penultimate().name(), 2, rng)) {
      Tensor x = images(Dtype.FLOAT32, 3);
      LossGradient expected = defense.lossGradient(x, loss(3));
      rng.seed(3);
      LossGradient found = defense.meanLossGradient(x, loss(3), 1);
      assertThat(Tensors.toDoubles(found.gradient()))
          .isEqualTo(Tensors.toDoubles(expected.gradient()));
      assertThatThrownBy(() -> defense.meanLossGradient(x, loss(3), 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("at least 1 evaluation, got 0");
    }
  }

  @Test
  void pseudoLabelsAtALowerPrecisionComeFromTheirNetwork() {
    try (StagedNetwork network = open(Dtype.FLOAT32);
        StagedNetwork high = network.withFloat32Precision(Float32Precision.HIGH);
        Rng rng = new Rng(3);
        PointerScope scope = new PointerScope();
        IgDefense plain = defense(network, network.penultimate().name(), 1, rng);
        IgDefense defense = plain.withPseudoLabels(high)) {
      Tensor x = images(Dtype.FLOAT32, 4);
      Tensor expected = oneByOne(defense, x, loss(4), 5);
      rng.seed(3);
      Tensor found = defense.meanLossGradient(x, loss(4), 5).gradient();
      assertThat(distance(expected, found)).isLessThan(1e-5);
    }
  }

  /** Where the kernel does not serve, every evaluation is a pass of its own. */
  @Test
  void anInnerLayerGivesTheSameMean() {
    try (StagedNetwork network = open(Dtype.FLOAT64);
        Rng rng = new Rng(3);
        PointerScope scope = new PointerScope();
        IgDefense defense = defense(network, network.layers().get(2).name(), 1, rng)) {
      Tensor x = images(Dtype.FLOAT64, 2);
      Tensor expected = oneByOne(defense, x, loss(2), 3);
      rng.seed(3);
      Tensor found = defense.meanLossGradient(x, loss(2), 3).gradient();
      assertThat(distance(expected, found)).isLessThan(1e-12);
    }
  }
}
