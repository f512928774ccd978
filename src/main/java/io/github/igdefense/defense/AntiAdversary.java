package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Tensors;
import java.util.Locale;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;

/**
 * Anti-adversary layer (Alfarra et al. 2022, "Combating Adversaries with Anti-Adversaries"; CAAA in
 * the paper's tables): the image is moved so that the base model becomes surer of what it sees.
 *
 * <pre>
 *   ŷ = argmax f(x),  δ_0 = 0,  δ_{i+1} = δ_i − α·sign ∇_δ CE(f(x + δ_i), ŷ),  logits f(x + δ_k)
 * </pre>
 *
 * As published, δ is neither projected nor clipped to [0,1]. ŷ and the signs are piecewise constant
 * in x, so the derivative of x + δ_k is the identity wherever it exists: both {@link GradientMode}s
 * give the same gradient.
 *
 * <p>Cost of a prediction: 2 + k forward and k backward passes of the base (k = 2: 4 and 2, which
 * is 8 forward passes where a backward pass costs two; parameters without gradients make it cost
 * less). Threads and ownership: {@link InputDefense}.
 */
public final class AntiAdversary extends InputDefense {
  /** k of the published evaluation. */
  public static final int DEFAULT_STEPS = 2;

  /** α of the published evaluation. */
  public static final double DEFAULT_STEP_SIZE = 0.15;

  private final int steps;
  private final double stepSize;

  /** The published settings: k = 2, α = 0.15. */
  public AntiAdversary(DifferentiableClassifier base) {
    this(base, DEFAULT_STEPS, DEFAULT_STEP_SIZE, GradientMode.BPDA);
  }

  /**
   * A wrapped classifier.
   *
   * @param steps k, at least 1
   * @param stepSize α &gt; 0, for pixels in [0,1]
   * @throws InputException for a setting out of range, or a base in less than float32
   */
  public AntiAdversary(
      DifferentiableClassifier base, int steps, double stepSize, GradientMode mode) {
    super(base, mode);
    if (steps < 1 || !(stepSize > 0) || Double.isInfinite(stepSize)) {
      throw new InputException(
          "expected at least 1 step of a positive size for the anti-adversary, got "
              + steps
              + " of "
              + stepSize);
    }
    this.steps = steps;
    this.stepSize = stepSize;
  }

  @Override
  Moved move(Tensor x) {
    return new Moved(
        Tensors.scoped(
            () -> {
              Tensor seen = base().logits(x).argmax(new LongOptional(1), false).unsqueeze(1);
              LogitLoss loss = logits -> logits.log_softmax(1).gather(1, seen).squeeze(1).neg();
              Tensor moved = x.clone();
              for (int i = 0; i < steps; i++) {
                try (PointerScope scope = new PointerScope()) {
                  Tensor gradient = base().lossGradient(moved, loss).gradient();
                  moved.sub_(gradient.sign().mul_(Tensors.scalar(stepSize)));
                }
              }
              return moved;
            }),
        null);
  }

  @Override
  public boolean deterministic() {
    return base().deterministic();
  }

  @Override
  public String name() {
    return String.format(
        Locale.ROOT, "anti-adversary(%s, k=%d, alpha=%.5g)", base().name(), steps, stepSize);
  }
}
