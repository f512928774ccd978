package io.github.igdefense.defense;

import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.tensor.FusedOps.MaskedHead;
import io.github.igdefense.tensor.FusedOps.MaskedHeadGradient;
import io.github.igdefense.tensor.Tensors;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/**
 * A defended forward pass: the prefix (and a smoothed pass to its logits) under autograd, the
 * masked head in the kernel. A gradient is the kernel's backward, handed to autograd as it goes on.
 */
final class MaskedHeadPass implements ForwardPass {
  private final Tensor images;
  private final Tensor activation;
  private final Tensor firstLogits;
  private final Tensor[] head;
  private final Function<Tensor, MaskedHeadGradient> backward;
  private boolean closed;

  /**
   * Keeps what the gradients need.
   *
   * @param images leaf that requires a gradient
   * @param activation attached to its graph
   * @param firstLogits attached to its graph; null where the head computes them itself
   * @param head what the kernel gave
   * @param backward from gradients of the logits to those of the head's inputs
   */
  MaskedHeadPass(
      Tensor images,
      Tensor activation,
      Tensor firstLogits,
      MaskedHead head,
      Function<Tensor, MaskedHeadGradient> backward) {
    this.images = Tensors.keep(images);
    this.activation = Tensors.keep(activation);
    this.firstLogits = firstLogits == null ? null : Tensors.keep(firstLogits);
    this.head =
        new Tensor[] {
          Tensors.keep(head.logits()),
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

  /**
   * The same; without {@code more}, the graph is given up as the pass goes back, and it is the
   * last.
   */
  Tensor gradient(Tensor weights, boolean more) {
    return Tensors.scoped(
        () -> {
          MaskedHeadGradient gradient = backward.apply(weights);
          TensorVector outputs;
          TensorVector outputGradients;
          if (firstLogits == null) {
            outputs = Tensors.vector(activation);
            outputGradients = Tensors.vector(gradient.activation());
          } else {
            outputs = Tensors.vector(activation, firstLogits);
            outputGradients = Tensors.vector(gradient.activation(), gradient.firstLogits());
          }
          return Gradients.grad(outputs, images, outputGradients, more);
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
      Tensors.free(activation);
      Tensors.free(images);
    }
  }
}
