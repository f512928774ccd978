package io.github.igdefense.model;

import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.tensor.Tensors;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/** Input gradients through libtorch's autograd. */
public final class Gradients {
  private Gradients() {}

  /**
   * The gradient of the sum of {@code loss(forward(x))} with respect to {@code x}.
   *
   * @param forward from images to logits, built of differentiable operations
   */
  public static LossGradient of(Tensor x, UnaryOperator<Tensor> forward, LogitLoss loss) {
    Tensor[] results = new Tensor[3];
    try (PointerScope scope = new PointerScope();
        AutoGradMode on = new AutoGradMode(true)) {
      Tensor leaf = x.detach().requires_grad_(true);
      Tensor logits = forward.apply(leaf);
      Tensor losses = loss.of(logits);
      Tensor gradient = grad(losses.sum(), leaf, null);
      results[0] = Tensors.keep(logits.detach());
      results[1] = Tensors.keep(losses.detach());
      results[2] = Tensors.keep(gradient);
    }
    return new LossGradient(
        Tensors.adopt(results[0]), Tensors.adopt(results[1]), Tensors.adopt(results[2]));
  }

  /**
   * The same from the logits of a pass that was recorded: the loss's gradient there, handed to that
   * pass.
   *
   * @param backward from the gradient at the logits to that at the images
   */
  public static LossGradient through(
      Tensor logits, LogitLoss loss, UnaryOperator<Tensor> backward) {
    Tensor[] results = new Tensor[3];
    try (PointerScope scope = new PointerScope()) {
      LossGradient atLogits = of(logits, UnaryOperator.identity(), loss);
      results[0] = Tensors.keep(atLogits.logits());
      results[1] = Tensors.keep(atLogits.loss());
      results[2] = Tensors.keep(backward.apply(atLogits.gradient()));
    }
    return new LossGradient(
        Tensors.adopt(results[0]), Tensors.adopt(results[1]), Tensors.adopt(results[2]));
  }

  /**
   * A forward pass whose graph is kept for several backward passes.
   *
   * @param forward from images to logits, built of differentiable operations
   */
  public static ForwardPass record(Tensor x, UnaryOperator<Tensor> forward) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode on = new AutoGradMode(true)) {
      Tensor leaf = Tensors.keep(x.detach().requires_grad_(true));
      Tensor attached = Tensors.keep(forward.apply(leaf));
      Tensor logits = Tensors.keep(attached.detach());
      return new Recorded(leaf, attached, logits);
    }
  }

  /** A graph from images to logits. */
  private static final class Recorded implements ForwardPass {
    private final Tensor leaf;
    private final Tensor attached;
    private final Tensor logits;
    private boolean closed;

    Recorded(Tensor leaf, Tensor attached, Tensor logits) {
      this.leaf = leaf;
      this.attached = attached;
      this.logits = logits;
    }

    @Override
    public Tensor logits() {
      return logits;
    }

    @Override
    public Tensor gradient(Tensor weights) {
      return Tensors.scoped(
          () -> grad(Tensors.vector(attached), leaf, Tensors.vector(weights), true));
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        Tensors.free(logits);
        Tensors.free(attached);
        Tensors.free(leaf);
      }
    }
  }

  /**
   * The gradient of {@code output} with respect to {@code input}, in the caller's scope.
   *
   * @param outputGradient gradient arriving at {@code output}; null for a scalar output
   */
  public static Tensor grad(Tensor output, Tensor input, Tensor outputGradient) {
    return Tensors.scoped(
        () -> {
          TensorVector outputs = Tensors.vector(output);
          return outputGradient == null
              ? first(torch.grad(outputs, Tensors.vector(input)))
              : grad(outputs, input, Tensors.vector(outputGradient));
        });
  }

  /** The sum over outputs of their vector–Jacobian products with respect to {@code input}. */
  public static Tensor grad(TensorVector outputs, Tensor input, TensorVector outputGradients) {
    return grad(outputs, input, outputGradients, false);
  }

  /**
   * The same, keeping the graph for further backward passes.
   *
   * @param keepGraph whether the graph stays
   */
  public static Tensor grad(
      TensorVector outputs, Tensor input, TensorVector outputGradients, boolean keepGraph) {
    return Tensors.scoped(
        () ->
            first(
                torch.grad(
                    outputs,
                    Tensors.vector(input),
                    outputGradients,
                    keepGraph ? new BoolOptional(true) : new BoolOptional(),
                    false,
                    false)));
  }

  /**
   * An element of a vector is a reference into it; detaching gives a handle that outlives the
   * vector.
   */
  private static Tensor first(TensorVector gradients) {
    return gradients.get(0).detach();
  }
}
