package io.github.igdefense.model;

import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

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
   * The mean gradient of several evaluations of the same images (expectation over transformation,
   * Athalye et al. 2018). A random classifier draws as in that many calls of {@link #lossGradient};
   * what the evaluations have in common may be computed once.
   *
   * @param x images [N,C,H,W]; not changed
   * @param samples evaluations, at least 1
   * @return logits and loss of the last evaluation and the mean of the gradients, which for more
   *     than one of a bfloat16 classifier is float32; in the caller's scope
   * @throws IllegalArgumentException for less than one evaluation
   */
  default LossGradient meanLossGradient(Tensor x, LogitLoss loss, int samples) {
    if (samples < 1) {
      throw new IllegalArgumentException("expected at least 1 evaluation, got " + samples);
    }
    if (samples == 1) {
      return lossGradient(x, loss);
    }
    Tensor[] out = new Tensor[3];
    Dtype type = dtype() == Dtype.FLOAT64 ? Dtype.FLOAT64 : Dtype.FLOAT32;
    try (PointerScope scope = new PointerScope()) {
      Tensor sum = Tensors.scoped(() -> Tensors.to(torch.zeros_like(x), type));
      for (int s = 0; s < samples; s++) {
        try (PointerScope inner = new PointerScope()) {
          LossGradient pass = lossGradient(x, loss);
          sum.add_(pass.gradient());
          if (s == samples - 1) {
            out[0] = Tensors.keep(pass.logits());
            out[1] = Tensors.keep(pass.loss());
          }
        }
      }
      out[2] = Tensors.keep(sum.div_(Tensors.scalar(samples)));
    }
    return new LossGradient(Tensors.adopt(out[0]), Tensors.adopt(out[1]), Tensors.adopt(out[2]));
  }

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
