package io.github.igdefense.attack;

import io.github.igdefense.tensor.Tensors;
import org.bytedeco.pytorch.Tensor;

/**
 * What an attack found for a batch of N images.
 *
 * <p>Owns its two tensors until {@link #close}; they must not be used afterwards. The arrays are
 * the result's own and stay valid. Not thread-safe while being closed.
 */
public final class AttackResult implements AutoCloseable {
  private final Tensor adversarial;
  private final Tensor best;
  private final boolean[] initiallyCorrect;
  private final boolean[] robust;
  private final double[] bestLoss;
  private final long[] gradients;
  private final long[] queries;
  private final int zeroGradients;
  private boolean closed;

  AttackResult(
      Tensor adversarial,
      Tensor best,
      boolean[] initiallyCorrect,
      boolean[] robust,
      double[] bestLoss,
      long[] gradients,
      long[] queries,
      int zeroGradients) {
    this.adversarial = adversarial;
    this.best = best;
    this.initiallyCorrect = initiallyCorrect;
    this.robust = robust;
    this.bestLoss = bestLoss;
    this.gradients = gradients;
    this.queries = queries;
    this.zeroGradients = zeroGradients;
  }

  /** Number of images N. */
  public int size() {
    return robust.length;
  }

  /**
   * Adversarial points [N,C,H,W], float32 (float64 for float64 models): a misclassified point where
   * one was found, else the image itself.
   */
  public Tensor adversarial() {
    return open(adversarial);
  }

  /**
   * The points of highest loss that were visited [N,C,H,W], whether misclassified or not: for
   * transfer to another model. They differ from the image; only images that were not attacked at
   * all stay as they are.
   */
  public Tensor best() {
    return open(best);
  }

  private Tensor open(Tensor tensor) {
    if (closed) {
      throw new IllegalStateException("the attack result is closed");
    }
    return tensor;
  }

  /** Whether the model classified the unchanged image as its label. */
  public boolean[] initiallyCorrect() {
    return initiallyCorrect.clone();
  }

  /** Whether the image was classified correctly and no misclassified point was found. */
  public boolean[] robust() {
    return robust.clone();
  }

  /**
   * Whether the attack broke the image: classified correctly, and a misclassified point was found.
   */
  public boolean[] success() {
    boolean[] success = new boolean[robust.length];
    for (int i = 0; i < success.length; i++) {
      success[i] = initiallyCorrect[i] && !robust[i];
    }
    return success;
  }

  /**
   * The highest loss visited per image, in the attack's loss; NaN for images that were not
   * attacked.
   */
  public double[] bestLoss() {
    return bestLoss.clone();
  }

  /** Gradients computed per image. */
  public long[] gradientEvaluations() {
    return gradients.clone();
  }

  /**
   * Forward passes per image, those for gradients among them and the first prediction not: for
   * Square and RayS the queries used.
   */
  public long[] queries() {
    return queries.clone();
  }

  /**
   * Images whose gradient was zero everywhere at the start of a run: a sign of gradient masking.
   */
  public int zeroGradientImages() {
    return zeroGradients;
  }

  /** Number of images still classified correctly. */
  public int robustCount() {
    int count = 0;
    for (boolean flag : robust) {
      count += flag ? 1 : 0;
    }
    return count;
  }

  /** Frees the tensors. Further calls do nothing. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      Tensors.free(adversarial);
      Tensors.free(best);
    }
  }
}
