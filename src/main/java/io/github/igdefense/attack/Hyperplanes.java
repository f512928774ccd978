package io.github.igdefense.attack;

import io.github.igdefense.tensor.Tensors;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * The shortest move of a point t of the box [0,1]^D onto a hyperplane {@code w·z = b} within the
 * box, in L∞, L2 and L1 (Croce and Hein 2020, "Minimally distorted adversarial examples", sec.
 * 3.1). Where the plane misses the box, the move to the corner nearest to it.
 *
 * <p>Every coordinate can move down along {@code w}: by at most its room r, and the plane is
 * reached when Σ|w|·move is the excess |w·t − b|. In L∞ all coordinates move by min(λ, r), in L2 by
 * min(λ|w|, r): λ is the root of an increasing concave function of linear pieces, which Newton's
 * method finds exactly, coming from the left, in a handful of passes (a sort would cost more). In
 * L1 the coordinates of largest |w| go all the way, one after another.
 */
final class Hyperplanes {
  /** Coordinates with smaller weights stay, in L2 and L1; as in the reference implementation. */
  private static final double NEGLIGIBLE = 1e-8;

  private static final int MOST_PASSES = 100;

  private Hyperplanes() {}

  /**
   * Moves onto one plane per row.
   *
   * @param points [n,D] in [0,1]
   * @param w normals [n,D]
   * @param excess w·t − b [n]
   * @return the moves [n,D], in the caller's scope
   */
  static Tensor moves(Norm norm, Tensor points, Tensor w, Tensor excess) {
    return Tensors.scoped(
        () -> {
          Tensor sign =
              excess
                  .ge(Tensors.scalar(0))
                  .to(w.scalar_type())
                  .mul_(Tensors.scalar(2))
                  .sub_(Tensors.scalar(1));
          Tensor down = w.mul(sign.unsqueeze(1));
          Tensor direction = down.sign().neg_();
          // Room: to 0 where w is positive, to 1 where it is negative, none where it is 0.
          Tensor room =
              torch
                  .where(down.gt(Tensors.scalar(0)), points, points.neg().add_(Tensors.scalar(1)))
                  .mul_(direction.abs());
          Tensor size = down.abs();
          Tensor goal = excess.abs();
          Tensor length =
              switch (norm) {
                case LINF -> torch.min(level(size, room, goal), room);
                case L2 -> {
                  // Reached at λ = r/|w|; where w is negligible that is far, and nothing moves.
                  Tensor counts = size.gt(Tensors.scalar(NEGLIGIBLE)).to(w.scalar_type());
                  Tensor weight = size.mul(counts);
                  Tensor reach = room.div(size.clamp(atLeast(NEGLIGIBLE), new ScalarOptional()));
                  Tensor lambda = level(weight.mul(weight), reach, goal);
                  yield torch.min(torch.min(lambda, reach).mul_(weight), room);
                }
                case L1 -> largestFirst(size, room, goal);
              };
          return length.mul_(direction);
        });
  }

  private static ScalarOptional atLeast(double value) {
    return new ScalarOptional(Tensors.scalar(value));
  }

  /**
   * The λ [n,1] at which Σ gain·min(λ, reach) is the goal; infinite where it never is.
   *
   * @param gain [n,D], not negative
   * @param reach [n,D], not negative
   * @param goal [n], not negative
   */
  private static Tensor level(Tensor gain, Tensor reach, Tensor goal) {
    return Tensors.scoped(
        () -> {
          Tensor full = gain.mul(reach);
          Tensor target = goal.unsqueeze(1);
          Tensor infinite = torch.full_like(target, Tensors.scalar(Double.POSITIVE_INFINITY));
          Tensor lambda = target.div(gain.sum(new long[] {1}, true, none()));
          // 0/0, a plane without weights that the point lies on: nothing to move.
          lambda = torch.where(lambda.isnan(), torch.zeros_like(lambda), lambda);
          for (int pass = 0; pass < MOST_PASSES; pass++) {
            Tensor now = lambda;
            boolean[] done = {false};
            lambda =
                Tensors.scoped(
                    () -> {
                      Tensor free = reach.gt(now).to(gain.scalar_type());
                      Tensor slope = gain.mul(free).sum(new long[] {1}, true, none());
                      Tensor used = full.sub(full.mul(free)).sum(new long[] {1}, true, none());
                      Tensor better = target.sub(used).div_(slope);
                      better = torch.where(slope.gt(Tensors.scalar(0)), better, infinite);
                      Tensor raised = torch.max(now, better);
                      done[0] = !raised.gt(now).any().item_bool();
                      return raised;
                    });
            if (done[0]) {
              break;
            }
          }
          // All at their bounds is enough: a finite level does it too.
          return lambda;
        });
  }

  private static org.bytedeco.pytorch.ScalarTypeOptional none() {
    return new org.bytedeco.pytorch.ScalarTypeOptional();
  }

  /** Moves that use up the room of the largest weights first, [n,D]. */
  private static Tensor largestFirst(Tensor size, Tensor room, Tensor goal) {
    return Tensors.scoped(
        () -> {
          var sorted = size.sort(1, true);
          Tensor weight = sorted.get0();
          Tensor order = sorted.get1();
          Tensor roomSorted = room.gather(1, order);
          Tensor yield = weight.mul(roomSorted);
          Tensor before = yield.cumsum(1).sub_(yield);
          Tensor left = goal.unsqueeze(1).sub(before);
          Tensor length =
              torch.min(
                  left.clamp(atLeast(0), new ScalarOptional())
                      .div(weight.clamp(atLeast(NEGLIGIBLE), new ScalarOptional())),
                  roomSorted);
          length.mul_(weight.gt(Tensors.scalar(NEGLIGIBLE)).to(size.scalar_type()));
          return torch.zeros_like(size).scatter(1, order, length);
        });
  }
}
