package io.github.igdefense.attack;

import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Random search over square windows (Andriushchenko et al. 2020). Equal to the reference
 * implementation query by query, with its particularities: windows never touch the last row or
 * column; one query is spent on the start besides those allowed; a margin of exactly zero ends the
 * search of an image. All images of the batch share a window.
 *
 * <p>Images leave once broken, in both orders, as the draws do not depend on it but for the signs
 * of L2 and L1, which the reference too draws for the images left. With {@link PointSelection#ALL}
 * nobody leaves and the loss is raised to the last query.
 *
 * @param norm L∞, L2 or L1
 * @param epsilon radius
 * @param queries after the first
 * @param initialShare of the image in the first windows
 * @param loss what is raised
 * @param rescaled see {@link SquarePattern#share}
 */
record SquareRun(
    Norm norm, double epsilon, int queries, double initialShare, Square.Loss loss, boolean rescaled)
    implements SingleRun {

  @Override
  public boolean abreast() {
    return false;
  }

  @Override
  public Outcome run(Input input) {
    Search search = new Search(input);
    search.first();
    for (int query = 0; query < queries && search.narrowDown(); query++) {
      search.next(query);
    }
    search.finish();
    return new Outcome(search.best, search.bestLoss, search.adversarial, search.robust, 0);
  }

  /** The state of a search. Tensors lie in the scope of the run. */
  private final class Search {
    private final Input input;
    private final Lanes lanes;
    private final Rng rng;
    private final Dtype type;
    private final int channels;
    private final int height;
    private final int width;
    private final boolean leaves;
    private final Visited visited;
    private final SquareMoves moves;
    private final Tensor best;
    private final Tensor adversarial;
    private final double[] bestLoss;
    private final boolean[] robust;
    private Tensor point;
    private Tensor lower;
    private Tensor upper;

    Search(Input input) {
      this.input = input;
      this.lanes = input.lanes();
      this.rng = input.context().rng();
      this.type = lanes.type();
      Tensor x = lanes.x();
      this.channels = (int) x.size(1);
      this.height = (int) x.size(2);
      this.width = (int) x.size(3);
      this.leaves = input.context().selection() == PointSelection.CORRECT;
      this.visited = new Visited(input, null, leaves);
      this.moves = norm == Norm.LINF ? null : new SquareMoves(norm, epsilon, rng, type);
      this.best = x.clone();
      this.adversarial = x.clone();
      this.bestLoss = new double[lanes.size()];
      Arrays.fill(bestLoss, Double.NEGATIVE_INFINITY);
      this.robust = new boolean[lanes.size()];
      Arrays.fill(robust, true);
      if (norm == Norm.LINF) {
        lower = Geometry.lower(x, epsilon);
        upper = Geometry.upper(x, epsilon);
      }
    }

    /** Stripes (L∞) or a grid of windows. */
    void first() {
      Tensor x = lanes.x();
      point =
          norm == Norm.LINF
              ? Tensors.scoped(
                  () -> {
                    Tensor signs = signs(x.size(0), channels, 1, width);
                    return Geometry.clampRange_(signs.mul_(Tensors.scalar(epsilon)).add(x));
                  })
              : moves.start(x);
      input.context().trace().start(lanes.images(), epsilon, point);
      judge(null);
    }

    /** Lets broken images go; false where none is left. */
    boolean narrowDown() {
      int[] stay = visited.stay();
      if (stay == null) {
        return true;
      }
      keepBest();
      if (stay.length == 0) {
        return false;
      }
      lanes.keep(stay);
      point = Rows.compact(point, stay);
      lower = lower == null ? null : Rows.compact(lower, stay);
      upper = upper == null ? null : Rows.compact(upper, stay);
      return true;
    }

    void next(int query) {
      double share = SquarePattern.share(query, queries, initialShare, rescaled);
      try (PointerScope scope = new PointerScope()) {
        if (norm == Norm.LINF) {
          int side = SquarePattern.side(share, height, width, 1, false);
          int row = position(height - side);
          int column = position(width - side);
          Tensor window = window(point, row, column, side);
          Tensor old = window.clone();
          Tensor step = signs(channels, 1, 1).mul_(Tensors.scalar(2 * epsilon));
          Geometry.clamp_(
              window.add_(step),
              window(lower, row, column, side),
              window(upper, row, column, side));
          boolean[] taken = judge(null);
          // Where it did not help, the window goes back.
          Tensor keep = Geometry.perImage(Tensors.of(taken));
          window.copy_(torch.where(keep, window, old));
        } else {
          int side = SquarePattern.side(share, height, width, 3, true);
          int[] at = {
            position(height - side),
            position(width - side),
            position(height - side),
            position(width - side)
          };
          Tensor candidate = moves.next(lanes.x(), point, at, side);
          boolean[] taken = judge(candidate);
          Rows.copy(point, candidate, taken);
        }
      }
      visited.report(query + 1, queries);
    }

    /** Copies points out that are about to leave, or at the end all. */
    void keepBest() {
      int[] ids = lanes.ids();
      int[] all = new int[ids.length];
      Arrays.setAll(all, j -> j);
      Rows.copy(best, ids, point, all);
    }

    void finish() {
      keepBest();
      input.context().trace().end(best);
    }

    /**
     * One query: looks at {@code candidate}, or where null at the point, which has been changed
     * already.
     *
     * @return which rows take it
     */
    private boolean[] judge(Tensor candidate) {
      int[] ids = lanes.ids();
      boolean[] taken = new boolean[ids.length];
      try (PointerScope scope = new PointerScope()) {
        Tensor at = candidate == null ? point : candidate;
        Tensor logits = lanes.logits(at);
        LogitLoss margin = LogitLosses.margin(lanes.y());
        Lanes.Evaluation now = lanes.evaluation(logits, margin.of(logits));
        double[] margins = now.loss();
        double[] losses =
            loss == Square.Loss.MARGIN
                ? margins
                : lanes.evaluation(logits, LogitLosses.crossEntropy(lanes.y()).of(logits)).loss();
        boolean[] over = new boolean[ids.length];
        boolean[] wrong = new boolean[ids.length];
        for (int j = 0; j < ids.length; j++) {
          int id = ids[j];
          over[j] = margins[j] >= 0;
          boolean better = losses[j] > bestLoss[id];
          taken[j] = better || leaves && over[j];
          bestLoss[id] = better ? losses[j] : bestLoss[id];
          wrong[j] = !now.correct()[j];
          robust[id] &= now.correct()[j];
        }
        visited.mark(over);
        visited.copy(adversarial, at, wrong);
        input.context().trace().step(null, losses, bestLoss, robust, null, null);
      }
      return taken;
    }

    private Tensor window(Tensor images, int row, int column, int side) {
      return images.narrow(2, row, side).narrow(3, column, side);
    }

    private Tensor signs(long... shape) {
      return Tensors.scoped(() -> SquareMoves.signs(rng, type, shape));
    }

    /** A position in [0, bound): the last one possible never comes up. */
    private int position(int bound) {
      try (PointerScope scope = new PointerScope()) {
        double draw = Tensors.toDoubles(rng.uniform(Dtype.FLOAT32, 1))[0];
        return type == Dtype.FLOAT64 ? (int) (bound * draw) : (int) ((float) bound * (float) draw);
      }
    }
  }
}
