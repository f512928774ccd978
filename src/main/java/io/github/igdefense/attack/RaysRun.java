package io.github.igdefense.attack;

import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Ray search (Chen and Gu 2020, alg. 3). Every image is in one of two states: checking whether a
 * block of flipped signs is misclassified at the radius found so far, or searching by bisection for
 * the smaller radius after such a success. Each forward pass answers one query of every image, so
 * batches stay full whatever state each image is in; the answers of one image do not depend on the
 * others.
 *
 * <p>An image whose radius has come down to the tolerance leaves: a further success starts a
 * bisection that is over at once, and nothing changes any more. So images that are wrong from the
 * start cost a bisection, not all queries.
 *
 * @param epsilon radius
 * @param queries allowed per image
 * @param tolerance of the bisection, as length of the perturbation in L2 before clipping
 */
record RaysRun(double epsilon, int queries, double tolerance) implements SingleRun {
  /** Blocks are single values long before this many halvings. */
  private static final int DEEPEST = 30;

  @Override
  public Outcome run(Input input) {
    Search search = new Search(input);
    for (int query = 0; query < queries && search.narrowDown(); query++) {
      search.next(query);
    }
    return search.outcome();
  }

  private final class Search {
    private final Input input;
    private final Lanes lanes;
    private final Visited visited;
    private final int dimensions;
    private final double length;
    private final double ball;
    private final Tensor clean;
    private final Tensor nearest;
    private final Tensor directions;
    private final double[] radius;
    private final double[] distance;
    private final double[] low;
    private final double[] high;
    private final boolean[] searching;
    private final int[] level;
    private final int[] block;
    private Tensor point;
    private Tensor signs;
    private boolean settled;

    Search(Input input) {
      this.input = input;
      this.lanes = input.lanes();
      this.visited = new Visited(input, null, input.stops());
      Tensor x = lanes.x();
      int n = lanes.size();
      this.dimensions = Math.toIntExact(x.numel() / n);
      this.length = Math.sqrt(dimensions);
      this.ball = lanes.type().bytes() == 4 ? (float) epsilon : epsilon;
      this.clean = x.clone();
      this.nearest = x.clone();
      this.directions = torch.ones_like(x);
      this.point = torch.empty_like(x);
      this.signs = torch.ones_like(x);
      this.radius = new double[n];
      this.distance = new double[n];
      Arrays.fill(radius, Double.POSITIVE_INFINITY);
      Arrays.fill(distance, Double.POSITIVE_INFINITY);
      this.low = new double[n];
      this.high = new double[n];
      this.searching = new boolean[n];
      this.level = new int[n];
      this.block = new int[n];
      input.context().trace().start(lanes.images(), epsilon, x);
      for (int j = 0; j < n; j++) {
        flip(j, j);
      }
    }

    boolean narrowDown() {
      int[] stay = staying();
      if (stay == null) {
        return true;
      }
      if (stay.length == 0) {
        return false;
      }
      lanes.keep(stay);
      point = Rows.compact(point, stay);
      signs = Rows.compact(signs, stay);
      return true;
    }

    /** The positions of images that can still change, or null where no further one leaves. */
    private int[] staying() {
      int[] open = visited.stay();
      if (!settled) {
        return open;
      }
      settled = false;
      int[] ids = lanes.ids();
      boolean[] stays = new boolean[ids.length];
      for (int j = 0; j < (open == null ? ids.length : open.length); j++) {
        int row = open == null ? j : open[j];
        stays[row] = radius[ids[row]] > tolerance;
      }
      return Rows.where(stays);
    }

