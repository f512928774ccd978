package io.github.igdefense.defense;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

/**
 * Anti-adversary and hedge defense against a computation that shares nothing with them: a small
 * float64 network of plain operations, every step of the defense part of one autograd graph.
 */
class InputDefenseTest {
  private static final int CLASSES = 5;
  private static final int IMAGES = 6;

  /**
   * conv 3→8, tanh (so that gradients change from step to step), pool, linear. Smooth on purpose.
   */
  private static final class Small implements DifferentiableClassifier, AutoCloseable {
    private final List<Tensor> kept = new ArrayList<>();
    private final Tensor kernel;
    private final Tensor weight;
    private int forwards;
    private int backwards;

    Small(long seed) {
      try (PointerScope scope = new PointerScope();
          Rng rng = new Rng(seed)) {
        kernel = keep(rng.normal(Dtype.FLOAT64, 8, 3, 3, 3));
        weight = keep(rng.normal(Dtype.FLOAT64, CLASSES, 8).mul(new Scalar(3.0)));
      }
    }

    private Tensor keep(Tensor tensor) {
      kept.add(Tensors.keep(tensor));
      return tensor;
    }

    Tensor forward(Tensor x) {
      return torch.linear(torch.conv2d(x, kernel).tanh().mean(new long[] {2, 3}), weight, none());
    }

    private static TensorOptional none() {
      return new TensorOptional();
    }

    @Override
    public String name() {
      return "small";
    }

    @Override
    public int classCount() {
      return CLASSES;
    }

    @Override
    public Dtype dtype() {
      return Dtype.FLOAT64;
    }

    @Override
    public Tensor logits(Tensor x) {
      forwards++;
      try (AutoGradMode off = new AutoGradMode(false)) {
        return Tensors.scoped(() -> forward(x));
      }
    }

    @Override
    public LossGradient lossGradient(Tensor x, LogitLoss loss) {
      forwards++;
      backwards++;
      return Gradients.of(x, this::forward, loss);
    }

    @Override
    public void close() {
      kept.forEach(Tensors::free);
    }
  }

  /** Images with some pixels at 0 and 1, where clipping acts. */
  private static Tensor images() {
    try (Rng rng = new Rng(11)) {
      return rng.uniform(Dtype.FLOAT64, IMAGES, 3, 7, 7)
          .mul(new Scalar(1.3))
          .sub(new Scalar(0.15))
          .clamp(new ScalarOptional(new Scalar(0.0)), new ScalarOptional(new Scalar(1.0)));
    }
  }

  private static Tensor crossEntropy(Tensor logits, Tensor classes) {
    return torch.cross_entropy_loss(logits, classes);
  }

  /** The gradient with its own graph, so that a later backward pass goes through it. */
  private static Tensor graphGradient(Tensor sum, Tensor input) {
    TensorVector gradients =
        torch.grad(
            Tensors.vector(sum),
            Tensors.vector(input),
            new TensorVector(),
            new BoolOptional(true),
            true,
            false);
    return gradients.get(0).add(new Scalar(0.0));
  }

  private record Expected(double[] logits, double[] gradient) {}

