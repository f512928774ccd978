package io.github.igdefense.attack;

import io.github.igdefense.attack.SingleRun.Input;
import io.github.igdefense.attack.SingleRun.Outcome;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.Comparator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * What all attacks have in common: checks, the first prediction, restarts and targets over the
 * images still in question, and the check of what came out.
 *
 * @param attack whose rounds these are
 * @param targets target classes per image, at most the other classes; 0 for untargeted attacks
 * @param restarts runs per target
 * @param eotIterations gradients averaged for random models
 * @param objective the loss to maximise; null for runs that bring their own
 * @param run what happens in a round
 */
record Rounds(
    Attack attack,
    int targets,
    int restarts,
    int eotIterations,
    Objective objective,
    SingleRun run) {

  AttackResult execute(
      DifferentiableClassifier model, Tensor images, long[] labels, AttackContext context) {
    Checks.images(images);
    int n = (int) images.size(0);
    Checks.labels(labels, n, model.classCount());
    int ranks = Math.min(targets, model.classCount() - 1);
    int rounds = Math.max(ranks, 1) * restarts;

    try (PointerScope scope = new PointerScope()) {
      Tensor x = Tensors.to(images.detach(), Lanes.workType(model)).contiguous();
      Tensor y = Tensors.of(labels, n);
      Tensor cleanLogits = Checks.cleanLogits(model, x);
      boolean[] correct = new boolean[n];
      long[] predictions = LogitLosses.predictions(cleanLogits);
      for (int i = 0; i < n; i++) {
        correct[i] = predictions[i] == labels[i];
      }
      boolean all = context.selection() == PointSelection.ALL;
      boolean stops = context.order() == RunOrder.FAST && model.deterministic() && !all;
      Tally tally = new Tally(x, correct);

      // A smoothed model draws noise for the prediction above; the attack's draws start here.
      context.rng().seed(context.seed());
      for (int round = 0; round < rounds; ) {
        int[] active = all ? every(n) : Rows.where(tally.robust);
        if (active.length == 0) {
          break;
        }
        // Rounds side by side where the images left fill the batch in part only.
        int abreast =
            stops && run.abreast() ? Math.min(rounds - round, Math.max(n / active.length, 1)) : 1;
        int[] rows = repeat(active, abreast);
        try (PointerScope roundScope = new PointerScope()) {
          // Copies: rows that leave are overwritten.
          Tensor rowX = Tensors.rows(x, rows);
          Tensor rowY = Tensors.rows(y, rows);
          long[] rowLabels = Rows.pick(labels, rows);
          int[] restart = new int[rows.length];
          int[] rank = new int[rows.length];
          for (int j = 0; j < rows.length; j++) {
            int number = round + j / active.length;
            restart[j] = number % restarts;
            rank[j] = number / restarts;
          }
          Tensor target = null;
          if (targets > 0) {
            Tensor logits =
                model.deterministic()
                    ? Tensors.rows(cleanLogits, rows)
                    : Checks.cleanLogits(model, rowX);
            long[] classes = targets(logits, rowLabels, rank);
            context.trace().targets(classes);
            target = Tensors.of(classes, classes.length);
          }
          Lanes lanes =
              new Lanes(model, eotIterations, objective, rowX, rowY, target, rowLabels, rows);
          Outcome outcome =
              run.run(new Input(attack.name(), lanes, restart, round, rounds, stops, context));
          tally.add(rows, outcome, lanes.gradients(), lanes.queries());
        }
        round += abreast;
      }
      return tally.result(attack);
    }
  }

  private static int[] every(int n) {
    int[] rows = new int[n];
    for (int i = 0; i < n; i++) {
      rows[i] = i;
    }
    return rows;
  }

  private static int[] repeat(int[] rows, int times) {
    int[] repeated = new int[rows.length * times];
    for (int j = 0; j < repeated.length; j++) {
      repeated[j] = rows[j % rows.length];
    }
    return repeated;
  }

  /** Per row the class of the given rank (0 = largest logit) among all but its label. */
  private static long[] targets(Tensor logits, long[] labels, int[] rank) {
    double[] values = Tensors.toDoubles(logits);
    int classes = values.length / labels.length;
    long[] targets = new long[labels.length];
    for (int i = 0; i < labels.length; i++) {
      int row = i * classes;
      long label = labels[i];
      Integer[] others = new Integer[classes - 1];
      for (int c = 0, next = 0; c < classes; c++) {
        if (c != label) {
          others[next++] = c;
        }
      }
      // Stable ascending order read from its end, as the reference does.
      Arrays.sort(others, Comparator.comparingDouble(c -> values[row + c]));
      targets[i] = others[others.length - 1 - rank[i]];
    }
    return targets;
  }

  /** The result of a batch while it grows. */
  private static final class Tally {
    private final Tensor x;
    private final Tensor adversarial;
    private final Tensor best;
    private final boolean[] correct;
    private final boolean[] robust;
    private final boolean[] found;
    private final double[] bestLoss;
    private final long[] gradients;
    private final long[] queries;
    private int zeroGradients;

    Tally(Tensor x, boolean[] correct) {
      int n = correct.length;
      this.x = x;
      this.adversarial = x.clone();
      this.best = x.clone();
      this.correct = correct;
      this.robust = correct.clone();
      this.found = new boolean[n];
      this.bestLoss = new double[n];
      Arrays.fill(bestLoss, Double.NaN);
      this.gradients = new long[n];
      this.queries = new long[n];
    }

    void add(int[] rows, Outcome outcome, long[] rowGradients, long[] rowQueries) {
      int n = found.length;
      // Per image the row to take a point from; several rows may belong to one image.
      int[] broken = new int[n];
      int[] better = new int[n];
      Arrays.fill(broken, -1);
      Arrays.fill(better, -1);
      for (int j = 0; j < rows.length; j++) {
        int i = rows[j];
        if (!found[i] && !outcome.robust()[j]) {
          broken[i] = j;
          found[i] = true;
        }
        robust[i] &= outcome.robust()[j];
        if (!(outcome.bestLoss()[j] <= bestLoss[i])) {
          better[i] = j;
          bestLoss[i] = outcome.bestLoss()[j];
        }
        gradients[i] += rowGradients[j];
        queries[i] += rowQueries[j];
      }
      take(adversarial, outcome.adversarial(), broken);
      take(best, outcome.best(), better);
      zeroGradients = Math.max(zeroGradients, outcome.zeroGradients());
    }

    private static void take(Tensor target, Tensor source, int[] rowOfImage) {
      boolean[] flags = new boolean[rowOfImage.length];
      for (int i = 0; i < flags.length; i++) {
        flags[i] = rowOfImage[i] >= 0;
      }
      int[] to = Rows.where(flags);
      Rows.copy(target, to, source, Rows.pick(rowOfImage, to));
    }

    AttackResult result(Attack attack) {
      Geometry.clampRange_(adversarial);
      Geometry.clampRange_(best);
      Checks.points(attack, x, adversarial, "adversarial");
      Checks.points(attack, x, best, "highest-loss");
      return new AttackResult(
          Tensors.keep(adversarial),
          Tensors.keep(best),
          correct,
          robust,
          bestLoss,
          gradients,
          queries,
          zeroGradients);
    }
  }
}
