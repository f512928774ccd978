package io.github.igdefense.attack;

import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * Norms, projections and steps on batches of images [N,C,H,W]; results lie in the caller's scope.
 */
final class Geometry {
  private static final double TINY = 1e-12;

  private Geometry() {}

  /** Norm of each image, [N]. */
  static Tensor size(Tensor delta, Norm norm) {
    return Tensors.scoped(
        () -> {
          Tensor rows = delta.reshape(delta.size(0), -1);
          return switch (norm) {
            case LINF -> rows.abs().amax(new long[] {1}, false);
            case L2 -> rows.mul(rows).sum(1).sqrt();
            case L1 -> rows.abs().sum(1);
          };
        });
  }

  /** Number of values of each image that are not 0, [N] int64. */
  static Tensor support(Tensor delta) {
    return Tensors.scoped(() -> delta.reshape(delta.size(0), -1).ne(Tensors.scalar(0)).sum(1));
  }

  /** Images that are zero everywhere. */
  static int zeroRows(Tensor images) {
    int zeros = 0;
    try (PointerScope scope = new PointerScope()) {
      for (double count : Tensors.toDoubles(support(images))) {
        zeros += count == 0 ? 1 : 0;
      }
    }
    return zeros;
  }

  /** A vector [N] as [N,1,1,1], sharing memory. */
  static Tensor perImage(Tensor values) {
    return values.view(values.size(0), 1, 1, 1);
  }

  /** Scales each image to norm one; an image of zeros stays zero. */
  static Tensor normalize(Tensor delta, Norm norm) {
    return Tensors.scoped(() -> delta.div(perImage(size(delta, norm)).add(Tensors.scalar(TINY))));
  }

  /** Clamps values to [0,1] in place. */
  static Tensor clampRange_(Tensor x) {
    return Tensors.scoped(
        () ->
            x.clamp_(new ScalarOptional(Tensors.scalar(0)), new ScalarOptional(Tensors.scalar(1))));
  }

  /** Clamps values between two tensors of the same shape, in place. */
  static Tensor clamp_(Tensor x, Tensor lower, Tensor upper) {
    return Tensors.scoped(() -> x.clamp_(new TensorOptional(lower), new TensorOptional(upper)));
  }

  /** {@code max(x − ε, 0)}: the lower bound of the L∞ ball within the range of images. */
  static Tensor lower(Tensor x, double epsilon) {
    return Tensors.scoped(() -> clampRange_(x.sub(Tensors.scalar(epsilon))));
  }

  /** {@code min(x + ε, 1)}. */
  static Tensor upper(Tensor x, double epsilon) {
    return Tensors.scoped(() -> clampRange_(x.add(Tensors.scalar(epsilon))));
  }

  /** {@code x} moved by {@code point − x} scaled back into the L2 ball, then clamped to [0,1]. */
  static Tensor ontoL2Ball(Tensor x, Tensor point, double epsilon) {
    return Tensors.scoped(
        () -> {
          Tensor delta = point.sub(x);
          Tensor size = size(delta, Norm.L2);
          Tensor radius =
              size.clamp(new ScalarOptional(), new ScalarOptional(Tensors.scalar(epsilon)));
          Tensor unit = delta.div_(perImage(size.add(Tensors.scalar(TINY))));
          return clampRange_(unit.mul_(perImage(radius)).add_(x));
        });
  }

  /**
   * The correction that moves {@code x + delta} to the nearest point (Euclidean) of the L1 ball
   * around {@code x} cut with [0,1]; where clipping to [0,1] alone reaches the ball, it only clips.
   *
   * <p>Each coordinate gives up an amount between what the range demands and all it has; the same
   * amount α for all but those at their bounds. The total given up is piecewise linear in α, so α
   * is found exactly by sorting the bounds (Croce and Hein 2021, prop. 2.1). Cost O(D log D) per
   * image.
   */
  static Tensor towardsL1Ball(Tensor x, Tensor delta, double epsilon) {
    return Tensors.scoped(
        () -> {
          long n = x.size(0);
          Tensor center = x.reshape(n, -1);
          Tensor move = delta.reshape(n, -1);
          long d = move.size(1);
          Tensor all = move.abs();
          // What the range demands: the overshoot beyond 0 or 1.
          Tensor point = center.add(move);
          Tensor room = torch.min(point, point.neg().add(Tensors.scalar(1)));
          Tensor demanded =
              room.neg().clamp(new ScalarOptional(Tensors.scalar(0)), new ScalarOptional());
          // What must be given up in total.
          Tensor goal = all.sum(1).sub(Tensors.scalar(epsilon));
          Tensor base = demanded.sum(1);

          T_TensorTensor_T sorted = torch.cat(Tensors.vector(demanded, all), 1).sort(1, false);
          Tensor bound = sorted.get0();
          Tensor slope =
              sorted
                  .get1()
                  .lt(Tensors.scalar(d))
                  .to(x.scalar_type())
                  .mul_(Tensors.scalar(2))
                  .sub_(Tensors.scalar(1))
                  .cumsum(1);
          Tensor widths = bound.narrow(1, 1, 2 * d - 1).sub(bound.narrow(1, 0, 2 * d - 1));
          Tensor given =
              torch.cat(
                  Tensors.vector(
                      base.unsqueeze(1),
                      widths.mul(slope.narrow(1, 0, 2 * d - 1)).cumsum(1).add(base.unsqueeze(1))),
                  1);
          // The last bound at which too little is given up.
          Tensor below = given.lt(goal.unsqueeze(1)).sum(1);
          Tensor segment =
              below
                  .sub(Tensors.scalar(1))
                  .clamp(
                      new ScalarOptional(Tensors.scalar(0)),
                      new ScalarOptional(Tensors.scalar(2 * d - 1)))
                  .to(torch.ScalarType.Long)
                  .unsqueeze(1);
          Tensor rise =
              slope
                  .gather(1, segment)
                  .clamp(new ScalarOptional(Tensors.scalar(1)), new ScalarOptional());
          Tensor alpha =
              goal.unsqueeze(1)
                  .sub(given.gather(1, segment))
                  .div(rise)
                  .add(bound.gather(1, segment));
          Tensor amount = torch.min(torch.max(alpha, demanded), all);
          Tensor inside = below.eq(Tensors.scalar(0)).unsqueeze(1);
          Tensor amounts = torch.where(inside, demanded, amount);
          return move.sign().mul_(amounts).neg_().reshape(Tensors.shape(x));
        });
  }
}
