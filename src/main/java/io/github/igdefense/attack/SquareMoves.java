package io.github.igdefense.attack;

import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Square's candidates in L2 and L1: the perturbation of one window is moved to another, mixed with
 * a pattern, and the whole scaled to the ball.
 */
final class SquareMoves {
  private static final double TINY = 1e-12;

  /** The L1 projection aims at a little less, so that rounding stays inside. */
  private static final double L1_SHRINK = 1 - 1e-6;

  private static final int GRID = 5;

  private final Norm norm;
  private final double epsilon;
  private final Rng rng;
  private final Dtype type;

  SquareMoves(Norm norm, double epsilon, Rng rng, Dtype type) {
    this.norm = norm;
    this.epsilon = epsilon;
    this.rng = rng;
    this.type = type;
  }

  /** Random signs: −1, or 1 (or 0, once in 2^24 draws, as in the reference). */
  static Tensor signs(Rng rng, Dtype type, long... shape) {
    return Tensors.scoped(
        () -> rng.uniform(type, shape).mul_(Tensors.scalar(2)).sub_(Tensors.scalar(1)).sign_());
  }

  /** A grid of windows with random signs, scaled to the ball. */
  Tensor start(Tensor x) {
    return Tensors.scoped(
        () -> {
          int height = (int) x.size(2);
          int width = (int) x.size(3);
          Tensor delta = torch.zeros_like(x);
          int side = Math.max(height / GRID, 1);
          int first = Math.max((height - side * GRID) / 2, 0);
          for (int i = 0; i < height / side; i++) {
            for (int j = 0; j < width / side; j++) {
              int row = first + i * side;
              int column = first + j * side;
              try (PointerScope scope = new PointerScope()) {
                Tensor pattern = pattern(side);
                Tensor signs = signs(rng, type, x.size(0), x.size(1), 1, 1);
                if (row + side <= height && column + side <= width) {
                  delta.narrow(2, row, side).narrow(3, column, side).add_(pattern.mul(signs));
                }
              }
            }
          }
          return ontoBall(x, delta);
        });
  }

  /**
   * A candidate for every image.
   *
   * @param point the best points so far
   * @param at row and column of the window that gets the perturbation, then of the one that loses
   *     it
   * @return points in the ball and in [0,1]
   */
  Tensor next(Tensor x, Tensor point, int[] at, int side) {
    return Tensors.scoped(
        () -> {
          long channels = x.size(1);
          Tensor delta = point.sub(x);
          Tensor window = delta.narrow(2, at[0], side).narrow(3, at[1], side);
          Tensor other = delta.narrow(2, at[2], side).narrow(3, at[3], side);
          Tensor image = Geometry.perImage(Geometry.size(delta, norm));
          Tensor inWindow = mass(window);
          Tensor inBoth = inWindow.add(mass(without(other, at, side)));
          final Tensor pattern = pattern(side);
          Tensor mixed = pattern.mul(signs(rng, type, x.size(0), channels, 1, 1));
          mixed.add_(window.div(root(inWindow).add(Tensors.scalar(TINY))));
          Tensor unit = mixed.div(root(mass(mixed)).add_(Tensors.scalar(TINY)));
          Tensor size;
          if (norm == Norm.L2) {
            Tensor unused =
                torch.relu(image.mul(image).neg_().add_(Tensors.scalar(epsilon * epsilon)));
            size = unused.div_(Tensors.scalar(channels)).add(inBoth).sqrt_();
          } else {
            Tensor unused = torch.relu(image.neg().add_(Tensors.scalar(epsilon)));
            size = unused.div_(Tensors.scalar(channels)).add(inBoth).mul_(Tensors.scalar(channels));
          }
          other.zero_();
          window.copy_(unit.mul_(size));
          return ontoBall(x, delta);
        });
  }

  /** L2: squares, L1: absolute values, summed per image and channel [n,c,1,1]. */
  private Tensor mass(Tensor part) {
    return Tensors.scoped(
        () ->
            (norm == Norm.L2 ? part.mul(part) : part.abs())
                .sum(new long[] {2, 3}, true, new org.bytedeco.pytorch.ScalarTypeOptional()));
  }

  /** The norm that a mass is of. */
  private Tensor root(Tensor mass) {
    return norm == Norm.L2 ? mass.sqrt() : mass.clone();
  }

  /** A copy of the second window, zero where the first one overlaps it. */
  private static Tensor without(Tensor other, int[] at, int side) {
    Tensor copy = other.clone();
    int top = Math.max(at[0], at[2]);
    int left = Math.max(at[1], at[3]);
    int rows = Math.min(at[0], at[2]) + side - top;
    int columns = Math.min(at[1], at[3]) + side - left;
    if (rows > 0 && columns > 0) {
      copy.narrow(2, top - at[2], rows).narrow(3, left - at[3], columns).zero_();
    }
    return copy;
  }

  private Tensor ontoBall(Tensor x, Tensor delta) {
    if (norm == Norm.L2) {
      Tensor unit = Geometry.normalize(delta, norm);
      return Geometry.clampRange_(unit.mul_(Tensors.scalar(epsilon)).add_(x));
    }
    Tensor correction = Geometry.towardsL1Ball(x, delta, epsilon * L1_SHRINK);
    return Geometry.clampRange_(x.add(delta).add_(correction));
  }

  /** The window's pattern [1,1,side,side], either way up by one draw. */
  private Tensor pattern(int side) {
    return Tensors.scoped(
        () -> {
          boolean transposed = Tensors.toDoubles(rng.uniform(Dtype.FLOAT32, 1))[0] > .5;
          double[] values = SquarePattern.window(norm, side, transposed);
          return Tensors.to(Tensors.of(values, 1, 1, side, side), type);
        });
  }
}
