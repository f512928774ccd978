package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.AttackContext;
import io.github.igdefense.attack.AttackResult;
import io.github.igdefense.attack.PointSelection;
import io.github.igdefense.attack.RunOrder;
import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;

/**
 * Runs an attack over an image set in batches and judges what comes out.
 *
 * <p>As in the reference implementation, batches are formed from the correctly classified images in
 * their order, and the random draws of every batch start from the same seed. So the result depends
 * on the batch size, as the reference's does, but on nothing else that ran before.
 *
 * <p>Random classifiers: all images whose clean majority is correct are attacked in every restart
 * and target (a single unlucky draw neither spares nor ends an image), and an image is broken if
 * the majority is wrong at its adversarial point or at its point of highest loss.
 *
 * @param batchSize images attacked at a time
 * @param seed of every batch's draws
 * @param judge decides whether an image counts as correct
 * @param everyImage also attack images that are misclassified from the start: for transfer
 * @param order of restarts, targets and images within a batch
 */
public record AttackEvaluation(
    int batchSize, long seed, RepeatedEvaluation judge, boolean everyImage, RunOrder order) {
  /** Checks the batch size. */
  public AttackEvaluation {
    if (batchSize < 1) {
      throw new InputException("expected a positive batch size, got " + batchSize);
    }
  }

  /** In the fast order. */
  public AttackEvaluation(int batchSize, long seed, RepeatedEvaluation judge, boolean everyImage) {
    this(batchSize, seed, judge, everyImage, RunOrder.FAST);
  }

  /**
   * Attacks a set.
   *
   * @param cleanCorrect whether each unchanged image is classified correctly [N]
   * @throws InputException as {@link Attack#run}
   */
  public AttackRun run(
      Attack attack,
      DifferentiableClassifier model,
      ImageSet images,
      boolean[] cleanCorrect,
      EvaluationListener listener) {
    return run(attack, model, model, images, cleanCorrect, listener);
  }

  /**
   * Attacks a set on one classifier and judges the points on another form of it: a bfloat16 model's
   * points in float32, say, where an image counts as broken only if it is broken there.
   *
   * @param judged takes the same images
   */
  public AttackRun run(
      Attack attack,
      DifferentiableClassifier model,
      Classifier judged,
      ImageSet images,
      boolean[] cleanCorrect,
      EvaluationListener listener) {
    Predictions.checkLabels(model, images);
    int n = images.size();
    if (cleanCorrect.length != n) {
      throw new IllegalArgumentException("expected " + n + " flags, got " + cleanCorrect.length);
    }
    int[] chosen = new int[everyImage ? n : Accuracy.count(cleanCorrect)];
    for (int i = 0, next = 0; i < n; i++) {
      if (everyImage || cleanCorrect[i]) {
        chosen[next++] = i;
      }
    }
    Totals totals = new Totals(cleanCorrect);
    long start = System.nanoTime();
    if (chosen.length > 0) {
      try (AttackContext context = AttackContext.seeded(seed)) {
        AttackContext selected =
            context
                .withOrder(order)
                .withSelection(
                    everyImage || !model.deterministic()
                        ? PointSelection.ALL
                        : PointSelection.CORRECT);
        Predictions.forEach(
            model,
            images,
            batchSize,
            chosen,
            (batch, x) -> {
              AttackContext told =
                  selected.withListener(
                      p -> {
                        double part = (p.round() + (double) p.step() / p.steps()) / p.rounds();
                        listener.progress(
                            new EvaluationListener.Progress(
                                attack.name(),
                                totals.done,
                                chosen.length,
                                totals.standing + p.robust(),
                                (totals.done + part * batch.size()) / chosen.length));
                      });
              // Attacks compute in float32 or float64, whatever the model does.
              Tensor points = x.element_size() < 4 ? widened(batch) : x;
              try (AttackResult result = attack.run(model, points, batch.labels(), told)) {
                totals.add(batch, result, judged, judge);
              }
              listener.progress(
                  new EvaluationListener.Progress(
                      attack.name(),
                      totals.done,
                      chosen.length,
                      totals.standing,
                      (double) totals.done / chosen.length));
            });
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    String made = images.name() + " (" + attack + " on " + model.name() + ")";
    return new AttackRun(
        attack,
        model.name(),
        cleanCorrect.clone(),
        totals.robust,
        totals.reported,
        totals.bestLoss,
        new PerturbedImages(images, made, totals.adversarial),
        new PerturbedImages(images, made + ", highest loss", totals.best),
        everyImage,
        totals.gradients,
        totals.zeroGradients,
        seconds);
  }

  private static Tensor widened(ImageBatch batch) {
    return Tensors.of(batch.floats(), batch.shape());
  }

  /** What has come out so far. */
  private static final class Totals {
    private final boolean[] cleanCorrect;
    private final boolean[] robust;
    private final boolean[] reported;
    private final double[] bestLoss;
    private final Object[] adversarial;
    private final Object[] best;
    private int done;
    private int standing;
    private long gradients;
    private int zeroGradients;

    Totals(boolean[] cleanCorrect) {
      this.cleanCorrect = cleanCorrect;
      int n = cleanCorrect.length;
      robust = new boolean[n];
      reported = new boolean[n];
      adversarial = new Object[n];
      best = new Object[n];
      bestLoss = new double[n];
      Arrays.fill(bestLoss, Double.NaN);
    }

    void add(ImageBatch batch, AttackResult result, Classifier judged, RepeatedEvaluation judge) {
      boolean[] atAdversarial = correctAt(result.adversarial(), batch, judged, judge);
      boolean[] atBest =
          judged.deterministic() ? null : correctAt(result.best(), batch, judged, judge);
      boolean[] reportedRobust = result.robust();
      double[] losses = result.bestLoss();
      Object[] points = split(result.adversarial());
      Object[] bestPoints = split(result.best());
      for (int j = 0; j < batch.size(); j++) {
        int i = batch.indices()[j];
        boolean holdsAtBest = atBest == null || atBest[j];
        robust[i] = cleanCorrect[i] && atAdversarial[j] && holdsAtBest;
        reported[i] = cleanCorrect[i] && reportedRobust[j];
        bestLoss[i] = losses[j];
        if (cleanCorrect[i] && !robust[i]) {
          adversarial[i] = atAdversarial[j] ? bestPoints[j] : points[j];
        }
        best[i] = Double.isNaN(losses[j]) ? null : bestPoints[j];
        gradients += result.gradientEvaluations()[j];
        standing += robust[i] ? 1 : 0;
      }
      zeroGradients += result.zeroGradientImages();
      done += batch.size();
    }

    private static boolean[] correctAt(
        Tensor points, ImageBatch batch, Classifier judged, RepeatedEvaluation judge) {
      try (org.bytedeco.javacpp.PointerScope scope = new org.bytedeco.javacpp.PointerScope()) {
        return judge.judge(judged, Tensors.to(points, judged.dtype()), batch.labels()).correct();
      }
    }

    /** One array per image: double for float64 points, else float. */
    private static Object[] split(Tensor points) {
      int n = (int) points.size(0);
      Object[] images = new Object[n];
      if (points.element_size() == Dtype.FLOAT64.bytes()) {
        double[] all = Tensors.toDoubles(points);
        int length = all.length / n;
        Arrays.setAll(images, i -> Arrays.copyOfRange(all, i * length, (i + 1) * length));
      } else {
        float[] all = Tensors.toFloats(points);
        int length = all.length / n;
        Arrays.setAll(images, i -> Arrays.copyOfRange(all, i * length, (i + 1) * length));
      }
      return images;
    }
  }
}
