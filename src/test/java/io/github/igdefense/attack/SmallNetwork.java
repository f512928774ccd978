package io.github.igdefense.attack;

import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Convolution, ReLU, convolution, ReLU, average, classifier with random weights: not convex, any
 * image size from 5×5, and a pass takes well under a millisecond.
 */
final class SmallNetwork implements DifferentiableClassifier, AutoCloseable {
  private final Dtype dtype;
  private final Tensor first;
  private final Tensor second;
  private final Tensor head;

  SmallNetwork(int classes, Dtype dtype, long seed) {
    this.dtype = dtype;
    try (PointerScope scope = new PointerScope();
        Rng rng = new Rng(seed)) {
      first = Tensors.keep(rng.normal(dtype, 8, 3, 3, 3));
      second = Tensors.keep(rng.normal(dtype, 8, 8, 3, 3));
      Tensor weights = rng.normal(dtype, classes, 8);
      // What all units have in common would make one class of everything.
      head = Tensors.keep(weights.sub(weights.mean(new long[] {1}, true, null)));
    }
  }

  private Tensor forward(Tensor x) {
    return Tensors.scoped(
        () -> {
          Tensor centred = x.sub(new Scalar(0.5));
          Tensor hidden = torch.conv2d(torch.conv2d(centred, first).relu(), second).relu();
          return hidden.mean(new long[] {2, 3}).matmul(head.t());
        });
  }

  @Override
  public String name() {
    return "small";
  }

  @Override
  public int classCount() {
    return (int) head.size(0);
  }

  @Override
  public Dtype dtype() {
    return dtype;
  }

  @Override
  public Tensor logits(Tensor x) {
    try (AutoGradMode off = new AutoGradMode(false)) {
      return forward(x);
    }
  }

  @Override
  public LossGradient lossGradient(Tensor x, LogitLoss loss) {
    return Gradients.of(x, this::forward, loss);
  }

  @Override
  public ForwardPass record(Tensor x) {
    return Gradients.record(x, this::forward);
  }

  @Override
  public void close() {
    Tensors.free(first);
    Tensors.free(second);
    Tensors.free(head);
  }
}
