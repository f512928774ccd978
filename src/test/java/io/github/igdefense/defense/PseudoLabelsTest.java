package io.github.igdefense.defense;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.attack.LogitLosses;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.model.Engine;
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

/** The smoothed pass in bfloat16, or float32 at precision high, beside a float32 one. */
class PseudoLabelsTest {
  private static final Smoothing SMOOTHING = new Smoothing(4 / 255.0, 2);
  private static final int N = 14;

  private static StagedNetwork shipped(Dtype dtype) {
    return Networks.open("rn18", Networks.EMBEDDED + "fashion-mnist", dtype);
  }

  private static IgDefense defense(StagedNetwork network, String layer, double temperature) {
    ClassMasks masks =
        ClassMasks.random(layer, network.classCount(), network.layer(layer).units(), 5, 11);
    return IgDefense.withFixedNoise(network, masks, temperature, SMOOTHING, 5);
  }

  private static Tensor images(StagedNetwork network, int n) {
    try (Rng rng = new Rng(9)) {
      return rng.uniform(
          Dtype.FLOAT32, n, network.inputChannels(), network.imageSize(), network.imageSize());
    }
  }

  @Test
  void bfloat16GivesNearlyAllPseudoLabelsOfFloat32OnRealImages() {
    try (StagedNetwork network = shipped(Dtype.FLOAT32);
        StagedNetwork half = shipped(Dtype.BFLOAT16);
        ImageSet images = ImageSets.open("embedded:test").limit(200)) {
      PseudoLabels found = PseudoLabels.compare(network, half, images, 64, SMOOTHING, 1);

      assertThat(found.images()).isEqualTo(200);
      assertThat(found.agreement()).isGreaterThan(0.97);
      assertThat(found.largestDifference()).isPositive().isLessThan(0.05);
      assertThat(found.toString()).contains("bfloat16").contains("of 200 noisy images");
      assertThat(PseudoLabels.compare(network, half, images, 33, SMOOTHING, 1).agreement())
          .as("the noise does not depend on the batch")
          .isEqualTo(found.agreement());
    }
  }

  /** The mask's temperature is high, so that soft weights follow z smoothly. */
  @ParameterizedTest
  @CsvSource({"true", "false"})
  void logitsAndGradientsAreNearThoseOfFloat32(boolean penultimate) {
    try (StagedNetwork network = shipped(Dtype.FLOAT32);
        StagedNetwork half = shipped(Dtype.BFLOAT16);
        PointerScope scope = new PointerScope()) {
      String layer =
          penultimate
              ? network.penultimate().name()
              : network.layers().get(network.layers().size() - 2).name();
      try (IgDefense reference = defense(network, layer, 5);
          IgDefense judged = reference.withPseudoLabels(half)) {
        assertThat(judged.pseudoLabelDtype()).isEqualTo(Dtype.BFLOAT16);
        assertThat(judged.name()).contains("pseudo-labels in bfloat16");
        assertThat(reference.name()).doesNotContain("bfloat16");
        Tensor x = images(network, N);
        assertThat(distance(reference.logits(x), judged.logits(x))).isPositive().isLessThan(0.02);

        Tensor labels = reference.logits(x).argmax(new org.bytedeco.pytorch.LongOptional(1), false);
        LossGradient expected = reference.lossGradient(x, LogitLosses.crossEntropy(labels));
        LossGradient found = judged.lossGradient(x, LogitLosses.crossEntropy(labels));
        assertThat(distance(expected.logits(), found.logits())).isLessThan(0.02);
        assertThat(found.gradient().scalar_type().intern()).isEqualTo(Dtype.FLOAT32.scalarType());
        assertThat(distance(expected.gradient(), found.gradient())).isPositive().isLessThan(0.1);
        try (ForwardPass pass = judged.record(x)) {
          assertThat(distance(found.logits(), pass.logits())).isLessThan(1e-4);
          Tensor weights = pass.logits().mul(Tensors.scalar(0.5));
          Tensor once = pass.gradient(weights);
          assertThat(distance(once, pass.gradient(weights))).as("asked twice").isZero();
        }
      }
    }
  }

  /** The noisy pass is really in the gradient: with uniform soft weights it would not matter. */
  @Test
  void gradientsFlowThroughThePseudoLabels() {
    try (StagedNetwork network = shipped(Dtype.FLOAT32);
        StagedNetwork half = shipped(Dtype.BFLOAT16);
        PointerScope scope = new PointerScope();
        IgDefense plain = defense(network, network.penultimate().name(), 0.5);
        IgDefense judged = plain.withPseudoLabels(half)) {
      Tensor x = images(network, 2);
      try (Rng rng = new Rng(21)) {
        Tensor step = rng.normal(Dtype.FLOAT32, Tensors.shape(x));
        Tensor labels = Tensors.of(new long[] {1, 2}, 2);
        Tensor gradient = judged.lossGradient(x, LogitLosses.crossEntropy(labels)).gradient();
        double slope = Tensors.sum(gradient.mul(step));
        // Differences of the float32 defense: bfloat16's steps are too coarse for them.
        double h = 1e-3;
        double up = loss(plain, x.add(step.mul(Tensors.scalar(h))), labels);
        double down = loss(plain, x.sub(step.mul(Tensors.scalar(h))), labels);
        double expected = (up - down) / (2 * h);
        assertThat(slope).isCloseTo(expected, within(0.1 * Math.abs(expected) + 0.02));
      }
    }
  }

