package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.RunOrder;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;

/**
 * Runs an attack, or a cascade of attacks, over an image set in batches and judges what comes out.
 *
 * <p>As in the reference implementation, each attack's batches are formed from the images still
 * classified correctly, in their order, and the random draws of every batch start from the same
 * seed. So the result depends on the batch size, as the reference's does, but on nothing else that
 * ran before.
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
    return run(
        AttackPlan.of(attack), model, model, images, cleanCorrect, RunState.NONE, "", listener);
  }

  /**
   * Runs a plan on one classifier and judges the points on another form of it: a bfloat16 model's
   * points in float32, say, where an image counts as broken only if it is broken there. Every
   * correctly classified image is then attacked to the end, whatever the attacked form says.
   *
   * @param judged takes the same images; {@code model} itself where there is no other form
   * @param state keeps every finished batch, or {@link RunState#NONE}
   * @param task the classifier's name within the state
   */
  public AttackRun run(
      AttackPlan plan,
      DifferentiableClassifier model,
      Classifier judged,
      ImageSet images,
      boolean[] cleanCorrect,
      RunState state,
      String task,
      EvaluationListener listener) {
    Predictions.checkLabels(model, images);
    int n = images.size();
    if (cleanCorrect.length != n) {
      throw new IllegalArgumentException("expected " + n + " flags, got " + cleanCorrect.length);
    }
    Journal journal =
        state.journal(
            task + "/" + plan.name(),
            plan.parameters() + " every=" + everyImage + " seed=" + seed + " " + order);
    return new CascadeRun(this, plan, model, judged, images, cleanCorrect, journal, listener).run();
  }
}