    /** One query for every image. */
    void next(int query) {
      int[] ids = lanes.ids();
      double[] at = new double[ids.length];
      for (int j = 0; j < at.length; j++) {
        int id = ids[j];
        at[j] = searching[id] ? (low[id] + high[id]) / 2 : radius[id];
      }
      boolean[] correct;
      try (PointerScope scope = new PointerScope()) {
        ray(point, at);
        correct = lanes.correct(lanes.logits(point));
      }
      boolean[] shorter = new boolean[ids.length];
      for (int j = 0; j < ids.length; j++) {
        int id = ids[j];
        if (searching[id]) {
          low[id] = correct[j] ? at[j] : low[id];
          high[id] = correct[j] ? high[id] : at[j];
        } else if (!correct[j]) {
          searching[id] = true;
          low[id] = 0;
          high[id] = Math.min(radius[id], length);
        }
        boolean over = !searching[id] || high[id] - low[id] <= tolerance;
        if (over || query == queries - 1) {
          shorter[j] = searching[id] && high[id] < radius[id];
        }
      }
      take(shorter);
      for (int j = 0; j < ids.length; j++) {
        int id = ids[j];
        if (!searching[id] || high[id] - low[id] <= tolerance) {
          if (!shorter[j]) {
            flip(j, id);
          }
          searching[id] = false;
          advance(id);
          flip(j, id);
        }
      }
      double[] losses = negative(Rows.pick(distance, ids));
      input.context().trace().step(null, losses, negative(distance), visited.robust(), null, null);
      visited.report(query + 1, queries);
    }

    /**
     * {@code into = clamp(x + at·direction)}; any radius from 1 per value on is the same corner.
     */
    private void ray(Tensor into, double[] at) {
      double[] perValue = new double[at.length];
      for (int j = 0; j < at.length; j++) {
        perValue[j] = Math.min(at[j] / length, 1);
      }
      Tensor scale =
          Geometry.perImage(Tensors.of(perValue, perValue.length)).to(lanes.scalarType());
      into.copy_(signs).mul_(scale).add_(lanes.x());
      Geometry.clampRange_(into);
    }

    /** Keeps the points at the upper ends of finished searches. */
    private void take(boolean[] shorter) {
      int[] rows = Rows.where(shorter);
      if (rows.length == 0) {
        return;
      }
      int[] ids = lanes.ids();
      boolean[] inBall = new boolean[ids.length];
      try (PointerScope scope = new PointerScope()) {
        double[] at = new double[ids.length];
        for (int j : rows) {
          at[j] = high[ids[j]];
        }
        ray(point, at);
        double[] sizes = Tensors.toDoubles(Geometry.size(point.sub(lanes.x()), Norm.LINF));
        for (int j : rows) {
          int id = ids[j];
          radius[id] = high[id];
          settled |= radius[id] <= tolerance;
          distance[id] = sizes[j];
          inBall[j] = sizes[j] <= ball;
        }
        visited.copy(nearest, point, shorter);
        visited.copy(directions, signs, shorter);
      }
      visited.mark(inBall);
    }

    private void advance(int id) {
      int size = blockSize(id);
      block[id]++;
      if (block[id] == 1L << level[id] || (long) block[id] * size >= dimensions) {
        level[id] = Math.min(level[id] + 1, DEEPEST);
        block[id] = 0;
      }
    }

    private int blockSize(int id) {
      long blocks = 1L << level[id];
      return (int) ((dimensions + blocks - 1) / blocks);
    }

    /** Turns the signs of an image's present block. */
    private void flip(int row, int id) {
      int size = blockSize(id);
      int from = block[id] * size;
      try (PointerScope scope = new PointerScope()) {
        signs
            .select(0, row)
            .view(dimensions)
            .narrow(0, from, Math.min(size, dimensions - from))
            .neg_();
      }
    }

    Outcome outcome() {
      boolean all = input.context().selection() == PointSelection.ALL;
      boolean[] robust = visited.robust();
      Tensor best =
          Tensors.scoped(
              () -> {
                Tensor far = directions.mul(Tensors.scalar(ball)).add_(clean);
                Geometry.clampRange_(far);
                boolean[] kept = new boolean[robust.length];
                for (int i = 0; i < kept.length; i++) {
                  kept[i] = !all && !robust[i];
                }
                return torch.where(Geometry.perImage(Tensors.of(kept)), nearest, far);
              });
      input.context().trace().end(best);
      return new Outcome(best, negative(distance), nearest, robust, 0);
    }
  }

  private static double[] negative(double[] values) {
    double[] negative = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      negative[i] = -values[i];
    }
    return negative;
  }
}
