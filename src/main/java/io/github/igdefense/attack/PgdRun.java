package io.github.igdefense.attack;

import io.github.igdefense.attack.Lanes.Evaluation;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Projected gradient ascent with a fixed step (Madry et al. 2018).
 *
 * @param norm L∞ or L2
 * @param epsilon radius
 * @param steps iterations
 * @param stepSize length of a step
 * @param randomStart whether to start in the ball or at the image
 */
record PgdRun(Norm norm, double epsilon, int steps, double stepSize, boolean randomStart)
    implements SingleRun {

  @Override
  public Outcome run(Input input) {
    Lanes lanes = input.lanes();
    Tensor lower = norm == Norm.LINF ? Geometry.lower(lanes.x(), epsilon) : null;
    Tensor upper = norm == Norm.LINF ? Geometry.upper(lanes.x(), epsilon) : null;
    Tensor point = randomStart ? start(input) : lanes.x().clone();
    Tensor next = torch.empty_like(point);
    Tensor gradient = torch.empty_like(point);
    Visited visited = new Visited(input, point, input.stops());
    input.context().trace().start(lanes.images(), epsilon, point);
    int zeroGradients = 0;

    for (int step = 0; step <= steps; step++) {
      Evaluation now = step < steps ? lanes.gradient(point, gradient) : lanes.forward(point);
      zeroGradients = step == 0 ? Geometry.zeroRows(gradient) : zeroGradients;
      // The unchanged image is no point of the attack.
      if (step > 0 || randomStart) {
        visited.visit(point, now);
      }
      if (step > 0) {
        visited.report(step, steps);
      }
      int[] stay = visited.stay();
      if (step == steps || stay != null && stay.length == 0) {
        break;
      }
      if (stay != null) {
        lanes.keep(stay);
        point = Rows.compact(point, stay);
        next = Rows.compact(next, stay);
        gradient = Rows.compact(gradient, stay);
        lower = lower == null ? null : Rows.compact(lower, stay);
        upper = upper == null ? null : Rows.compact(upper, stay);
      }
      try (PointerScope scope = new PointerScope()) {
        if (norm == Norm.LINF) {
          torch.sign_out(next, gradient);
          next.mul_(Tensors.scalar(stepSize)).add_(point);
          Geometry.clamp_(next, lower, upper);
        } else {
          Tensor ahead =
              Geometry.normalize(gradient, norm).mul_(Tensors.scalar(stepSize)).add_(point);
          next.copy_(Geometry.ontoL2Ball(lanes.x(), ahead, epsilon));
        }
      }
      Tensor free = point;
      point = next;
      next = free;
    }
    input.context().trace().end(visited.best());
    return visited.outcome(zeroGradients);
  }

  /**
   * Uniform in the L∞ ball; in the L2 ball a uniform direction at a uniform distance. Clamped to
   * [0,1].
   */
  private Tensor start(Input input) {
    Lanes lanes = input.lanes();
    Tensor x = lanes.x();
    Rng rng = input.context().rng();
    return Tensors.scoped(
        () -> {
          Tensor delta;
          if (norm == Norm.LINF) {
            delta =
                rng.uniform(lanes.type(), Tensors.shape(x))
                    .mul_(Tensors.scalar(2 * epsilon))
                    .sub_(Tensors.scalar(epsilon));
          } else {
            Tensor direction = Geometry.normalize(rng.normal(lanes.type(), Tensors.shape(x)), norm);
            Tensor radius = Geometry.perImage(rng.uniform(lanes.type(), x.size(0)));
            delta = direction.mul_(radius).mul_(Tensors.scalar(epsilon));
          }
          return Geometry.clampRange_(delta.add_(x));
        });
  }
}
