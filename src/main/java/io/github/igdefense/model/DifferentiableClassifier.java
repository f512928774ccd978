package io.github.igdefense.model;

import io.github.igdefense.tensor.Tensors;
import org.bytedeco.pytorch.Tensor;

/** A classifier that also gives the gradient of a loss with respect to its input. */
public interface DifferentiableClassifier extends Classifier {
  /**
   * One forward and one backward pass.
   *
   * @param x images [N,C,H,W]; not changed
   * @param loss per-image loss of the logits
   * @return logits [N,K], loss [N] and the gradient [N,C,H,W] of the losses' sum, in the caller's
   *     scope
   */
  LossGradient lossGradient(Tensor x, LogitLoss loss);

  /**
   * One forward pass from which several gradients can be taken. Unless an implementation keeps the
   * pass (as networks do), every gradient costs a forward pass of its own, and a random classifier
   * draws again for it.
   *
   * @param x images [N,C,H,W]; must stay unchanged until the pass is closed
   * @return the pass; the caller closes it
   */
  default ForwardPass record(Tensor x) {
    Tensor logits = Tensors.keep(Tensors.scoped(() -> logits(x)));
    return new ForwardPass() {
      private boolean closed;

      @Override
      public Tensor logits() {
        return logits;
      }

      @Override
      public Tensor gradient(Tensor weights) {
        return Tensors.scoped(
            () -> lossGradient(x, z -> Tensors.scoped(() -> z.mul(weights).sum(1))).gradient());
      }

      @Override
      public void close() {
        if (!closed) {
          closed = true;
          Tensors.free(logits);
        }
      }
    };
  }

  /** A forward pass kept for its gradients. Owns native memory until closed; not thread-safe. */
  interface ForwardPass extends AutoCloseable {
    /** Logits [N,K], detached; freed by {@link #close}. */
    Tensor logits();

    /**
     * The gradient [N,C,H,W] of the sum of {@code weights · logits} with respect to the images, in
     * the caller's scope: one backward pass.
     *
     * @param weights [N,K] in the logits' type
     */
    Tensor gradient(Tensor weights);

    @Override
    void close();
  }

  /**
   * What one pass gives.
   *
   * @param logits [N,K], detached
   * @param loss [N], detached
   * @param gradient [N,C,H,W] of the sum of the losses
   */
  record LossGradient(Tensor logits, Tensor loss, Tensor gradient) {}
}
