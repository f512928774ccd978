package io.github.igdefense.defense;

import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * The mean of a network's logits over an image's noise draws, recorded. Every draw gets the
 * gradient over their number, and what comes back through all of them adds up at the image.
 */
final class SmoothedPass implements ForwardPass {
  private final ForwardPass draws;
  private final int samples;
  private final Tensor logits;
  private boolean closed;

  /**
   * @param draws the pass of the N·samples noisy images, the draws of an image side by side;
   *     belongs to this pass now
   * @param samples noise draws per image
   */
  SmoothedPass(ForwardPass draws, int samples) {
    this.draws = draws;
    this.samples = samples;
    try (PointerScope scope = new PointerScope()) {
      this.logits = Tensors.keep(Smoothing.meanOfDraws(draws.logits(), samples));
    }
  }

  @Override
  public Tensor logits() {
    return logits;
  }

  @Override
  public Tensor gradient(Tensor weights) {
    return Tensors.scoped(
        () -> {
          Tensor each = Smoothing.forEachDraw(weights.div(Tensors.scalar(samples)), samples);
          return Smoothing.sumOfDraws(draws.gradient(each), samples);
        });
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      Tensors.free(logits);
      draws.close();
    }
  }
}
