package io.github.igdefense.attack;

import io.github.igdefense.attack.SingleRun.Input;
import io.github.igdefense.attack.SingleRun.Outcome;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * What all gradient attacks have in common: checks, the first prediction, restarts and targets one
 * after another over the images still in question, and the check of what came out.
 */
final class Rounds {

  /** The loss of one round. */
  @FunctionalInterface
  interface RoundLoss {
    /**
     * Makes the loss.
     *
     * @param round from 0
     * @param logits clean logits of the round's images [n,K]
     * @param y their labels [n], int64
     * @param labels the same on the host
     */
    LogitLoss of(int round, Tensor logits, Tensor y, long[] labels);
  }

  /** A loss that needs the labels alone. */
  @FunctionalInterface
  interface LabelLoss {
    LogitLoss of(Tensor y);
  }

  private final Attack attack;
  private final int rounds;
  private final int eotIterations;
  private final boolean needsLogits;
  private final RoundLoss loss;
  private final SingleRun run;

  private Rounds(
      Attack attack,
      int rounds,
      int eotIterations,
      boolean needsLogits,
      RoundLoss loss,
      SingleRun run) {
    this.attack = attack;
    this.rounds = rounds;
    this.eotIterations = eotIterations;
    this.needsLogits = needsLogits;
    this.loss = loss;
    this.run = run;
  }

  /** Rounds that differ in their random start alone. */
  static Rounds restarts(
      Attack attack, int restarts, int eotIterations, LabelLoss loss, SingleRun run) {
    return new Rounds(
        attack, restarts, eotIterations, false, (round, logits, y, labels) -> loss.of(y), run);
  }

  /** Rounds whose loss depends on the clean logits. */
  static Rounds targets(
      Attack attack, int rounds, int eotIterations, RoundLoss loss, SingleRun run) {
    return new Rounds(attack, rounds, eotIterations, true, loss, run);
  }

  AttackResult execute(
      DifferentiableClassifier model, Tensor images, long[] labels, AttackContext context) {
    checkImages(images);
    int n = (int) images.size(0);
    checkLabels(labels, n, model.classCount());
    Dtype type = GradientEstimator.workType(model);

    try (PointerScope scope = new PointerScope()) {
      Tensor x = Tensors.to(images.detach(), type).contiguous();
      Tensor y = Tensors.of(labels, n);
      Tensor cleanLogits = cleanLogits(model, x);
      boolean[] correct = new boolean[n];
      long[] predictions = LogitLosses.predictions(cleanLogits);
      for (int i = 0; i < n; i++) {
        correct[i] = predictions[i] == labels[i];
      }
      boolean all = context.selection() == PointSelection.ALL;
      boolean[] robust = correct.clone();
      boolean[] found = new boolean[n];
      double[] bestLoss = new double[n];
      Arrays.fill(bestLoss, Double.NaN);
      long[] gradients = new long[n];
      int zeroGradients = 0;
      Tensor adversarial = x.clone();
      Tensor best = x.clone();

      // A smoothed model draws noise for the prediction above; the attack's draws start here.
      context.rng().seed(context.seed());
      for (int round = 0; round < rounds; round++) {
        boolean[] active = new boolean[n];
        Arrays.fill(active, true);
        int[] rows = Rows.where(all ? active : robust);
        if (rows.length == 0) {
          break;
        }
        try (PointerScope roundScope = new PointerScope()) {
          boolean whole = rows.length == n;
          Tensor roundX = whole ? x : Tensors.rows(x, rows);
          Tensor roundY = whole ? y : Tensors.rows(y, rows);
          long[] roundLabels = pick(labels, rows);
          Tensor logits = null;
          if (needsLogits) {
            logits =
                !model.deterministic()
                    ? cleanLogits(model, roundX)
                    : whole ? cleanLogits : Tensors.rows(cleanLogits, rows);
          }
          Input input =
              new Input(
                  attack.name(),
                  roundX,
                  loss.of(round, logits, roundY, roundLabels),
                  new GradientEstimator(model, eotIterations, rows, roundLabels),
                  rows,
                  round,
                  rounds,
                  context);
          Outcome outcome = run.run(input);

          boolean[] broken = new boolean[rows.length];
          boolean[] better = new boolean[rows.length];
          for (int j = 0; j < rows.length; j++) {
            int i = rows[j];
            broken[j] = !found[i] && !outcome.robust()[j];
            found[i] |= broken[j];
            better[j] = !(outcome.bestLoss()[j] <= bestLoss[i]);
            robust[i] &= outcome.robust()[j];
            bestLoss[i] = better[j] ? outcome.bestLoss()[j] : bestLoss[i];
            gradients[i] += outcome.gradients();
          }
          copy(adversarial, rows, outcome.adversarial(), broken);
          copy(best, rows, outcome.best(), better);
          zeroGradients = Math.max(zeroGradients, outcome.zeroGradients());
        }
      }
      Geometry.clampRange_(adversarial);
      Geometry.clampRange_(best);
      verify(x, adversarial, "adversarial");
      verify(x, best, "highest-loss");
      return new AttackResult(
          Tensors.keep(adversarial),
          Tensors.keep(best),
          correct,
          robust,
          bestLoss,
          gradients,
          zeroGradients);
    }
  }

