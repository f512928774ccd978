package io.github.igdefense.attack;

import io.github.igdefense.attack.Lanes.Evaluation;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * One run of GAMA-PGD in the L∞ ball (Sriramanan et al. 2020). The relaxation term pulls away from
 * the probabilities at the random start, not at the image, and the start is not clipped to [0,1]:
 * as in the reference implementation of the defense.
 *
 * @param settings the attack
 * @param start draws the signs of the start
 */
record GamaRun(GamaPgd settings, Start start) implements SingleRun {

  /** Draws the start. */
  @FunctionalInterface
  interface Start {
    /** Signs ±1 of the shape of {@code lanes.x()}, in the caller's scope. */
    Tensor signs(Lanes lanes, Rng rng);

    /** One fair draw per value. */
    static Tensor bernoulli(Lanes lanes, Rng rng) {
      return Tensors.scoped(
          () ->
              rng.uniform(lanes.type(), Tensors.shape(lanes.x()))
                  .lt(Tensors.scalar(.5))
                  .to(lanes.scalarType())
                  .mul_(Tensors.scalar(2))
                  .sub_(Tensors.scalar(1)));
    }
  }

  @Override
  public Outcome run(Input input) {
    Lanes lanes = input.lanes();
    double epsilon = settings.epsilon().value();
    int steps = settings.steps();
    Trace trace = input.context().trace();
    boolean lastOnly = input.context().order() == RunOrder.REFERENCE;
    Tensor lower = Geometry.lower(lanes.x(), epsilon);
    Tensor upper = Geometry.upper(lanes.x(), epsilon);
    Tensor point =
        Tensors.scoped(
            () ->
                start
                    .signs(lanes, input.context().rng())
                    .mul(Tensors.scalar(epsilon))
                    .add_(lanes.x()));
    final Tensor first = lanes.model().deterministic() ? null : point.clone();
    trace.start(lanes.images(), epsilon, point);
    Tensor probabilities = probabilities(lanes, point);
    Tensor next = torch.empty_like(point);
    Tensor gradient = torch.empty_like(point);
    Visited visited = new Visited(input, lanes.x(), input.stops());
    double weight = settings.weight();
    double stepSize = settings.stepSize();
    int zeroGradients = 0;

    for (int step = 0; step <= steps; step++) {
      LogitLoss margin = margin(lanes.y());
      Evaluation now;
      if (step == steps) {
        now = lanes.forward(point, margin);
      } else {
        if (first != null && step > 0 && step <= settings.decaySteps()) {
          // A random model answers anew at the start.
          try (PointerScope scope = new PointerScope()) {
            probabilities.copy_(probabilities(lanes, first));
          }
        }
        boolean relaxed = step <= settings.decaySteps();
        LogitLoss cost = relaxed ? relaxed(margin, probabilities, weight) : margin;
        weight -= settings.weight() / settings.decaySteps();
        now = lanes.gradient(point, cost, margin, gradient);
        zeroGradients = step == 0 ? Geometry.zeroRows(gradient) : zeroGradients;
      }
      // The start may lie outside [0,1]: it is no point of the attack.
      if (step > 0) {
        visited.visit(point, now.loss(), lastOnly && step < steps ? correct(lanes) : now.correct());
        visited.report(step, steps);
      }
      trace.step(point, now.loss(), visited.bestLoss(), visited.robust(), null, null);
      int[] stay = visited.stay();
      if (step == steps || stay != null && stay.length == 0) {
        break;
      }
      if (stay != null) {
        lanes.keep(stay);
        point = Rows.compact(point, stay);
        next = Rows.compact(next, stay);
        gradient = Rows.compact(gradient, stay);
        lower = Rows.compact(lower, stay);
        upper = Rows.compact(upper, stay);
        probabilities = Rows.compact(probabilities, stay);
      }
      stepSize = settings.dropSteps().contains(step) ? stepSize / settings.drop() : stepSize;
      try (PointerScope scope = new PointerScope()) {
        torch.sign_out(next, gradient);
        next.mul_(Tensors.scalar(stepSize)).add_(point);
        Geometry.clamp_(next, lower, upper);
      }
      Tensor free = point;
      point = next;
      next = free;
    }
    trace.end(visited.best());
    return visited.outcome(zeroGradients);
  }

  private static Tensor probabilities(Lanes lanes, Tensor at) {
    return Tensors.scoped(() -> torch.softmax(lanes.logits(at), 1).contiguous());
  }

  /** The margin of the probabilities. */
  private static LogitLoss margin(Tensor y) {
    LogitLoss ofLogits = LogitLosses.margin(y);
    return logits -> Tensors.scoped(() -> ofLogits.of(torch.softmax(logits, 1)));
  }

  /** The margin plus the weighted squared distance to {@code from}. */
  private static LogitLoss relaxed(LogitLoss margin, Tensor from, double weight) {
    return logits ->
        Tensors.scoped(
            () -> {
              Tensor away = torch.softmax(logits, 1).sub(from);
              return away.mul(away).sum(1).mul(Tensors.scalar(weight)).add(margin.of(logits));
            });
  }

  private static boolean[] correct(Lanes lanes) {
    boolean[] flags = new boolean[lanes.size()];
    Arrays.fill(flags, true);
    return flags;
  }
}
