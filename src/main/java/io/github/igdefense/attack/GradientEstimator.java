package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * Losses and input gradients of a classifier, the gradient averaged over several evaluations where
 * the classifier is random (expectation over transformation, Athalye et al. 2018).
 */
final class GradientEstimator {
  private final DifferentiableClassifier model;
  private final int samples;
  private final int[] rows;
  private final long[] labels;

  /**
   * An estimator for some images of a batch.
   *
   * @param samples evaluations to average over; a deterministic model is evaluated once
   * @param rows positions of the images in the batch, for messages
   * @param labels their labels
   */
  GradientEstimator(DifferentiableClassifier model, int samples, int[] rows, long[] labels) {
    this.model = model;
    this.samples = model.deterministic() ? 1 : samples;
    this.rows = rows;
    this.labels = labels;
  }

  /** The type attacks compute in: float64 for float64 models, else float32. */
  static Dtype workType(DifferentiableClassifier model) {
    return model.dtype() == Dtype.FLOAT64 ? Dtype.FLOAT64 : Dtype.FLOAT32;
  }

  /** Gradients computed per {@link #gradient}. */
  int samples() {
    return samples;
  }

  /**
   * What an evaluation says about each image.
   *
   * @param loss loss [n]
   * @param correct whether the image is classified as its label [n]
   */
  record Evaluation(double[] loss, boolean[] correct) {}

  /**
   * Writes the (mean) gradient at {@code x} into {@code target}. Loss and prediction are those of
   * the last evaluation, as in the reference implementation.
   */
  Evaluation gradient(Tensor x, LogitLoss loss, Tensor target) {
    Evaluation evaluation = null;
    for (int s = 0; s < samples; s++) {
      try (PointerScope scope = new PointerScope()) {
        LossGradient pass = model.lossGradient(Tensors.to(x, model.dtype()), loss);
        if (s == 0) {
          target.copy_(pass.gradient());
        } else {
          target.add_(pass.gradient());
        }
        if (s == samples - 1) {
          evaluation = evaluation(pass.logits(), pass.loss());
        }
      }
    }
    if (samples > 1) {
      try (PointerScope scope = new PointerScope()) {
        target.div_(Tensors.scalar(samples));
      }
    }
    return evaluation;
  }

  /** Loss and prediction at {@code x} without a gradient: one forward pass. */
  Evaluation forward(Tensor x, LogitLoss loss) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor logits = model.logits(Tensors.to(x, model.dtype()));
      return evaluation(logits, loss.of(logits));
    }
  }

  private Evaluation evaluation(Tensor logits, Tensor losses) {
    double[] loss = Tensors.toDoubles(losses);
    long[] predictions = LogitLosses.predictions(logits);
    boolean[] correct = new boolean[labels.length];
    for (int i = 0; i < labels.length; i++) {
      if (Double.isNaN(loss[i])) {
        throw new InputException(
            "expected finite logits from "
                + model.name()
                + ", got NaN for image "
                + rows[i]
                + " of the batch; check the checkpoint and the dtype");
      }
      correct[i] = predictions[i] == labels[i];
    }
    return new Evaluation(loss, correct);
  }
}