  private static Expected antiAdversary(Small f, Tensor images, Tensor y, int k, double alpha) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode on = new AutoGradMode(true)) {
      Tensor x = images.clone().detach().requires_grad_(true);
      Tensor seen = f.forward(x).argmax(new LongOptional(1), false);
      Tensor delta = torch.zeros_like(x).requires_grad_(true);
      for (int i = 0; i < k; i++) {
        Tensor loss = crossEntropy(f.forward(x.add(delta)), seen).mul(new Scalar(IMAGES));
        delta = delta.sub(graphGradient(loss, delta).sign().mul(new Scalar(alpha)));
      }
      Tensor logits = f.forward(x.add(delta));
      Tensor gradient = graphGradient(crossEntropy(logits, y).mul(new Scalar(IMAGES)), x);
      return new Expected(Tensors.toDoubles(logits), Tensors.toDoubles(gradient));
    }
  }

  private static Expected hedge(
      Small f, Tensor images, Tensor y, Tensor uniform, HedgeDefense.Settings s, boolean full) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode on = new AutoGradMode(true)) {
      Tensor x = images.clone().detach().requires_grad_(true);
      Tensor low = torch.full_like(x, new Scalar(-s.epsilon()));
      Tensor high = torch.full_like(x, new Scalar(s.epsilon()));
      Tensor point = x.add(uniform.mul(new Scalar(2 * s.epsilon())).add(low));
      for (int i = 0; i < s.steps(); i++) {
        Tensor sum = torch.zeros(new long[] {}, Tensors.options(torch.ScalarType.Double));
        Tensor logits = f.forward(point);
        for (int c = 0; c < CLASSES; c++) {
          Tensor all = torch.full_like(y, new Scalar((double) c));
          sum = sum.add(crossEntropy(logits, all).mul(new Scalar(IMAGES)));
        }
        Tensor up = point.add(graphGradient(sum, point).sign().mul(new Scalar(s.stepSize())));
        Tensor delta = torch.max(torch.min(up.sub(x), high), low);
        // clamp has the derivative 1 inside the range and at its ends, and 0 outside.
        Tensor inside =
            up.sub(x)
                .clamp(
                    new ScalarOptional(new Scalar(-s.epsilon())),
                    new ScalarOptional(new Scalar(s.epsilon())));
        assertThat(Tensors.toDoubles(inside)).isEqualTo(Tensors.toDoubles(delta));
        point =
            x.add(inside)
                .clamp(new ScalarOptional(new Scalar(0.0)), new ScalarOptional(new Scalar(1.0)));
      }
      Tensor at = full ? point : point.detach().requires_grad_(true);
      Tensor logits = f.forward(at);
      Tensor gradient =
          graphGradient(crossEntropy(logits, y).mul(new Scalar(IMAGES)), full ? x : at);
      return new Expected(Tensors.toDoubles(logits), Tensors.toDoubles(gradient));
    }
  }

  private static LogitLoss loss(Tensor y) {
    return logits -> logits.log_softmax(1).gather(1, y.unsqueeze(1)).squeeze(1).neg();
  }

  private static void equal(DifferentiableClassifier defense, Tensor x, Tensor y, Expected want) {
    try (PointerScope scope = new PointerScope()) {
      DifferentiableClassifier.LossGradient got = defense.lossGradient(x, loss(y));
      assertThat(Tensors.toDoubles(defense.logits(x))).containsExactly(want.logits, within(1e-12));
      assertThat(Tensors.toDoubles(got.logits())).containsExactly(want.logits, within(1e-12));
      assertThat(Tensors.toDoubles(got.gradient())).containsExactly(want.gradient, within(1e-12));
      // The same from a recorded pass: d(sum of cross-entropies)/d(logits) = softmax − one-hot.
      try (DifferentiableClassifier.ForwardPass pass = defense.record(x)) {
        assertThat(Tensors.toDoubles(pass.logits())).containsExactly(want.logits, within(1e-12));
        Tensor weights =
            torch
                .softmax(pass.logits(), 1)
                .sub(torch.one_hot(y, CLASSES).to(torch.ScalarType.Double));
        assertThat(Tensors.toDoubles(pass.gradient(weights)))
            .containsExactly(want.gradient, within(1e-12));
      }
    }
  }

  private static Tensor labels() {
    return Tensors.of(new long[] {0, 1, 2, 3, 4, 0}, IMAGES);
  }

  @Test
  void antiAdversaryEqualsPlainAutogradInBothModes() {
    try (PointerScope scope = new PointerScope();
        Small f = new Small(1)) {
      Tensor x = images();
      Tensor y = labels();
      for (int k : new int[] {1, 2, 5}) {
        Expected want = antiAdversary(f, x, y, k, 0.15);
        for (GradientMode mode : GradientMode.values()) {
          equal(new AntiAdversary(f, k, 0.15, mode), x, y, want);
        }
      }
      // The move matters: without it the logits are others.
      assertThat(Tensors.toDoubles(f.logits(x)))
          .isNotEqualTo(antiAdversary(f, x, y, 2, 0.15).logits);
    }
  }

  @Test
  void hedgeDefenseEqualsPlainAutogradInBothModes() {
    HedgeDefense.Settings settings = new HedgeDefense.Settings(20, 8 / 255.0, 4 / 255.0);
    try (PointerScope scope = new PointerScope();
        Small f = new Small(2);
        Rng rng = new Rng(5)) {
      Tensor x = images();
      Tensor y = labels();
      Tensor uniform = rng.uniform(Dtype.FLOAT64, 1, 3, 7, 7).expand(Tensors.shape(x));
      Expected full = hedge(f, x, y, uniform, settings, true);
      Expected identity = hedge(f, x, y, uniform, settings, false);
      equal(HedgeDefense.fixed(f, settings, 5, GradientMode.FULL), x, y, full);
      equal(HedgeDefense.fixed(f, settings, 5, GradientMode.BPDA), x, y, identity);
      assertThat(full.logits).isEqualTo(identity.logits);
      // Clipping to [0,1] hides some pixels from the full gradient, and none from the other.
      long hidden = java.util.Arrays.stream(full.gradient).filter(g -> g == 0).count();
      assertThat(hidden).isBetween(20L, (long) full.gradient.length / 2);
      assertThat(identity.gradient).doesNotContain(0.0);
    }
  }

  @Test
  void hedgeDefenseStaysInTheBallAndInRangeAndRaisesTheLoss() {
    try (PointerScope scope = new PointerScope();
        Small f = new Small(3);
        Rng rng = new Rng(0)) {
      Tensor x = images();
      HedgeDefense defense =
          HedgeDefense.fresh(f, HedgeDefense.Settings.DEFAULT, rng, GradientMode.BPDA);
      Tensor moved = defense.moved(x);
      assertThat(moved.sub(x).abs().max().item_double()).isLessThanOrEqualTo(8 / 255.0 + 1e-15);
      assertThat(moved.min().item_double()).isGreaterThanOrEqualTo(0);
      assertThat(moved.max().item_double()).isLessThanOrEqualTo(1);
      double before = f.forward(x).log_softmax(1).sum().item_double();
      double after = f.forward(moved).log_softmax(1).sum().item_double();
      assertThat(-after).isGreaterThan(-before);
    }
  }

  @Test
  void freshStartsDifferFromCallToCallAndRepeatWithTheSeed() {
    try (PointerScope scope = new PointerScope();
        Small f = new Small(4);
        Rng rng = new Rng(9)) {
      Tensor x = images();
      HedgeDefense fresh =
          HedgeDefense.fresh(f, HedgeDefense.Settings.DEFAULT, rng, GradientMode.BPDA);
      double[] first = Tensors.toDoubles(fresh.logits(x));
      double[] second = Tensors.toDoubles(fresh.logits(x));
      assertThat(first).isNotEqualTo(second);
      rng.seed(9);
      assertThat(Tensors.toDoubles(fresh.logits(x))).isEqualTo(first);
      assertThat(fresh.deterministic()).isFalse();
      HedgeDefense fixed =
          HedgeDefense.fixed(f, HedgeDefense.Settings.DEFAULT, 9, GradientMode.BPDA);
      assertThat(fixed.deterministic()).isTrue();
      // A fixed start does not depend on the place in the batch.
      double[] all = Tensors.toDoubles(fixed.logits(x));
      double[] last = Tensors.toDoubles(fixed.logits(x.narrow(0, IMAGES - 1, 1)));
      for (int c = 0; c < CLASSES; c++) {
        assertThat(last[c]).isCloseTo(all[(IMAGES - 1) * CLASSES + c], within(1e-12));
      }
    }
  }

  @Test
  void passesPerPredictionAreThosePublished() {
    try (PointerScope scope = new PointerScope();
        Small f = new Small(5)) {
      Tensor x = images();
      new AntiAdversary(f).logits(x);
      assertThat(List.of(f.forwards, f.backwards)).containsExactly(4, 2);
      f.forwards = 0;
      f.backwards = 0;
      HedgeDefense.fixed(f, HedgeDefense.Settings.DEFAULT, 0, GradientMode.BPDA).logits(x);
      assertThat(List.of(f.forwards, f.backwards)).containsExactly(21, 20);
    }
  }

  @Test
  void doesNotChangeItsInput() {
    try (PointerScope scope = new PointerScope();
        Small f = new Small(6)) {
      Tensor x = images();
      double[] before = Tensors.toDoubles(x);
      HedgeDefense defense =
          HedgeDefense.fixed(f, HedgeDefense.Settings.DEFAULT, 0, GradientMode.FULL);
      try (PointerScope inner = new PointerScope()) {
        defense.lossGradient(x, loss(labels()));
        new AntiAdversary(f).lossGradient(x, loss(labels()));
      }
      assertThat(Tensors.toDoubles(x)).isEqualTo(before);
    }
  }

  @Test
  void smoothedClassifierIsTheMeanOverDraws() {
    try (PointerScope scope = new PointerScope();
        StagedNetwork network = Networks.random("rn18", 3, 4, 10, 3, Dtype.FLOAT64);
        Rng rng = new Rng(7);
        Rng again = new Rng(7)) {
      Tensor x = again.uniform(Dtype.FLOAT64, 2, 3, 32, 32);
      again.seed(7);
      Tensor draws = again.normal(Dtype.FLOAT64, 6, 3, 32, 32);
      SmoothedClassifier smoothed =
          new SmoothedClassifier(network, new Smoothing(0.1, 3), NoiseSource.fresh(rng));
      double[] got = Tensors.toDoubles(smoothed.logits(x));
      for (int i = 0; i < 2; i++) {
        Tensor sum = torch.zeros(new long[] {1, 10}, Tensors.options(torch.ScalarType.Double));
        for (int s = 0; s < 3; s++) {
          Tensor noisy = x.narrow(0, i, 1).add(draws.narrow(0, i * 3 + s, 1).mul(new Scalar(0.1)));
          sum = sum.add(network.forward(noisy));
        }
        double[] want = Tensors.toDoubles(sum.div(new Scalar(3.0)));
        for (int c = 0; c < 10; c++) {
          assertThat(got[i * 10 + c]).isCloseTo(want[c], within(1e-10));
        }
      }
    }
  }

  @Test
  void refusesWhatCannotWork() {
    try (Small f = new Small(1);
        StagedNetwork half = Networks.random("rn18", 3, 4, 10, 3, Dtype.BFLOAT16)) {
      assertThatThrownBy(() -> new AntiAdversary(f, 0, 0.15, GradientMode.FULL))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("at least 1 step");
      assertThatThrownBy(() -> new AntiAdversary(f, 2, Double.NaN, GradientMode.FULL))
          .isInstanceOf(InputException.class);
      assertThatThrownBy(() -> new HedgeDefense.Settings(20, 0, 0.1))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("positive radius");
      assertThatThrownBy(() -> new AntiAdversary(half))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("--dtype float32");
    }
  }
}
