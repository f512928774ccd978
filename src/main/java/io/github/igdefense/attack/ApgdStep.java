package io.github.igdefense.attack;

import io.github.igdefense.tensor.Tensors;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** One step of Auto-PGD in each norm, written into {@code next}. */
final class ApgdStep {
  private ApgdStep() {}

  static void stepLinf(
      Tensor point,
      Tensor previous,
      Tensor next,
      Tensor gradient,
      Tensor stepSize,
      Tensor lower,
      Tensor upper,
      double a) {
    torch.sign_out(next, gradient);
    next.mul_(stepSize).add_(point);
    Geometry.clamp_(next, lower, upper);
    addMomentum(point, previous, next, a);
    Geometry.clamp_(next, lower, upper);
  }

  static void stepL2(
      Tensor x,
      Tensor point,
      Tensor previous,
      Tensor next,
      Tensor gradient,
      Tensor stepSize,
      double radius,
      double a) {
    Tensor ahead = Geometry.normalize(gradient, Norm.L2).mul_(stepSize).add_(point);
    next.copy_(Geometry.ontoL2Ball(x, ahead, radius));
    addMomentum(point, previous, next, a);
    next.copy_(Geometry.ontoL2Ball(x, next, radius));
  }

  /** {@code next = point + a·(next − point) + (1 − a)·(point − previous)}. */
  private static void addMomentum(Tensor point, Tensor previous, Tensor next, double a) {
    next.sub_(point).mul_(Tensors.scalar(a)).add_(point);
    next.add_(point.sub(previous).mul_(Tensors.scalar(1 - a)));
  }

  /** A step along the signs of the largest gradient entries, of L1 length {@code stepSize}. */
  static void stepL1(
      Tensor x,
      Tensor point,
      Tensor next,
      Tensor gradient,
      Tensor stepSize,
      double[] sparsity,
      double radius) {
    int n = sparsity.length;
    Tensor magnitude = gradient.abs();
    Tensor sorted = magnitude.reshape(n, -1).sort(1, false).get0();
    long values = sorted.size(1);
    long[] rank = new long[n];
    for (int i = 0; i < n; i++) {
      rank[i] = (long) Math.min(Math.max((1 - sparsity[i]) * values, 0), values - 1);
    }
    Tensor threshold = Geometry.perImage(sorted.gather(1, Tensors.of(rank, n, 1)).squeeze(1));
    Tensor chosen = magnitude.ge(threshold).to(x.scalar_type());
    Tensor sign = gradient.mul(chosen).sign_();
    Tensor length = Geometry.perImage(Geometry.size(sign, Norm.L1)).add(Tensors.scalar(1e-10));
    Tensor delta = sign.mul_(stepSize).div_(length).add_(point).sub_(x);
    next.copy_(x.add(delta).add_(Geometry.towardsL1Ball(x, delta, radius)));
  }
}
