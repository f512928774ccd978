package io.github.igdefense.defense;

import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.Locale;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * One pass with noise and nothing else: logits z = mean over n_s draws of f(x + σ·v). The row "one
 * pass, no mask, smoothing" of the paper's Table 6.
 *
 * <p>Random unless the noise source is fixed; owns nothing native. Threads: as the network and the
 * noise source.
 */
public final class SmoothedClassifier implements DifferentiableClassifier {
  private final StagedNetwork network;
  private final Smoothing smoothing;
  private final NoiseSource noise;

  /**
   * A smoothed network.
   *
   * @param network not owned
   * @param smoothing with σ &gt; 0
   * @throws IllegalArgumentException without noise
   */
  public SmoothedClassifier(StagedNetwork network, Smoothing smoothing, NoiseSource noise) {
    if (!smoothing.enabled() || noise == null) {
      throw new IllegalArgumentException("a smoothed classifier needs sigma above 0 and noise");
    }
    this.network = network;
    this.smoothing = smoothing;
    this.noise = noise;
  }

  /** The noise. */
  public Smoothing smoothing() {
    return smoothing;
  }

  @Override
  public String name() {
    return String.format(
        Locale.ROOT,
        "smoothed(%s, sigma=%.5g, samples=%d)",
        network.name(),
        smoothing.sigma(),
        smoothing.samples());
  }

  @Override
  public int classCount() {
    return network.classCount();
  }

  @Override
  public Dtype dtype() {
    return network.dtype();
  }

  @Override
  public boolean deterministic() {
    return false;
  }

  @Override
  public Tensor logits(Tensor x) {
    return Tensors.scoped(
        () -> Smoothing.meanOfDraws(network.logits(noisy(x)), smoothing.samples()));
  }

  @Override
  public LossGradient lossGradient(Tensor x, LogitLoss loss) {
    try (ForwardPass pass = record(x)) {
      return Gradients.through(pass.logits(), loss, pass::gradient);
    }
  }

  @Override
  public ForwardPass record(Tensor x) {
    try (PointerScope scope = new PointerScope()) {
      return new SmoothedPass(network.record(noisy(x.detach())), smoothing.samples());
    }
  }

  /** The next draw's images [N·n_s,C,H,W]. */
  private Tensor noisy(Tensor x) {
    return Tensors.scoped(
        () -> {
          int samples = smoothing.samples();
          Tensor draws = Device.of(x).move(noise.drawFor(x, samples, dtype()));
          return Smoothing.forEachDraw(x, samples)
              .add(draws.mul(Tensors.scalar(smoothing.sigma())));
        });
  }
}
