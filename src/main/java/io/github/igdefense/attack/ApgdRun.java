package io.github.igdefense.attack;

import io.github.igdefense.attack.GradientEstimator.Evaluation;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Auto-PGD (Croce and Hein 2020; for L1: 2021): projected gradient ascent with momentum whose step
 * size is halved per image when progress stalls, restarting then from the best point.
 *
 * <p>Equal to the reference implementation step by step, with its particularities: the first
 * checkpoint compares the first loss with a table row that is still zero; the adversarial point is
 * the last misclassified iterate; the checkpoint schedule follows from the iterations of the whole
 * attack, also in the phases of the L1 attack.
 */
final class ApgdRun implements SingleRun {
  private static final double MOMENTUM = 0.75;
  private static final double L1_STEP_DIVISOR = 1.5;
  private static final double L1_SMALLEST_STEP = 10;
  private static final double L1_START_SPARSITY = 0.2;

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
    return largerEpsilon ? shrinkingBall(input) : phase(input, epsilon, steps, null, 0);
  }

  /**
   * Three phases in balls of 3, 2 and 1 times the radius, each starting from the last one's best
   * point.
   */
  private Outcome shrinkingBall(Input input) {
    double[] radii = {3 * epsilon, 2 * epsilon, epsilon};
    int first = (int) Math.ceil(.3 * steps);
    int[] lengths = {first, first, steps - 2 * first};
    Tensor x = input.x();
    Tensor point =
        Tensors.scoped(
            () -> {
              Tensor start = x.add(normal(input));
              return start.add_(Geometry.towardsL1Ball(x, start.sub(x), radii[0]));
            });
    long gradients = 0;
    int zeros = 0;
    Outcome outcome = null;
    int done = 0;
    for (int p = 0; p < radii.length; p++) {
      Tensor from = point;
      double radius = radii[p];
      Tensor start = Tensors.scoped(() -> from.add(Geometry.towardsL1Ball(x, from.sub(x), radius)));
      outcome = phase(input, radius, lengths[p], start, done);
      point = outcome.best();
      done += lengths[p];
      gradients += outcome.gradients();
      zeros = p == 0 ? outcome.zeroGradients() : zeros;
    }
    return new Outcome(
        outcome.best(),
        outcome.bestLoss(),
        outcome.adversarial(),
        outcome.robust(),
        gradients,
        zeros);
  }

  private static Tensor normal(Input input) {
    return input.context().rng().normal(workType(input.x()), Tensors.shape(input.x()));
  }

  private static Dtype workType(Tensor x) {
    return x.scalar_type().intern() == torch.ScalarType.Double ? Dtype.FLOAT64 : Dtype.FLOAT32;
  }

  /**
   * The random start: drawn even when another start is given, to keep to the reference's stream.
   */
  private Tensor randomStart(Input input, double radius) {
    Tensor x = input.x();
    Rng rng = input.context().rng();
    return Tensors.scoped(
        () ->
            switch (norm) {
              case LINF -> {
                Tensor draw =
                    rng.uniform(workType(x), Tensors.shape(x))
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

  private Outcome phase(Input input, double radius, int iterations, Tensor given, int stepsBefore) {
    Tensor x = input.x();
    int n = input.size();
    Trace trace = input.context().trace();

    Tensor point =
        Tensors.scoped(
            () -> {
              Tensor start = randomStart(input, radius);
              return Geometry.clampRange_(given == null ? start : given.clone());
            });
    trace.start(input.rows(), radius, point);

    Tensor previous = point.clone();
    Tensor next = torch.empty_like(point);
    Tensor gradient = torch.empty_like(point);
    Tensor best = point.clone();
    Tensor adversarial = point.clone();
    Tensor lower = norm == Norm.LINF ? Geometry.lower(x, radius) : null;
    Tensor upper = norm == Norm.LINF ? Geometry.upper(x, radius) : null;
    Tensor stepTensor = Geometry.perImage(x.new_empty(n));

    Evaluation now = input.gradients().gradient(point, input.loss(), gradient);
    Tensor bestGradient = gradient.clone();
    final int zeroGradients = zeroRows(gradient);

    boolean[] robust = now.correct().clone();
    double[] bestLoss = now.loss().clone();
    double[] bestLossAtCheckpoint = bestLoss.clone();
    boolean[] reducedAtCheckpoint = new boolean[n];
    Arrays.fill(reducedAtCheckpoint, true);
    double[][] losses = new double[iterations][n];

    double largestStep = (norm == Norm.L1 ? 1 : 2) * radius;
    double[] stepSize = new double[n];
    Arrays.fill(stepSize, largestStep);
    double[] sparsity = null;
    double[] supportAtCheckpoint = null;
    long values = x.numel() / n;
    int window = Math.max((int) (0.22 * steps), 1);
    if (norm == Norm.L1) {
      window = Math.max((int) (.04 * iterations), 1);
      sparsity = new double[n];
      supportAtCheckpoint = new double[n];
      if (given == null) {
        Arrays.fill(sparsity, L1_START_SPARSITY);
        Arrays.fill(supportAtCheckpoint, values);
      } else {
        supportAtCheckpoint = support(point, x);
        for (int i = 0; i < n; i++) {
          sparsity[i] = supportAtCheckpoint[i] / values / L1_STEP_DIVISOR;
        }
      }
    }
    int sinceCheckpoint = 0;

    for (int step = 0; step < iterations; step++) {
      try (PointerScope scope = new PointerScope()) {
        stepTensor.copy_(Geometry.perImage(Tensors.of(stepSize, n)));
        double a = step > 0 ? MOMENTUM : 1;
        switch (norm) {
          case LINF -> stepLinf(point, previous, next, gradient, stepTensor, lower, upper, a);
          case L2 -> stepL2(x, point, previous, next, gradient, stepTensor, radius, a);
          case L1 -> stepL1(x, point, next, gradient, stepTensor, sparsity, radius);
        }
      }
      Tensor free = previous;
      previous = point;
      point = next;
      next = free;

      now = input.gradients().gradient(point, input.loss(), gradient);
      double[] loss = now.loss();
      losses[step] = loss;
      boolean[] wrong = new boolean[n];
      boolean[] better = new boolean[n];
      int stillRobust = 0;
      for (int i = 0; i < n; i++) {
        wrong[i] = !now.correct()[i];
        robust[i] &= now.correct()[i];
        stillRobust += robust[i] ? 1 : 0;
        better[i] = loss[i] > bestLoss[i];
        bestLoss[i] = better[i] ? loss[i] : bestLoss[i];
      }
      Rows.copy(adversarial, point, wrong);
      Rows.copy(best, point, better);
      Rows.copy(bestGradient, gradient, better);
      trace.step(point, loss, bestLoss, robust, stepSize, sparsity);
      input
          .context()
          .listener()
          .step(
              new AttackListener.Progress(
                  input.attack(),
                  input.round(),
                  input.rounds(),
                  stepsBefore + step + 1,
                  steps,
                  stillRobust,
                  n));

      if (++sinceCheckpoint == window) {
        sinceCheckpoint = 0;
        boolean[] back = new boolean[n];
        if (norm == Norm.L1) {
          double[] support = support(best, x);
          for (int i = 0; i < n; i++) {
            back[i] = support[i] / supportAtCheckpoint[i] < .95;
            sparsity[i] = support[i] / values / L1_STEP_DIVISOR;
            stepSize[i] =
                back[i]
                    ? largestStep
                    : Math.max(stepSize[i] / L1_STEP_DIVISOR, largestStep / L1_SMALLEST_STEP);
          }
          supportAtCheckpoint = support;
        } else {
          for (int i = 0; i < n; i++) {
            boolean stuck = !reducedAtCheckpoint[i] && bestLossAtCheckpoint[i] >= bestLoss[i];
            back[i] = stuck || increases(losses, step, window, i) <= window * rho;
            stepSize[i] = back[i] ? stepSize[i] / 2 : stepSize[i];
          }
          reducedAtCheckpoint = back;
          bestLossAtCheckpoint = bestLoss.clone();
          window =
              Math.max(
                  window - Math.max((int) (0.03 * steps), 1), Math.max((int) (0.06 * steps), 1));
        }
        Rows.copy(point, best, back);
        Rows.copy(gradient, bestGradient, back);
      }
    }
    trace.end(best);
    return new Outcome(
        best,
        bestLoss,
        adversarial,
        robust,
        (iterations + 1L) * input.gradients().samples(),
        zeroGradients);
  }

  /**
   * How often the loss rose in the last {@code window} steps; the row before the first is the
   * table's last.
   */
  private static int increases(double[][] losses, int step, int window, int image) {
    int count = 0;
    for (int s = step; s > step - window; s--) {
      double before = losses[Math.floorMod(s - 1, losses.length)][image];
      count += losses[s][image] > before ? 1 : 0;
    }
    return count;
  }

  private static void stepLinf(
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

  private static void stepL2(
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
  private static void stepL1(
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

  private static double[] support(Tensor point, Tensor x) {
    try (PointerScope scope = new PointerScope()) {
      return Tensors.toDoubles(Geometry.support(point.sub(x)));
    }
  }

  private static int zeroRows(Tensor gradient) {
    int zeros = 0;
    try (PointerScope scope = new PointerScope()) {
      for (double count : Tensors.toDoubles(Geometry.support(gradient))) {
        zeros += count == 0 ? 1 : 0;
      }
    }
    return zeros;
  }
}