  private static double loss(IgDefense defense, Tensor x, Tensor labels) {
    return Tensors.sum(LogitLosses.crossEntropy(labels).of(defense.logits(x)));
  }

  /** Built upon the native engine on any machine. */
  @ParameterizedTest
  @CsvSource({"true", "false"})
  void precisionHighIsNearerThanBfloat16(boolean penultimate) {
    StateDict state = Networks.checkpoint(Networks.EMBEDDED + "fashion-mnist").state();
    try (StagedNetwork network =
            Networks.build(
                "rn18", state, "same", NetworkOptions.of(Dtype.FLOAT32).withEngine(Engine.NATIVE));
        StagedNetwork high = network.withFloat32Precision(Float32Precision.HIGH);
        StagedNetwork half =
            Networks.build(
                "rn18",
                state,
                "same",
                NetworkOptions.of(Dtype.BFLOAT16).withEngine(Engine.NATIVE));
        ImageSet images = ImageSets.open("embedded:test").limit(100);
        PointerScope scope = new PointerScope()) {
      PseudoLabels found = PseudoLabels.compare(network, high, images, 64, SMOOTHING, 1);
      PseudoLabels coarse = PseudoLabels.compare(network, half, images, 64, SMOOTHING, 1);
      assertThat(found.agreement()).isGreaterThanOrEqualTo(0.99);
      assertThat(found.largestDifference())
          .isPositive()
          .isLessThan(1e-3)
          .isLessThan(coarse.largestDifference() / 20);
      assertThat(found.toString()).startsWith("float32 (high) gives the pseudo-label of float32 ");

      String layer = network.layers().get(network.layers().size() - (penultimate ? 1 : 2)).name();
      try (IgDefense reference = defense(network, layer, 5);
          IgDefense judged = reference.withPseudoLabels(high)) {
        assertThat(judged.name()).contains("pseudo-labels in float32 (high)");
        assertThat(judged.dtype()).isEqualTo(Dtype.FLOAT32);
        Tensor x = images(network, N);
        assertThat(distance(reference.logits(x), judged.logits(x))).isPositive().isLessThan(1e-4);
        Tensor labels = reference.logits(x).argmax(new org.bytedeco.pytorch.LongOptional(1), false);
        LossGradient expected = reference.lossGradient(x, LogitLosses.crossEntropy(labels));
        LossGradient gradient = judged.lossGradient(x, LogitLosses.crossEntropy(labels));
        double difference = distance(expected.gradient(), gradient.gradient());
        // A ReLU whose input is nearly zero may open or close.
        assertThat(difference).isLessThan(1e-2);
        // Inside the network gradients are libtorch's, at highest.
        assertThat(difference > 0).isEqualTo(penultimate);
        assertThatThrownBy(() -> judged.withPseudoLabels(network))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("float32 and float32");
      }
      try (IgDefense atHigh = defense(high, layer, 5);
          IgDefense mixed = atHigh.withPseudoLabels(half)) {
        assertThat(mixed.name()).contains("pseudo-labels in bfloat16");
        assertThatThrownBy(() -> atHigh.withPseudoLabels(network))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("float32 (high) and float32");
      }
    }
  }

  @Test
  void whatCannotWorkIsRefused() {
    try (StagedNetwork network = shipped(Dtype.FLOAT32);
        StagedNetwork half = shipped(Dtype.BFLOAT16);
        StagedNetwork wide = shipped(Dtype.FLOAT64);
        StagedNetwork other = Networks.random("rn18", 1, 8, 10, 1, Dtype.BFLOAT16);
        IgDefense smoothed = defense(network, network.penultimate().name(), 1);
        IgDefense plain = new IgDefense(network, smoothed.masks(), 1, Smoothing.NONE, null);
        IgDefense inDouble = defense(wide, wide.penultimate().name(), 1)) {
      assertThatThrownBy(() -> plain.withPseudoLabels(half))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("without noise");
      assertThatThrownBy(() -> smoothed.withPseudoLabels(network))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("float32 and float32");
      assertThatThrownBy(() -> inDouble.withPseudoLabels(half))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("float64 and bfloat16");
      assertThatThrownBy(() -> smoothed.withPseudoLabels(other))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("one model");
    }
  }

  /** ‖a − b‖ / ‖a‖. */
  private static double distance(Tensor a, Tensor b) {
    double[] x = Tensors.toDoubles(a);
    double[] y = Tensors.toDoubles(b);
    assertThat(y).hasSameSizeAs(x);
    double difference = 0;
    double size = 0;
    for (int i = 0; i < x.length; i++) {
      difference += (x[i] - y[i]) * (x[i] - y[i]);
      size += x[i] * x[i];
    }
    return Math.sqrt(difference / size);
  }
}
