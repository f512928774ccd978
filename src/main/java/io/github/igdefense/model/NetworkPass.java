package io.github.igdefense.model;

import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.tensor.Tensors;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * A network's forward pass, recorded up to the penultimate layer; the gradient of average pooling
 * and classifier is written out: ∂/∂a[n,u,s] = (weights·W)[n,u]/S.
 */
final class NetworkPass implements ForwardPass {
  private final Recording recording;
  private final LinearHead head;
  private final Tensor logits;
  private boolean closed;

  /**
   * @param recording of the penultimate activation; belongs to this pass now
   * @param applyHead from that activation to logits
   */
  NetworkPass(Recording recording, LinearHead head, UnaryOperator<Tensor> applyHead) {
    this.recording = recording;
    this.head = head;
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      this.logits = Tensors.keep(applyHead.apply(recording.activation()));
    }
  }

  @Override
  public Tensor logits() {
    return logits;
  }

  @Override
  public Tensor gradient(Tensor weights) {
    return gradient(weights, true);
  }

  /** The same; without {@code more} it is the last, and memory may be given up on the way. */
  Tensor gradient(Tensor weights, boolean more) {
    return Tensors.scoped(
        () -> {
          Tensor activation = recording.activation();
          long[] shape = Tensors.shape(activation);
          Tensor pooled =
              torch
                  .matmul(weights.detach(), head.weight())
                  .div(Tensors.scalar((double) shape[2] * shape[3]));
          return recording.inputGradient(
              pooled.to(activation.scalar_type()).view(shape[0], shape[1], 1, 1).expand(shape),
              more);
        });
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      Tensors.free(logits);
      recording.close();
    }
  }
}