  private static void copy(Tensor target, int[] rows, Tensor source, boolean[] flags) {
    int[] from = Rows.where(flags);
    int[] to = new int[from.length];
    for (int j = 0; j < from.length; j++) {
      to[j] = rows[from[j]];
    }
    Rows.copy(target, to, source, from);
  }

  private static long[] pick(long[] values, int[] rows) {
    long[] picked = new long[rows.length];
    for (int j = 0; j < rows.length; j++) {
      picked[j] = values[rows[j]];
    }
    return picked;
  }

  private Tensor cleanLogits(DifferentiableClassifier model, Tensor x) {
    Tensor logits = model.logits(Tensors.to(x, model.dtype()));
    if (logits.dim() != 2 || logits.size(0) != x.size(0) || logits.size(1) != model.classCount()) {
      throw new InputException(
          "expected logits ["
              + x.size(0)
              + ","
              + model.classCount()
              + "] from "
              + model.name()
              + ", got "
              + Arrays.toString(Tensors.shape(logits)));
    }
    try (PointerScope scope = new PointerScope()) {
      int bad = firstBad(Tensors.toBooleans(logits.isfinite().all(1, false)));
      if (bad >= 0) {
        throw new InputException(
            "expected finite logits from "
                + model.name()
                + ", got NaN or infinity for image "
                + bad
                + " of the batch; check the checkpoint and the dtype");
      }
    }
    return logits;
  }

  private static void checkImages(Tensor x) {
    if (x.dim() != 4 || x.size(0) < 1 || !x.is_floating_point()) {
      throw new InputException(
          "expected at least one image as floating-point [N,C,H,W], got "
              + x.scalar_type().intern()
              + " "
              + Arrays.toString(Tensors.shape(x)));
    }
    try (PointerScope scope = new PointerScope()) {
      Tensor rows = x.reshape(x.size(0), -1);
      // Written so that NaN fails.
      Tensor inside = rows.ge(Tensors.scalar(0)).logical_and(rows.le(Tensors.scalar(1)));
      int bad = firstBad(Tensors.toBooleans(inside.all(1, false)));
      if (bad >= 0) {
        Tensor row = rows.select(0, bad);
        throw new InputException(
            "expected images with values in [0,1], got "
                + row.min().item_double()
                + " to "
                + row.max().item_double()
                + " in image "
                + bad
                + " of the batch; scale the images (normalisation belongs inside the model)");
      }
    }
  }

  private static void checkLabels(long[] labels, int n, int classes) {
    if (labels.length != n) {
      throw new InputException("expected " + n + " labels, one per image, got " + labels.length);
    }
    for (int i = 0; i < n; i++) {
      if (labels[i] < 0 || labels[i] >= classes) {
        throw new InputException(
            "expected labels in 0.."
                + (classes - 1)
                + ", got "
                + labels[i]
                + " for image "
                + i
                + " of the batch");
      }
    }
  }

  private static int firstBad(boolean[] good) {
    for (int i = 0; i < good.length; i++) {
      if (!good[i]) {
        return i;
      }
    }
    return -1;
  }

  /** No attack's word is taken for its ball: sizes are measured again, in float64. */
  private void verify(Tensor x, Tensor points, String what) {
    try (PointerScope scope = new PointerScope()) {
      Tensor delta = Tensors.to(points, Dtype.FLOAT64).sub(Tensors.to(x, Dtype.FLOAT64));
      double[] sizes = Tensors.toDoubles(Geometry.size(delta, attack.norm()));
      double allowed = attack.epsilon().value() * (1 + 1e-6) + rounding(x);
      Tensor rows = points.reshape(points.size(0), -1);
      double[] low = Tensors.toDoubles(rows.amin(new long[] {1}, false));
      double[] high = Tensors.toDoubles(rows.amax(new long[] {1}, false));
      for (int i = 0; i < sizes.length; i++) {
        if (!(sizes[i] <= allowed)) {
          throw new IllegalStateException(
              attack
                  + " left its ball: "
                  + attack.norm()
                  + " distance "
                  + sizes[i]
                  + " of the "
                  + what
                  + " point of image "
                  + i
                  + " exceeds "
                  + attack.epsilon().value());
        }
        if (!(low[i] >= 0 && high[i] <= 1)) {
          throw new IllegalStateException(
              attack
                  + " left the range [0,1]: the "
                  + what
                  + " point of image "
                  + i
                  + " has values "
                  + low[i]
                  + " to "
                  + high[i]);
        }
      }
    }
  }

  /** What rounding of the points to their type can add to the size of a perturbation. */
  private double rounding(Tensor x) {
    double ulp = x.element_size() == 8 ? Math.ulp(1.0) : Math.ulp(1f);
    double values = (double) x.numel() / x.size(0);
    return switch (attack.norm()) {
      case LINF -> ulp;
      case L2 -> ulp * Math.sqrt(values);
      case L1 -> ulp * values;
    };
  }
}
