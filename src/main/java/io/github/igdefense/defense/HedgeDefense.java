package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Locale;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Hedge Defense (Wu et al. 2021, "Attacking Adversarial Attacks as a Defense"; HD in the paper's
 * tables): the image is moved to where the cross-entropies to all classes, summed, are largest.
 *
 * <pre>
 *   x_0 = x + u,  u uniform in [−ε,ε]
 *   x_{i+1} = clip_[0,1](x + clip_[−ε,ε](x_i + η·sign ∇ Σ_c CE(f(x_i), c) − x)),  logits f(x_n)
 * </pre>
 *
 * The class predicted is that of the last point, as in Croce et al. 2022 ("Evaluating the
 * Adversarial Robustness of Adaptive Test-time Defenses"). The published code's own script votes
 * over all x_i; its class has the default η = 0.007 where this has 4/255.
 *
 * <p>The Jacobian of x_n is diagonal: 0 where the last clipping that decided a pixel was that to
 * [0,1], else 1; see {@link GradientMode}.
 *
 * <p>Cost of a prediction: n forward and backward passes of the base and one forward pass. Threads:
 * calls may run at the same time; a fresh start's stream is shared and synchronised.
 */
public final class HedgeDefense extends InputDefense {
  /** Steps of the published evaluation. */
  public static final int DEFAULT_STEPS = 20;

  /**
   * How the image is moved.
   *
   * @param steps n, at least 1
   * @param epsilon ε &gt; 0, L∞ radius for pixels in [0,1]
   * @param stepSize η &gt; 0
   */
  public record Settings(int steps, double epsilon, double stepSize) {
    /** 20 steps of 4/255 within 8/255. */
    public static final Settings DEFAULT = new Settings(DEFAULT_STEPS, 8 / 255.0, 4 / 255.0);

    /** Checks ranges. */
    public Settings {
      if (steps < 1
          || !(epsilon > 0)
          || !(stepSize > 0)
          || Double.isInfinite(epsilon)
          || Double.isInfinite(stepSize)) {
        throw new InputException(
            "expected at least 1 step, a positive radius and step size for the hedge defense, got "
                + steps
                + ", "
                + epsilon
                + " and "
                + stepSize);
      }
    }
  }

  @FunctionalInterface
  private interface Start {
    /** Uniform draws in [0,1). */
    Tensor draw(Dtype dtype, long... shape);
  }

  private final Settings settings;
  private final Start start;
  private final boolean fixed;

  private HedgeDefense(
      DifferentiableClassifier base,
      Settings settings,
      Start start,
      boolean fixed,
      GradientMode mode) {
    super(base, mode);
    this.settings = settings;
    this.start = start;
    this.fixed = fixed;
  }

  /**
   * A random classifier: every call draws fresh starts.
   *
   * @param rng the caller's stream
   * @throws InputException for a base in less than float32
   */
  public static HedgeDefense fresh(
      DifferentiableClassifier base, Settings settings, Rng rng, GradientMode mode) {
    Start start =
        (dtype, shape) -> {
          synchronized (rng) {
            return rng.uniform(dtype, shape);
          }
        };
    return new HedgeDefense(base, settings, start, false, mode);
  }

  /**
   * A deterministic classifier: the same draw for every image and call, whatever its place in the
   * batch. To be labelled as such: an attacker who knows the draw can use it.
   */
  public static HedgeDefense fixed(
      DifferentiableClassifier base, Settings settings, long seed, GradientMode mode) {
    Start start =
        (dtype, shape) -> {
          long[] own = shape.clone();
          own[0] = 1;
          try (Rng rng = new Rng(seed)) {
            return Tensors.scoped(() -> rng.uniform(dtype, own).expand(shape));
          }
        };
    return new HedgeDefense(base, settings, start, true, mode);
  }

  /** Σ_c CE(z, c) = −Σ_c log softmax(z)_c, per image. */
  private static final LogitLoss ALL_CLASSES = logits -> logits.log_softmax(1).sum(1).neg();

  @Override
  Moved move(Tensor x) {
    Tensor[] out = new Tensor[2];
    try (PointerScope scope = new PointerScope()) {
      double epsilon = settings.epsilon();
      Tensor moved =
          start
              .draw(dtype(), Tensors.shape(x))
              .mul(Tensors.scalar(2 * epsilon))
              .sub(Tensors.scalar(epsilon))
              .add(x);
      boolean full = gradientMode() == GradientMode.FULL;
      Tensor jacobian = full ? torch.ones_like(x) : null;
      for (int i = 0; i < settings.steps(); i++) {
        try (PointerScope step = new PointerScope()) {
          Tensor gradient = base().lossGradient(moved, ALL_CLASSES).gradient();
          Tensor delta =
              gradient.sign().mul_(Tensors.scalar(settings.stepSize())).add_(moved).sub_(x);
          Tensor point = clamp(delta, -epsilon, epsilon).add_(x);
          if (full) {
            Tensor inBall = delta.abs().le(Tensors.scalar(epsilon));
            Tensor inRange = point.ge(Tensors.scalar(0)).logical_and(point.le(Tensors.scalar(1)));
            jacobian.copy_(torch.where(inBall, jacobian, torch.ones_like(jacobian)).mul_(inRange));
          }
          moved.copy_(clamp(point, 0, 1));
        }
      }
      out[0] = Tensors.keep(moved);
      out[1] = full ? Tensors.keep(jacobian) : null;
    }
    return new Moved(Tensors.adopt(out[0]), out[1] == null ? null : Tensors.adopt(out[1]));
  }

  private static Tensor clamp(Tensor x, double low, double high) {
    return x.clamp(
        new ScalarOptional(Tensors.scalar(low)), new ScalarOptional(Tensors.scalar(high)));
  }

  /** How the image is moved. */
  public Settings settings() {
    return settings;
  }

  @Override
  public boolean deterministic() {
    return fixed && base().deterministic();
  }

  @Override
  public String name() {
    return String.format(
        Locale.ROOT,
        "hedge-defense(%s, steps=%d, epsilon=%.5g, step_size=%.5g%s)",
        base().name(),
        settings.steps(),
        settings.epsilon(),
        settings.stepSize(),
        fixed ? ", fixed start" : "");
  }
}
