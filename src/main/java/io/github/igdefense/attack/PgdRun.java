package io.github.igdefense.attack;

import io.github.igdefense.attack.GradientEstimator.Evaluation;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Projected gradient ascent with a fixed step (Madry et al. 2018), in the L∞ or L2 ball. */
final class PgdRun implements SingleRun {
  private final Norm norm;
  private final double epsilon;
  private final int steps;
  private final double stepSize;
  private final boolean randomStart;

  PgdRun(Norm norm, double epsilon, int steps, double stepSize, boolean randomStart) {
    this.norm = norm;
    this.epsilon = epsilon;
    this.steps = steps;
    this.stepSize = stepSize;
    this.randomStart = randomStart;
  }

  @Override
  public Outcome run(Input input) {
    Tensor x = input.x();
    int n = input.size();
    Tensor lower = norm == Norm.LINF ? Geometry.lower(x, epsilon) : null;
    Tensor upper = norm == Norm.LINF ? Geometry.upper(x, epsilon) : null;
    Tensor point = randomStart ? start(input) : x.clone();
    Tensor next = torch.empty_like(point);
    Tensor gradient = torch.empty_like(point);
    Tensor best = point.clone();
    Tensor adversarial = point.clone();
    boolean[] robust = new boolean[n];
    Arrays.fill(robust, true);
    double[] bestLoss = new double[n];
    Arrays.fill(bestLoss, Double.NEGATIVE_INFINITY);
    input.context().trace().start(input.rows(), epsilon, point);
    int zeroGradients = 0;

    for (int step = 0; step <= steps; step++) {
      Evaluation now =
          step < steps
              ? input.gradients().gradient(point, input.loss(), gradient)
              : input.gradients().forward(point, input.loss());
      // The unchanged image is no point of the attack.
      if (step > 0 || randomStart) {
        boolean[] wrong = new boolean[n];
        boolean[] better = new boolean[n];
        for (int i = 0; i < n; i++) {
          wrong[i] = !now.correct()[i];
          robust[i] &= now.correct()[i];
          better[i] = now.loss()[i] > bestLoss[i];
          bestLoss[i] = better[i] ? now.loss()[i] : bestLoss[i];
        }
        Rows.copy(adversarial, point, wrong);
        Rows.copy(best, point, better);
      }
      if (step == steps) {
        break;
      }
      try (PointerScope scope = new PointerScope()) {
        if (step == 0) {
          for (double count : Tensors.toDoubles(Geometry.support(gradient))) {
            zeroGradients += count == 0 ? 1 : 0;
          }
        }
        if (norm == Norm.LINF) {
          torch.sign_out(next, gradient);
          next.mul_(Tensors.scalar(stepSize)).add_(point);
          Geometry.clamp_(next, lower, upper);
        } else {
          Tensor ahead =
              Geometry.normalize(gradient, norm).mul_(Tensors.scalar(stepSize)).add_(point);
          next.copy_(Geometry.ontoL2Ball(x, ahead, epsilon));
        }
      }
      Tensor free = point;
      point = next;
      next = free;
      int stillRobust = 0;
      for (boolean flag : robust) {
        stillRobust += flag ? 1 : 0;
      }
      input
          .context()
          .listener()
          .step(
              new AttackListener.Progress(
                  input.attack(), input.round(), input.rounds(), step + 1, steps, stillRobust, n));
    }
    input.context().trace().end(best);
    return new Outcome(
        best,
        bestLoss,
        adversarial,
        robust,
        (long) steps * input.gradients().samples(),
        zeroGradients);
  }

  /**
   * Uniform in the L∞ ball; in the L2 ball a uniform direction at a uniform distance. Clamped to
   * [0,1].
   */
  private Tensor start(Input input) {
    Tensor x = input.x();
    Rng rng = input.context().rng();
    Dtype type = x.element_size() == 8 ? Dtype.FLOAT64 : Dtype.FLOAT32;
    return Tensors.scoped(
        () -> {
          Tensor delta;
          if (norm == Norm.LINF) {
            delta =
                rng.uniform(type, Tensors.shape(x))
                    .mul_(Tensors.scalar(2 * epsilon))
                    .sub_(Tensors.scalar(epsilon));
          } else {
            Tensor direction = Geometry.normalize(rng.normal(type, Tensors.shape(x)), norm);
            Tensor radius = Geometry.perImage(rng.uniform(type, x.size(0)));
            delta = direction.mul_(radius).mul_(Tensors.scalar(epsilon));
          }
          return Geometry.clampRange_(delta.add_(x));
        });
  }
}
