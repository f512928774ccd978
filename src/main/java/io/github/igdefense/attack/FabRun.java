package io.github.igdefense.attack;

import io.github.igdefense.attack.Lanes.Evaluation;
import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Fast Adaptive Boundary attack (Croce and Hein 2020, alg. 1): steps onto the linearised decision
 * boundary, drawn towards the image, looking for the nearest misclassified point.
 *
 * <p>Equal to the reference implementation step by step. The loss is minus the distance of the
 * nearest misclassified point, minus infinity where there is none; the point of highest loss is
 * that point, or else the last one, drawn back into the ball. In the fast order an image leaves
 * once a misclassified point lies in the ball: the reference's verdict.
 *
 * @param norm L∞, L2 or L1
 * @param epsilon radius within which a misclassified point counts
 * @param steps iterations
 * @param alphaMax largest share of the image's own projection in a step
 * @param eta overshoot beyond the boundary
 * @param beta share of the distance kept after a misclassified point
 */
record FabRun(Norm norm, double epsilon, int steps, double alphaMax, double eta, double beta)
    implements SingleRun {
  private static final double SHORTEST = 1e-8;
  private static final double TINY = 1e-12;

  @Override
  public Outcome run(Input input) {
    Lanes lanes = input.lanes();
    int n = lanes.size();
    long values = lanes.x().numel() / n;
    Tensor point = start(input);
    Tensor plane = torch.empty_like(point);
    Tensor scratch = torch.empty_like(point);
    // The ball as numbers of the images' type compare.
    double radius = lanes.type().bytes() == 4 ? (float) epsilon : epsilon;
    double[] distance = new double[n];
    Arrays.fill(distance, Double.POSITIVE_INFINITY);
    Tensor clean = input.stops() ? lanes.x().clone() : lanes.x();
    Nearest nearest = new Nearest(point.clone(), distance, radius);
    Trace trace = input.context().trace();
    trace.start(lanes.images(), epsilon, point);
    Visited visited = new Visited(input, null, input.stops());
    int zeroGradients = 0;

    for (int step = 0; step < steps; step++) {
      int[] stay = visited.stay();
      if (stay != null) {
        if (stay.length == 0) {
          break;
        }
        lanes.keep(stay);
        point = Rows.compact(point, stay);
        plane = Rows.compact(plane, stay);
        scratch = Rows.compact(scratch, stay);
      }
      int m = lanes.size();
      int[] ids = lanes.ids();
      try (PointerScope scope = new PointerScope()) {
        Tensor x = lanes.x();
        double[] difference =
            lanes.target() != null
                ? lanes.gradient(point, plane).loss()
                : closestClass(lanes, point, plane, scratch);
        zeroGradients = step == 0 ? Geometry.zeroRows(plane) : zeroGradients;
        move(x, point, plane, Tensors.of(difference, m).to(lanes.scalarType()), values);

        boolean[] correct = lanes.correct(lanes.logits(point));
        double[] sizes = Tensors.toDoubles(Geometry.size(point.sub(x), norm));
        boolean[] counts = nearest.look(lanes, point, sizes, correct);
        double[] losses = new double[m];
        for (int j = 0; j < m; j++) {
          losses[j] = -distance[ids[j]];
        }
        // Only a misclassified point in the ball ends an image.
        visited.mark(counts);
        int[] wrong = Rows.where(inverse(correct));
        if (wrong.length > 0) {
          Tensor from = Tensors.rows(x, wrong);
          Tensor back = Tensors.rows(point, wrong).sub_(from).mul_(Tensors.scalar(beta)).add_(from);
          Rows.copy(point, wrong, back, Rows.where(all(wrong.length)));
        }
        trace.step(point, losses, negative(distance), visited.robust(), null, null);
        visited.report(step + 1, steps);
      }
      nearest.last(lanes, point);
    }
    Outcome outcome = nearest.outcome(clean, norm, visited.robust(), zeroGradients);
    trace.end(outcome.best());
    return outcome;
  }

  /** The image itself, or in later restarts a random point at half the radius. */
  private Tensor start(Input input) {
    Lanes lanes = input.lanes();
    int[] moved = new int[lanes.size()];
    int count = 0;
    for (int j = 0; j < moved.length; j++) {
      if (input.restart()[j] > 0) {
        moved[count++] = j;
      }
    }
    Tensor point = lanes.x().clone();
    if (count == 0) {
      return point;
    }
    int[] rows = Arrays.copyOf(moved, count);
    try (PointerScope scope = new PointerScope()) {
      Tensor x = Tensors.rows(lanes.x(), rows);
      var rng = input.context().rng();
      long[] shape = Tensors.shape(x);
      Tensor draw =
          norm == Norm.LINF
              ? rng.uniform(lanes.type(), shape).mul_(Tensors.scalar(2)).sub_(Tensors.scalar(1))
              : rng.normal(lanes.type(), shape);
      Tensor length = Geometry.perImage(Geometry.size(draw, norm));
      Tensor start = draw.mul_(Tensors.scalar(epsilon)).div_(length).mul_(Tensors.scalar(.5));
      Geometry.clampRange_(start.add_(x));
      Rows.copy(point, rows, start, Rows.where(all(count)));
    }
    return point;
  }

  /**
   * Of all classes but the label, the one whose linearised boundary is nearest: writes the gradient
   * of {@code z_class − z_label} into {@code plane} and returns its value. Deterministic models are
   * passed forward once for all classes.
   */
  private double[] closestClass(Lanes lanes, Tensor point, Tensor plane, Tensor scratch) {
    int m = lanes.size();
    int classes = lanes.model().classCount();
    double[] difference = new double[m];
    double[] shortest = new double[m];
    Arrays.fill(shortest, Double.POSITIVE_INFINITY);
    long[] labels = Tensors.toLongs(lanes.y());
    boolean once = lanes.model().deterministic();
    try (PointerScope scope = new PointerScope();
        ForwardPass pass = once ? lanes.record(point) : null) {
      for (int rank = 0; rank < classes - 1; rank++) {
        try (PointerScope inner = new PointerScope()) {
          long[] other = new long[m];
          for (int j = 0; j < m; j++) {
            other[j] = rank < labels[j] ? rank : rank + 1;
          }
          Tensor target = Tensors.of(other, m);
          LogitLoss loss = LogitLosses.difference(lanes.y(), target);
          Evaluation now;
          if (once) {
            scratch.copy_(pass.gradient(weights(pass.logits(), lanes.y(), target)));
            now = lanes.evaluation(pass.logits(), loss.of(pass.logits()));
          } else {
            now = lanes.gradient(point, loss, null, scratch);
          }
          double[] slope = Tensors.toDoubles(Geometry.size(scratch, dual()));
          boolean[] nearer = new boolean[m];
          for (int j = 0; j < m; j++) {
            double distance = Math.abs(now.loss()[j]) / (TINY + slope[j]);
            nearer[j] = distance < shortest[j] || rank == 0;
            if (nearer[j]) {
              shortest[j] = distance;
              difference[j] = now.loss()[j];
            }
          }
          Rows.copy(plane, scratch, nearer);
        }
      }
      if (once) {
        lanes.countGradients(classes - 1);
      }
    }
    return difference;
  }

  private static Tensor weights(Tensor logits, Tensor y, Tensor target) {
    return Tensors.scoped(
        () -> {
          Tensor ones = torch.ones_like(y).to(logits.scalar_type()).unsqueeze(1);
          Tensor weights = torch.zeros_like(logits).scatter(1, target.unsqueeze(1), ones);
          return weights.scatter_(1, y.unsqueeze(1), ones.neg());
        });
  }

  private Norm dual() {
    return norm == Norm.LINF ? Norm.L1 : norm == Norm.L1 ? Norm.LINF : Norm.L2;
  }

  /**
   * One step: both the point and the image are projected onto the plane, and mixed by how far they
   * had to move.
   */
  private void move(Tensor x, Tensor point, Tensor plane, Tensor difference, long values) {
    int m = (int) x.size(0);
    Tensor w = plane.view(m, values);
    Tensor atPoint = point.view(m, values);
    Tensor atImage = x.reshape(m, values);
    Tensor excess = w.mul(atImage.sub(atPoint)).sum(1).add_(difference);
    Tensor both =
        Hyperplanes.moves(
            norm,
            torch.cat(Tensors.vector(atPoint, atImage), 0),
            torch.cat(Tensors.vector(w, w), 0),
            torch.cat(Tensors.vector(difference, excess), 0));
    Tensor length =
        Geometry.size(both, norm)
            .clamp(new ScalarOptional(Tensors.scalar(SHORTEST)), new ScalarOptional());
    Tensor own = length.narrow(0, 0, m);
    Tensor alpha =
        own.div(own.add(length.narrow(0, m, m)))
            .clamp(
                new ScalarOptional(Tensors.scalar(0)), new ScalarOptional(Tensors.scalar(alphaMax)))
            .unsqueeze(1);
    both.mul_(Tensors.scalar(eta));
    Tensor ahead = both.narrow(0, 0, m).add_(atPoint);
    Tensor near = both.narrow(0, m, m).add_(atImage);
    ahead.mul_(alpha.neg().add_(Tensors.scalar(1))).add_(near.mul_(alpha));
    atPoint.copy_(Geometry.clampRange_(ahead));
  }

  private static boolean[] inverse(boolean[] flags) {
    boolean[] inverse = new boolean[flags.length];
    for (int j = 0; j < flags.length; j++) {
      inverse[j] = !flags[j];
    }
    return inverse;
  }

  private static boolean[] all(int n) {
    boolean[] flags = new boolean[n];
    Arrays.fill(flags, true);
    return flags;
  }

  private static double[] negative(double[] values) {
    double[] negative = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      negative[i] = -values[i];
    }
    return negative;
  }

  /**
   * The nearest misclassified points, by row number.
   *
   * @param point [n,C,H,W]; where none was found, the last point
   * @param distance [n]; infinite where none was found
   * @param radius of the ball
   */
  private record Nearest(Tensor point, double[] distance, double radius) {

    /** Looks at new points; returns where a misclassified one lies in the ball. */
    boolean[] look(Lanes lanes, Tensor at, double[] sizes, boolean[] correct) {
      int[] ids = lanes.ids();
      boolean[] nearer = new boolean[ids.length];
      boolean[] counts = new boolean[ids.length];
      for (int j = 0; j < ids.length; j++) {
        nearer[j] = !correct[j] && sizes[j] < distance[ids[j]];
        distance[ids[j]] = nearer[j] ? sizes[j] : distance[ids[j]];
        counts[j] = distance[ids[j]] <= radius;
      }
      int[] from = Rows.where(nearer);
      Rows.copy(point, Rows.pick(ids, from), at, from);
      return counts;
    }

    /** Keeps the last point where no misclassified one was found. */
    void last(Lanes lanes, Tensor at) {
      int[] ids = lanes.ids();
      boolean[] none = new boolean[ids.length];
      for (int j = 0; j < ids.length; j++) {
        none[j] = Double.isInfinite(distance[ids[j]]);
      }
      int[] from = Rows.where(none);
      Rows.copy(point, Rows.pick(ids, from), at, from);
    }

    Outcome outcome(Tensor clean, Norm norm, boolean[] robust, int zeroGradients) {
      Tensor best =
          Tensors.scoped(
              () -> {
                Tensor delta = point.sub(clean);
                Tensor size = Geometry.perImage(Geometry.size(delta, norm));
                Tensor inside = size.le(Tensors.scalar(radius));
                Tensor drawnBack =
                    delta.mul_(Tensors.scalar(radius)).div_(size.add(Tensors.scalar(TINY)));
                return torch.where(inside, point, drawnBack.add_(clean));
              });
      return new Outcome(best, negative(distance), point, robust, zeroGradients);
    }
  }
}
