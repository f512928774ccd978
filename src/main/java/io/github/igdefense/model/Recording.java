package io.github.igdefense.model;

import io.github.igdefense.tensor.CompiledNet;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The first part of a network's forward pass, with what the gradient of its input needs: through
 * our native engine or libtorch's autograd. Confined to one thread; close it.
 */
public abstract class Recording implements AutoCloseable {
  private Recording() {}

  /** The activation [N,U,H,W], detached; belongs to this recording. */
  public abstract Tensor activation();

  /**
   * The gradient with respect to the images [N,C,H,W] of the network's type, in the caller's scope.
   *
   * @param gradActivation the gradient arriving at the activation, its shape
   * @param more whether it will be called again; else memory may be given up on the way
   */
  public abstract Tensor inputGradient(Tensor gradActivation, boolean more);

  @Override
  public abstract void close();

  static Recording of(CompiledNet.Recording recording, ScalarType type) {
    return new Recording() {
      @Override
      public Tensor activation() {
        return recording.output();
      }

      @Override
      public Tensor inputGradient(Tensor gradActivation, boolean more) {
        return Tensors.scoped(() -> recording.backward(gradActivation).to(type));
      }

      @Override
      public void close() {
        recording.close();
      }
    };
  }

  /**
   * Through autograd.
   *
   * @param device where the prefix computes; gradients go back to where the images are
   */
  static Recording of(Tensor x, Device device, java.util.function.UnaryOperator<Tensor> prefix) {
    Device origin = Device.of(x);
    try (PointerScope scope = new PointerScope();
        AutoGradMode on = new AutoGradMode(true)) {
      Tensor leaf = Tensors.keep(device.move(x.detach()).detach().requires_grad_(true));
      Tensor output = Tensors.keep(prefix.apply(leaf));
      Tensor detached = Tensors.keep(output.detach());
      return new Recording() {
        private boolean closed;

        @Override
        public Tensor activation() {
          return detached;
        }

        @Override
        public Tensor inputGradient(Tensor gradActivation, boolean more) {
          return Tensors.scoped(
              () ->
                  origin.move(
                      Gradients.grad(
                          Tensors.vector(output), leaf, Tensors.vector(gradActivation), more)));
        }

        @Override
        public void close() {
          if (!closed) {
            closed = true;
            Tensors.free(detached);
            Tensors.free(output);
            Tensors.free(leaf);
          }
        }
      };
    }
  }
}
