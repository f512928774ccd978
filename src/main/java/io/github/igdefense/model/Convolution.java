package io.github.igdefense.model;

import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * A convolution of a compiled network, with the batch normalisation behind it folded in. Its
 * tensors belong to the network: valid until the network is closed.
 *
 * @param weight [O, I/groups, k, k], channels-last
 * @param bias [O]
 * @param biasArgument the bias as libtorch's functions take it
 * @param stride the same in both directions
 * @param padding zeros, the same on all sides
 * @param groups of channels that do not mix
 * @param onednn whether oneDNN has it in this type (not float64) and on this device (the processor)
 */
public record Convolution(
    Tensor weight,
    Tensor bias,
    TensorOptional biasArgument,
    int stride,
    int padding,
    int groups,
    boolean onednn) {
  private static final long[] NO_DILATION = {1, 1};

  /**
   * The convolution of x [N,I,H,W] plus the bias, without any non-linearity: [N,O,H',W'] in the
   * caller's scope. Differentiable where the calling thread's grad mode is on.
   */
  public Tensor apply(Tensor x) {
    if (onednn && !GradMode.is_enabled()) {
      return ImageStrips.suit(this, x) ? ImageStrips.apply(this, x) : direct(x);
    }
    return torch.conv2d(
        x,
        weight,
        biasArgument,
        new long[] {stride, stride},
        new long[] {padding, padding},
        NO_DILATION,
        groups);
  }

  /**
   * The same by oneDNN, without autograd. At batch 1, libtorch's own rule sends float32
   * convolutions past oneDNN to a path several times slower; calling oneDNN's convolution avoids
   * that.
   */
  Tensor direct(Tensor x) {
    return torch.mkldnn_convolution(
        x,
        weight,
        biasArgument,
        new long[] {padding, padding},
        new long[] {stride, stride},
        NO_DILATION,
        groups);
  }
}
