package io.github.igdefense.attack;

import io.github.igdefense.attack.Lanes.Evaluation;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Auto-PGD (Croce and Hein 2020; for L1: 2021): projected gradient ascent with momentum whose step
 * size is halved per image when progress stalls, restarting then from the best point.
 *
 * <p>Equal to the reference implementation step by step, with its particularities: see {@link
 * ApgdSchedule}; the adversarial point is the last misclassified iterate.
 */
final class ApgdRun implements SingleRun {
  private static final double MOMENTUM = 0.75;

  private final Norm norm;
  private final double epsilon;
  private final int steps;
  private final double rho;
  private final boolean largerEpsilon;

  ApgdRun(Norm norm, double epsilon, int steps, double rho, boolean largerEpsilon) {
    this.norm = norm;
    this.epsilon = epsilon;
    this.steps = steps;
    this.rho = rho;
    this.largerEpsilon = largerEpsilon;
  }

  @Override
  public Outcome run(Input input) {
    return largerEpsilon
        ? shrinkingBall(input)
        : phase(input, epsilon, steps, null, 0, input.stops());
  }

  /**
   * Three phases in balls of 3, 2 and 1 times the radius, each starting from the last one's best
   * point.
   */
  private Outcome shrinkingBall(Input input) {
    double[] radii = {3 * epsilon, 2 * epsilon, epsilon};
    int first = (int) Math.ceil(.3 * steps);
    int[] lengths = {first, first, steps - 2 * first};
    Tensor x = input.lanes().x();
    Tensor point =
        Tensors.scoped(
            () -> {
              Tensor start = x.add(normal(input));
              return start.add_(Geometry.towardsL1Ball(x, start.sub(x), radii[0]));
            });
    int zeros = 0;
    Outcome outcome = null;
    int done = 0;
    for (int p = 0; p < radii.length; p++) {
      Tensor from = point;
      double radius = radii[p];
      Tensor start = Tensors.scoped(() -> from.add(Geometry.towardsL1Ball(x, from.sub(x), radius)));
      // Misclassified points of the larger balls do not count, so nobody leaves there.
      boolean stops = input.stops() && p == radii.length - 1;
      outcome = phase(input, radius, lengths[p], start, done, stops);
      point = outcome.best();
      done += lengths[p];
      zeros = p == 0 ? outcome.zeroGradients() : zeros;
    }
    return new Outcome(
        outcome.best(), outcome.bestLoss(), outcome.adversarial(), outcome.robust(), zeros);
  }

  private static Tensor normal(Input input) {
    Lanes lanes = input.lanes();
    return input.context().rng().normal(lanes.type(), Tensors.shape(lanes.x()));
  }

  /**
   * The random start: drawn even when another start is given, to keep to the reference's stream.
   */
  private Tensor randomStart(Input input, double radius) {
    Tensor x = input.lanes().x();
    Rng rng = input.context().rng();
    return Tensors.scoped(
        () ->
            switch (norm) {
              case LINF -> {
                Tensor draw =
                    rng.uniform(input.lanes().type(), Tensors.shape(x))
                        .mul_(Tensors.scalar(2))
                        .sub_(Tensors.scalar(1));
                yield Geometry.normalize(draw, norm).mul_(Tensors.scalar(radius)).add_(x);
              }
              case L2 ->
                  Geometry.normalize(normal(input), norm).mul_(Tensors.scalar(radius)).add_(x);
              case L1 -> {
                Tensor draw = normal(input);
                yield x.add(draw).add_(Geometry.towardsL1Ball(x, draw, radius));
              }
            });
  }

  private Outcome phase(
      Input input, double radius, int iterations, Tensor given, int stepsBefore, boolean stops) {
    Lanes lanes = input.lanes();
    int n = lanes.size();
    Trace trace = input.context().trace();

    Tensor point =
        Tensors.scoped(
            () -> {
              Tensor start = randomStart(input, radius);
              return Geometry.clampRange_(given == null ? start : given.clone());
            });
    trace.start(lanes.images(), radius, point);
    Tensor previous = point.clone();
    Tensor next = torch.empty_like(point);
    Tensor gradient = torch.empty_like(point);
    Tensor lower = norm == Norm.LINF ? Geometry.lower(lanes.x(), radius) : null;
    Tensor upper = norm == Norm.LINF ? Geometry.upper(lanes.x(), radius) : null;

    Visited visited = new Visited(input, point, stops);
    Evaluation now = lanes.gradient(point, gradient);
    visited.visit(point, now);
    final int zeroGradients = Geometry.zeroRows(gradient);
    Tensor bestGradient = gradient.clone();
    ApgdSchedule schedule =
        new ApgdSchedule(norm, n, steps, iterations, rho, radius, point.numel() / n, now.loss());
    if (norm == Norm.L1 && given != null) {
      schedule.startFrom(support(point, lanes.x()));
    }

    for (int step = 0; step < iterations; step++) {
      int[] stay = visited.stay();
      if (stay != null) {
        if (stay.length == 0) {
          break;
        }
        lanes.keep(stay);
        point = Rows.compact(point, stay);
        previous = Rows.compact(previous, stay);
        next = Rows.compact(next, stay);
        gradient = Rows.compact(gradient, stay);
        lower = lower == null ? null : Rows.compact(lower, stay);
        upper = upper == null ? null : Rows.compact(upper, stay);
      }
      int[] ids = lanes.ids();
      Tensor x = lanes.x();
      try (PointerScope scope = new PointerScope()) {
        double[] sizes = Rows.pick(schedule.stepSize(), ids);
        Tensor stepSize = Geometry.perImage(Tensors.of(sizes, sizes.length)).to(lanes.scalarType());
        double a = step > 0 ? MOMENTUM : 1;
        switch (norm) {
          case LINF ->
              ApgdStep.stepLinf(point, previous, next, gradient, stepSize, lower, upper, a);
          case L2 -> ApgdStep.stepL2(x, point, previous, next, gradient, stepSize, radius, a);
          case L1 -> {
            double[] sparsity = Rows.pick(schedule.sparsity(), ids);
            ApgdStep.stepL1(x, point, next, gradient, stepSize, sparsity, radius);
          }
        }
      }
      Tensor free = previous;
      previous = point;
      point = next;
      next = free;

      now = lanes.gradient(point, gradient);
      boolean[] better = visited.visit(point, now);
      visited.copy(bestGradient, gradient, better);
      trace.step(
          point,
          now.loss(),
          visited.bestLoss(),
          visited.robust(),
          schedule.stepSize(),
          schedule.sparsity());
      visited.report(stepsBefore + step + 1, steps);

      if (schedule.record(step, now.loss(), ids)) {
        boolean[] back =
            norm == Norm.L1
                ? schedule.sparseCheckpoint(bestSupport(visited, ids, x), ids)
                : schedule.checkpoint(step, visited.bestLoss(), ids);
        int[] to = Rows.where(back);
        int[] from = Rows.pick(ids, to);
        Rows.copy(point, to, visited.best(), from);
        Rows.copy(gradient, to, bestGradient, from);
      }
    }
    trace.end(visited.best());
    return visited.outcome(zeroGradients);
  }

  private static double[] support(Tensor point, Tensor x) {
    try (PointerScope scope = new PointerScope()) {
      return Tensors.toDoubles(Geometry.support(point.sub(x)));
    }
  }

  private static double[] bestSupport(Visited visited, int[] ids, Tensor x) {
    try (PointerScope scope = new PointerScope()) {
      return support(Tensors.rows(visited.best(), ids), x);
    }
  }
}
