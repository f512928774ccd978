package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.AttackContext;
import io.github.igdefense.attack.AttackResult;
import io.github.igdefense.attack.PointSelection;
import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;

/**
 * One run of a plan: its stages one after another, each over batches of the images still robust.
 */
final class CascadeRun {
  private final AttackEvaluation settings;
  private final AttackPlan plan;
  private final DifferentiableClassifier model;
  private final Classifier judged;
  private final ImageSet images;
  private final boolean[] cleanCorrect;
  private final Journal journal;
  private final EvaluationListener listener;

  private final int n;
  private final boolean[] robust;
  private final boolean[] reported;
  private final double[] loss;
  private final int[] prediction;
  private final long[] gradients;
  private final long[] queries;
  private final Object[] adversarial;
  private final Object[] best;
  private final List<AttackRun.Stage> stages = new ArrayList<>();

  CascadeRun(
      AttackEvaluation settings,
      AttackPlan plan,
      DifferentiableClassifier model,
      Classifier judged,
      ImageSet images,
      boolean[] cleanCorrect,
      Journal journal,
      EvaluationListener listener) {
    this.settings = settings;
    this.plan = plan;
    this.model = model;
    this.judged = judged;
    this.images = images;
    this.cleanCorrect = cleanCorrect.clone();
    this.journal = journal;
    this.listener = listener;
    n = images.size();
    robust = cleanCorrect.clone();
    reported = cleanCorrect.clone();
    loss = new double[n];
    Arrays.fill(loss, Double.NaN);
    prediction = new int[n];
    Arrays.fill(prediction, -1);
    gradients = new long[n];
    queries = new long[n];
    adversarial = new Object[n];
    best = new Object[n];
  }

  AttackRun run() {
    boolean cascade = plan.stages().size() > 1;
    double seconds = 0;
    for (int s = 0; s < plan.stages().size(); s++) {
      Attack attack = plan.stages().get(s);
      boolean all = settings.everyImage() && !cascade;
      int[] order = where(all ? i -> true : i -> robust[i]);
      Tally tally = stage(attack, order, all, s);
      seconds += tally.seconds;
      stages.add(
          new AttackRun.Stage(
              attack,
              robust.clone(),
              order.length,
              tally.seconds,
              tally.gradients,
              tally.queries,
              tally.zeroGradients));
    }
    if (settings.everyImage() && cascade) {
      // Points for transfer of the images that no stage saw: misclassified from the start.
      int[] order = where(i -> !cleanCorrect[i]);
      seconds += stage(plan.stages().get(0), order, true, -1).seconds;
    }
    String made = images.name() + " (" + plan + " on " + model.name() + ")";
    return new AttackRun(
        plan,
        model.name(),
        cleanCorrect,
        robust,
        reported,
        prediction,
        loss,
        gradients,
        queries,
        new PerturbedImages(images, made, adversarial),
        new PerturbedImages(images, made + ", for transfer", best),
        settings.everyImage(),
        List.copyOf(stages),
        seconds);
  }

  private int[] where(IntPredicate chosen) {
    return IntStream.range(0, n).filter(chosen).toArray();
  }

  /** What a stage cost. */
  private static final class Tally {
    private double seconds;
    private long gradients;
    private long queries;
    private int zeroGradients;
    private int done;
    private int standing;
  }

  /**
   * Runs one attack.
   *
   * @param stage its number; −1 for points that serve transfer alone
   */
  private Tally stage(Attack attack, int[] order, boolean all, int stage) {
    Tally tally = new Tally();
    if (order.length == 0) {
      return tally;
    }
    boolean both = !judged.deterministic() || judged != model;
    String task =
        plan.stages().size() == 1
            ? plan.name()
            : plan.name() + " " + (stage < 0 ? "for transfer" : attack.name());
    PointSelection selection = all || both ? PointSelection.ALL : PointSelection.CORRECT;
    try (AttackContext context = AttackContext.seeded(settings.seed() + plan.seedOffset())) {
      AttackContext selected = context.withOrder(settings.order()).withSelection(selection);
      Predictions.forEach(
          model,
          images,
          settings.batchSize(),
          order,
          (batch, x) -> {
            AttackContext told =
                selected.withListener(
                    p -> {
                      double part = (p.round() + (double) p.step() / p.steps()) / p.rounds();
                      double done = (tally.done + part * batch.size()) / order.length;
                      listener.progress(
                          new EvaluationListener.Progress(
                              task, tally.done, order.length, tally.standing + p.robust(), done));
                    });
            AttackBatch result =
                AttackBatch.of(
                    journal.step(() -> attack(attack, batch, x, told, both).arrays()),
                    batch.indices());
            add(result, stage);
            tally.seconds += result.seconds();
            tally.zeroGradients += result.zeroGradients();
            tally.gradients += Arrays.stream(result.gradients()).sum();
            tally.queries += Arrays.stream(result.queries()).sum();
            for (int i : result.indices()) {
              tally.standing += robust[i] ? 1 : 0;
            }
            tally.done += batch.size();
            listener.progress(
                new EvaluationListener.Progress(
                    task,
                    tally.done,
                    order.length,
                    tally.standing,
                    (double) tally.done / order.length));
          });
    }
    return tally;
  }

  private AttackBatch attack(
      Attack attack, ImageBatch batch, Tensor x, AttackContext context, boolean both) {
    long start = System.nanoTime();
    // Attacks compute in float32 or float64, whatever the model does.
    Tensor points = x.element_size() < 4 ? Tensors.of(batch.floats(), batch.shape()) : x;
    try (AttackResult result = attack.run(model, points, batch.labels(), context)) {
      double seconds = (System.nanoTime() - start) / 1e9;
      return AttackBatch.of(batch, result, judged, settings.judge(), both, seconds);
    }
  }

  private void add(AttackBatch batch, int stage) {
    for (int j = 0; j < batch.indices().length; j++) {
      int i = batch.indices()[j];
      Object point = Double.isNaN(batch.loss()[j]) ? null : batch.best()[j];
      if (stage < 0) {
        best[i] = point;
        continue;
      }
      gradients[i] += batch.gradients()[j];
      queries[i] += batch.queries()[j];
      prediction[i] = batch.prediction()[j];
      reported[i] &= batch.reported()[j];
      if (stage == 0) {
        loss[i] = batch.loss()[j];
        best[i] = point;
      }
      if (cleanCorrect[i] && !batch.holds()[j]) {
        robust[i] = false;
        adversarial[i] = batch.adversarial()[j];
        if (plan.stages().size() > 1) {
          // Where a cascade breaks an image, that point is what is carried over.
          best[i] = batch.adversarial()[j];
          loss[i] = batch.loss()[j];
        }
      }
    }
  }
}
