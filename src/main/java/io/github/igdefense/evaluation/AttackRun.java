package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageSet;
import java.util.Arrays;
import java.util.List;

/**
 * What an attack, or a cascade of them, did to all images of a set. Immutable; holds the changed
 * images in Java memory, and no native memory. Thread-safe.
 */
public final class AttackRun {
  private final AttackPlan plan;
  private final String classifier;
  private final boolean[] cleanCorrect;
  private final boolean[] robust;
  private final boolean[] reportedRobust;
  private final int[] prediction;
  private final double[] bestLoss;
  private final long[] gradients;
  private final long[] queries;
  private final ImageSet adversarial;
  private final ImageSet best;
  private final boolean everyImage;
  private final List<Stage> stages;
  private final double seconds;

  /**
   * One attack of a cascade.
   *
   * @param attack with its parameters
   * @param robust whether each image is still robust after it [N]
   * @param attacked images it was shown
   * @param seconds wall time
   * @param gradientEvaluations gradients computed, summed over images
   * @param queries forward passes, summed over images
   * @param zeroGradientImages images whose gradient was zero everywhere at a start
   */
  public record Stage(
      Attack attack,
      boolean[] robust,
      int attacked,
      double seconds,
      long gradientEvaluations,
      long queries,
      int zeroGradientImages) {
    /** Share of all images that are robust after this stage. */
    public double accuracy() {
      return Accuracy.of(robust);
    }
  }

  AttackRun(
      AttackPlan plan,
      String classifier,
      boolean[] cleanCorrect,
      boolean[] robust,
      boolean[] reportedRobust,
      int[] prediction,
      double[] bestLoss,
      long[] gradients,
      long[] queries,
      ImageSet adversarial,
      ImageSet best,
      boolean everyImage,
      List<Stage> stages,
      double seconds) {
    this.plan = plan;
    this.classifier = classifier;
    this.cleanCorrect = cleanCorrect;
    this.robust = robust;
    this.reportedRobust = reportedRobust;
    this.prediction = prediction;
    this.bestLoss = bestLoss;
    this.gradients = gradients;
    this.queries = queries;
    this.adversarial = adversarial;
    this.best = best;
    this.everyImage = everyImage;
    this.stages = stages;
    this.seconds = seconds;
  }

  /** What was run. */
  public AttackPlan plan() {
    return plan;
  }

  /** The attack with its parameters; of a cascade the first. */
  public Attack attack() {
    return plan.stages().get(0);
  }

  /** The stages in their order; one for a single attack. */
  public List<Stage> stages() {
    return stages;
  }

  /** Name of the classifier attacked. */
  public String classifier() {
    return classifier;
  }

  /** Whether each unchanged image is classified correctly [N]. */
  public boolean[] cleanCorrect() {
    return cleanCorrect.clone();
  }

  /**
   * Whether each image is classified correctly, unchanged and after the attack [N], judged by
   * evaluating the final points again.
   */
  public boolean[] robust() {
    return robust.clone();
  }

  /** Whether the attack broke the image: correct before, not after [N]. */
  public boolean[] success() {
    boolean[] success = new boolean[robust.length];
    for (int i = 0; i < success.length; i++) {
      success[i] = cleanCorrect[i] && !robust[i];
    }
    return success;
  }

  /** Share of all images that are robust. */
  public double robustAccuracy() {
    return Accuracy.of(robust);
  }

  /**
   * The share the attack itself reported while running. Equal to {@link #robustAccuracy} for
   * deterministic classifiers; lower for random ones, where one unlucky draw ends an image.
   */
  public double reportedAccuracy() {
    return Accuracy.of(reportedRobust);
  }

  /**
   * The highest loss visited per image [N], in the attack's loss; NaN where the image was not
   * attacked. Of a cascade: in the loss of the stage that broke the image, else of the first.
   */
  public double[] bestLoss() {
    return bestLoss.clone();
  }

  /**
   * The images as the attack left them: an adversarial one where it succeeded, else the unchanged
   * one.
   */
  public ImageSet adversarial() {
    return adversarial;
  }

  /**
   * The points to carry over to other classifiers: those of highest loss, successful or not. Of a
   * cascade: the adversarial point where one was found, else the first stage's of highest loss.
   */
  public ImageSet best() {
    return best;
  }

  /**
   * Whether misclassified images were attacked too, so that every image of {@link #best} differs.
   */
  public boolean everyImage() {
    return everyImage;
  }

  /**
   * The class given at the point that is kept, per image [N]; −1 for images that were not attacked.
   */
  public int[] predictions() {
    return prediction.clone();
  }

  /** Gradients computed per image [N]. */
  public long[] gradientsPerImage() {
    return gradients.clone();
  }

  /** Forward passes per image [N]. */
  public long[] queriesPerImage() {
    return queries.clone();
  }

  /** Gradients computed, summed over images. */
  public long gradientEvaluations() {
    return Arrays.stream(gradients).sum();
  }

  /** Forward passes, summed over images. */
  public long queries() {
    return Arrays.stream(queries).sum();
  }

  /**
   * Images whose gradient was zero everywhere at a start, in the stage with most of them: a sign of
   * gradient masking.
   */
  public int zeroGradientImages() {
    return stages.stream().mapToInt(Stage::zeroGradientImages).max().orElse(0);
  }

  /** Wall time of the attack in seconds. */
  public double seconds() {
    return seconds;
  }
}
