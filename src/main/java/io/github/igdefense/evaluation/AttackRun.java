package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageSet;

/**
 * What one attack did to all images of a set. Immutable; holds the changed images in Java memory,
 * and no native memory. Thread-safe.
 */
public final class AttackRun {
  private final Attack attack;
  private final String classifier;
  private final boolean[] cleanCorrect;
  private final boolean[] robust;
  private final boolean[] reportedRobust;
  private final double[] bestLoss;
  private final ImageSet adversarial;
  private final ImageSet best;
  private final boolean everyImage;
  private final long gradientEvaluations;
  private final int zeroGradientImages;
  private final double seconds;

  AttackRun(
      Attack attack,
      String classifier,
      boolean[] cleanCorrect,
      boolean[] robust,
      boolean[] reportedRobust,
      double[] bestLoss,
      ImageSet adversarial,
      ImageSet best,
      boolean everyImage,
      long gradientEvaluations,
      int zeroGradientImages,
      double seconds) {
    this.attack = attack;
    this.classifier = classifier;
    this.cleanCorrect = cleanCorrect;
    this.robust = robust;
    this.reportedRobust = reportedRobust;
    this.bestLoss = bestLoss;
    this.adversarial = adversarial;
    this.best = best;
    this.everyImage = everyImage;
    this.gradientEvaluations = gradientEvaluations;
    this.zeroGradientImages = zeroGradientImages;
    this.seconds = seconds;
  }

  /** The attack with its parameters. */
  public Attack attack() {
    return attack;
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
   * attacked.
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

  /** The points of highest loss, successful or not: for transfer to other classifiers. */
  public ImageSet best() {
    return best;
  }

  /**
   * Whether misclassified images were attacked too, so that every image of {@link #best} differs.
   */
  public boolean everyImage() {
    return everyImage;
  }

  /** Gradients computed, summed over images. */
  public long gradientEvaluations() {
    return gradientEvaluations;
  }

  /** Images whose gradient was zero everywhere at a start: a sign of gradient masking. */
  public int zeroGradientImages() {
    return zeroGradientImages;
  }

  /** Wall time of the attack in seconds. */
  public double seconds() {
    return seconds;
  }
}
