package io.github.igdefense.defense;

import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.Recording;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.FusedOps.MaskedHead;
import io.github.igdefense.tensor.FusedOps.MaskedHeadGradient;
import io.github.igdefense.tensor.Tensors;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * A defended forward pass: the prefix recorded (clean and noisy images in one batch), the smoothed
 * logits under autograd, the masked head in the kernel. A gradient is the kernel's backward, handed
 * on through both.
 */
final class MaskedHeadPass implements ForwardPass {
  private final Recording recording;
  private final SmoothedPass noisy;
  private final Tensor smoothed;
  private final Tensor firstLogits;
  private final Tensor clean;
  private final Tensor[] head;
  private final Device origin;
  private final Function<Tensor, MaskedHeadGradient> backward;
  private boolean closed;

  /**
   * Keeps what the gradients need.
   *
   * @param recording of the activation; belongs to this pass now
   * @param smoothed the noisy images' activation, a leaf; null without smoothing
   * @param firstLogits attached to it; null where the head computes them itself
   * @param clean the clean images' activation
   * @param head what the kernel gave
   * @param origin where the images are, and the logits go
   * @param backward from gradients of the logits to those of the head's inputs
   */
  MaskedHeadPass(
      Recording recording,
      Tensor smoothed,
      Tensor firstLogits,
      Tensor clean,
      MaskedHead head,
      Device origin,
      Function<Tensor, MaskedHeadGradient> backward) {
    this(recording, null, smoothed, firstLogits, clean, head, origin, backward);
  }

  /**
   * Keeps what the gradients need where the noisy images went through a pass of their own.
   *
   * @param noisy the smoothed pass; belongs to this pass now
   */
  MaskedHeadPass(
      Recording recording,
      SmoothedPass noisy,
      Tensor clean,
      MaskedHead head,
      Device origin,
      Function<Tensor, MaskedHeadGradient> backward) {
    this(recording, noisy, null, null, clean, head, origin, backward);
  }

  private MaskedHeadPass(
      Recording recording,
      SmoothedPass noisy,
      Tensor smoothed,
      Tensor firstLogits,
      Tensor clean,
      MaskedHead head,
      Device origin,
      Function<Tensor, MaskedHeadGradient> backward) {
    this.recording = recording;
    this.noisy = noisy;
    this.origin = origin;
    this.smoothed = smoothed == null ? null : Tensors.keep(smoothed);
    this.firstLogits = firstLogits == null ? null : Tensors.keep(firstLogits);
    this.clean = Tensors.keep(clean);
    this.head =
        new Tensor[] {
          Tensors.keep(origin.move(head.logits())),
          Tensors.keep(head.pooled()),
          Tensors.keep(head.firstLogits()),
          Tensors.keep(head.softWeights()),
          Tensors.keep(head.softMask())
        };
    this.backward = backward;
  }

  @Override
  public Tensor logits() {
    return head[0];
  }

  @Override
  public Tensor gradient(Tensor weights) {
    return gradient(weights, true);
  }

  /** The same; without {@code more} it is the last, and memory may be given up on the way. */
  Tensor gradient(Tensor weights, boolean more) {
    return Tensors.scoped(
        () -> {
          MaskedHeadGradient gradient = backward.apply(weights);
          if (noisy != null) {
            Tensor throughNoise = noisy.gradient(origin.move(gradient.firstLogits()));
            return recording
                .inputGradient(gradient.activation(), more)
                .add(throughNoise.to(clean.scalar_type().intern()));
          }
          if (firstLogits == null) {
            return recording.inputGradient(gradient.activation(), more);
          }
          Tensor gradSmoothed =
              Gradients.grad(
                  Tensors.vector(firstLogits),
                  smoothed,
                  Tensors.vector(gradient.firstLogits()),
                  more);
          Tensor both =
              recording.inputGradient(
                  torch.cat(Tensors.vector(gradient.activation(), gradSmoothed), 0), more);
          long n = clean.size(0);
          long noisy = both.size(0) - n;
          Tensor draws = Smoothing.sumOfDraws(both.narrow(0, n, noisy), noisy / n);
          return both.narrow(0, 0, n).add(draws);
        });
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      for (Tensor tensor : head) {
        Tensors.free(tensor);
      }
      Tensors.free(firstLogits);
      Tensors.free(smoothed);
      Tensors.free(clean);
      if (noisy != null) {
        noisy.close();
      }
      recording.close();
    }
  }
}
