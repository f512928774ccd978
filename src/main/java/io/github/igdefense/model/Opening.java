package io.github.igdefense.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * What follows a maskable layer, opened at its first convolution, which is linear in the layer's
 * units: leaving one unit out changes it by one channel's contribution, so that leave-one-out need
 * not repeat it (spec: LO-IR, interior layers). With A [N,U,H,W] the layer's output,
 *
 * <pre>
 *   E = entry(A)                                      (A itself without an entry)
 *   hidden = middle(first(E))
 *   residual = shortcut(E)                            (A itself without a shortcut)
 *   logits = rest(hidden, residual)
 * </pre>
 *
 * equals the network's suffix to rounding. All tensors belong to the network.
 *
 * @param entry per-channel, before the first convolution (pre-activation networks); or null
 * @param first the first convolution on the main path
 * @param middle non-linearity behind it
 * @param shortcut convolution of the residual path; null where the residual is the layer's output
 * @param rest everything after
 */
public record Opening(
    ChannelActivation entry,
    Convolution first,
    Nonlinearity middle,
    Convolution shortcut,
    Rest rest) {

  /** The network after hidden [M,O,H',W'] and residual [M,R,H'',W'']: logits, scope as given. */
  @FunctionalInterface
  public interface Rest {
    /** Applies it; neither input is changed. Result in the innermost scope. */
    Tensor apply(Tensor hidden, Tensor residual);
  }

  /**
   * A per-channel affine map and a non-linearity: what a batch normalisation before a convolution
   * is at inference.
   *
   * @param scale [U]
   * @param shift [U]
   * @param nonlinearity after the map
   */
  public record ChannelActivation(Tensor scale, Tensor shift, Nonlinearity nonlinearity) {
    /** The map of x [N,U,H,W], a new tensor. */
    public Tensor apply(Tensor x) {
      Tensor mapped = x.mul(scale.view(1, -1, 1, 1));
      mapped.add_(shift.view(1, -1, 1, 1));
      return nonlinearity.apply(mapped);
    }
  }

  /** A non-linearity without parameters. */
  public enum Nonlinearity {
    /** None. */
    IDENTITY,
    /** max(x, 0). */
    RELU,
    /** x·sigmoid(x), also called swish. */
    SILU;

    /** Applies it to x, perhaps in place: x must be a fresh tensor that nobody else reads. */
    public Tensor apply(Tensor x) {
      // What libtorch returns from an in-place operation may be a handle that owns nothing; x does.
      switch (this) {
        case IDENTITY -> {}
        case RELU -> x.relu_();
        case SILU -> torch.silu_(x);
      }
      return x;
    }
  }
}
