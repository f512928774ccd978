package io.github.igdefense.attack;

import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;

/** Logits {@code weights · x + bias}: distances to its boundaries are known in closed form. */
record LinearClassifier(Tensor weights, Tensor bias, Dtype dtype)
    implements DifferentiableClassifier {

  @Override
  public String name() {
    return "linear";
  }

  @Override
  public int classCount() {
    return (int) weights.size(0);
  }

  private Tensor forward(Tensor x) {
    return Tensors.scoped(() -> x.reshape(x.size(0), -1).matmul(weights.t()).add(bias));
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
}
