package io.github.igdefense.defense;

import static io.github.igdefense.defense.MeanGradientTest.distance;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.attack.LogitLosses;
import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.model.Engine;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Gradients through the noise, against autograd through every noisy image in float64. */
class SmoothedClassifierTest {
  private static final double SIGMA = 0.2;
  private static final int IMAGES = 4;

  private static StagedNetwork open(Dtype dtype, Engine engine) {
    return Networks.build(
        "rn18",
        Networks.checkpoint(Networks.EMBEDDED + "fashion-mnist").state(),
        "same",
        NetworkOptions.of(dtype).withEngine(engine));
  }

  private static LogitLoss loss() {
    return LogitLosses.crossEntropy(Tensors.of(new long[] {3, 1, 4, 1}, IMAGES));
  }

  /** The mean over draws written out, image by image and draw by draw. */
  private static Tensor mean(StagedNetwork network, Tensor x, Tensor draws, int samples) {
    Tensor sum = null;
    for (int s = 0; s < samples; s++) {
      Tensor draw = draws.view(IMAGES, samples, 3, 32, 32).select(1, s);
      Tensor logits = network.forward(x.add(draw.mul(Tensors.scalar(SIGMA))));
      sum = sum == null ? logits : sum.add(logits);
    }
    return sum.div(Tensors.scalar(samples));
  }

  @ParameterizedTest
  @CsvSource({
    "FLOAT64, LIBTORCH, 1, 1e-12",
    "FLOAT64, LIBTORCH, 3, 1e-12",
    "FLOAT32, LIBTORCH, 3, 1e-4",
    "FLOAT32, NATIVE, 1, 1e-4",
    "FLOAT32, NATIVE, 3, 1e-4",
    "BFLOAT16, NATIVE, 3, 0.15"
  })
  void gradientsAreThoseOfTheMeanOverDraws(
      Dtype dtype, Engine engine, int samples, double tolerance) {
    try (StagedNetwork exact = open(Dtype.FLOAT64, Engine.LIBTORCH);
        StagedNetwork network = open(dtype, engine);
        Rng rng = new Rng(7);
        PointerScope scope = new PointerScope()) {
      Tensor x = Tensors.to(rng.uniform(Dtype.FLOAT32, IMAGES, 3, 32, 32), dtype);
      rng.seed(8);
      SmoothedClassifier smoothed =
          new SmoothedClassifier(network, new Smoothing(SIGMA, samples), NoiseSource.fresh(rng));
      LossGradient found = smoothed.lossGradient(x, loss());

      rng.seed(8);
      Tensor draws = Tensors.to(NoiseSource.fresh(rng).drawFor(x, samples, dtype), Dtype.FLOAT64);
      LossGradient expected =
          Gradients.of(
              Tensors.to(x, Dtype.FLOAT64), leaf -> mean(exact, leaf, draws, samples), loss());
      assertThat(distance(expected.logits(), found.logits())).isLessThan(tolerance);
      assertThat(distance(expected.loss(), found.loss())).isLessThan(tolerance);
      assertThat(distance(expected.gradient(), found.gradient())).isLessThan(tolerance);

      rng.seed(8);
      try (ForwardPass pass = smoothed.record(x)) {
        Tensor weights = torch.ones_like(pass.logits());
        Tensor first = pass.gradient(weights);
        Tensor twice = pass.gradient(weights.mul(Tensors.scalar(2.0)));
        assertThat(distance(first.mul(Tensors.scalar(2.0)), twice))
            .as("a pass gives several gradients")
            .isLessThan(1e-6);
        assertThat(Tensors.toDoubles(pass.logits())).isEqualTo(Tensors.toDoubles(found.logits()));
      }
    }
  }

  @Test
  void everyCallDrawsAgain() {
    try (StagedNetwork network = open(Dtype.FLOAT32, Engine.AUTO);
        Rng rng = new Rng(7);
        PointerScope scope = new PointerScope()) {
      Tensor x = rng.uniform(Dtype.FLOAT32, IMAGES, 3, 32, 32);
      Smoothing smoothing = new Smoothing(SIGMA, 2);
      SmoothedClassifier smoothed =
          new SmoothedClassifier(network, smoothing, NoiseSource.fresh(rng));
      assertThat(Tensors.toDoubles(smoothed.logits(x)))
          .isNotEqualTo(Tensors.toDoubles(smoothed.logits(x)));
      assertThat(smoothed.deterministic()).isFalse();
      assertThatThrownBy(() -> new SmoothedClassifier(network, smoothing, null))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
