package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.Objects;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * A test-time defense that moves the image before its base model classifies it: logits f(h(x)).
 *
 * <p>Wraps any classifier, also a defended one. Holds no native memory; the base stays the
 * caller's. Threads: as the base.
 */
public abstract sealed class InputDefense implements DifferentiableClassifier
    permits AntiAdversary, HedgeDefense {
  private final DifferentiableClassifier base;
  private final GradientMode mode;

  InputDefense(DifferentiableClassifier base, GradientMode mode) {
    this.base = Objects.requireNonNull(base, "base");
    this.mode = Objects.requireNonNull(mode, "mode");
    if (base.dtype().bytes() < Dtype.FLOAT32.bytes()) {
      throw new InputException(
          "expected a float32 or float64 model under a defense that follows its gradients, got "
              + base.dtype()
              + "; use --dtype float32");
    }
  }

  /**
   * A moved batch, in the caller's scope.
   *
   * @param points h(x), [N,C,H,W]
   * @param jacobian diagonal of dh/dx, 0 or 1, [N,C,H,W]; null for the identity
   */
  record Moved(Tensor points, Tensor jacobian) {}

  /** Moves images; {@code x} is not changed. Result in the caller's scope. */
  abstract Moved move(Tensor x);

  /** The images as the base model gets to see them, [N,C,H,W], in the caller's scope. */
  public final Tensor moved(Tensor x) {
    return Tensors.scoped(() -> move(x.detach()).points());
  }

  /** The base model. */
  public final DifferentiableClassifier base() {
    return base;
  }

  /** How the move is differentiated. */
  public final GradientMode gradientMode() {
    return mode;
  }

  @Override
  public final int classCount() {
    return base.classCount();
  }

  @Override
  public final Dtype dtype() {
    return base.dtype();
  }

  @Override
  public final Tensor logits(Tensor x) {
    return Tensors.scoped(() -> base.logits(moved(x)));
  }

  /** One move, then one forward and backward pass of the base at the moved images. */
  @Override
  public final LossGradient lossGradient(Tensor x, LogitLoss loss) {
    Tensor[] out = new Tensor[3];
    try (PointerScope scope = new PointerScope()) {
      Moved moved = move(x.detach());
      LossGradient there = base.lossGradient(moved.points(), loss);
      boolean full = mode == GradientMode.FULL && moved.jacobian() != null;
      out[0] = Tensors.keep(there.logits());
      out[1] = Tensors.keep(there.loss());
      out[2] = Tensors.keep(full ? there.gradient().mul(moved.jacobian()) : there.gradient());
    }
    return new LossGradient(Tensors.adopt(out[0]), Tensors.adopt(out[1]), Tensors.adopt(out[2]));
  }

  /** One move and one forward pass of the base, from which any number of gradients is taken. */
  @Override
  public final ForwardPass record(Tensor x) {
    Tensor points;
    Tensor jacobian;
    try (PointerScope scope = new PointerScope()) {
      Moved moved = move(x.detach());
      points = Tensors.keep(moved.points());
      boolean full = mode == GradientMode.FULL && moved.jacobian() != null;
      jacobian = full ? Tensors.keep(moved.jacobian()) : null;
    }
    ForwardPass pass;
    try {
      pass = base.record(points);
    } catch (RuntimeException e) {
      Tensors.free(points);
      Tensors.free(jacobian);
      throw e;
    }
    return new ForwardPass() {
      private boolean closed;

      @Override
      public Tensor logits() {
        return pass.logits();
      }

      @Override
      public Tensor gradient(Tensor weights) {
        return jacobian == null
            ? pass.gradient(weights)
            : Tensors.scoped(() -> pass.gradient(weights).mul(jacobian));
      }

      @Override
      public void close() {
        if (!closed) {
          closed = true;
          pass.close();
          Tensors.free(points);
          Tensors.free(jacobian);
        }
      }
    };
  }
}
