package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * The rows of a run: each an image under attack with its label and target, and the model's answers
 * for them. Rows can leave; those that stay move up in the same memory.
 *
 * <p>A row keeps its number ({@link #ids}) from the start of the run to its end; several rows may
 * belong to one image. Tensors lie in the scope in which the lanes were made.
 */
final class Lanes {
  private final DifferentiableClassifier model;
  private final int samples;
  private final Objective objective;
  private final long[] gradients;
  private final long[] queries;
  private Tensor x;
  private Tensor y;
  private Tensor target;
  private long[] labels;
  private int[] images;
  private int[] ids;
  private LogitLoss loss;

  /**
   * All rows of a run.
   *
   * @param eotIterations gradients to average; a deterministic model is evaluated once
   * @param objective makes the loss; null for runs that bring their own
   * @param x clean images [n,C,H,W]; overwritten when rows leave
   * @param target target classes [n] or null
   * @param images position of each row's image in the batch
   */
  Lanes(
      DifferentiableClassifier model,
      int eotIterations,
      Objective objective,
      Tensor x,
      Tensor y,
      Tensor target,
      long[] labels,
      int[] images) {
    this.model = model;
    this.samples = model.deterministic() ? 1 : eotIterations;
    this.objective = objective;
    this.x = x;
    this.y = y;
    this.target = target;
    this.labels = labels;
    this.images = images;
    int n = images.length;
    this.ids = new int[n];
    for (int i = 0; i < n; i++) {
      ids[i] = i;
    }
    this.gradients = new long[n];
    this.queries = new long[n];
    bind();
  }

  private void bind() {
    loss = objective == null ? null : objective.of(y, target);
  }

  /** The type attacks compute in: float64 for float64 models, else float32. */
  static Dtype workType(DifferentiableClassifier model) {
    return model.dtype() == Dtype.FLOAT64 ? Dtype.FLOAT64 : Dtype.FLOAT32;
  }

  /** Rows still in the run. */
  int size() {
    return ids.length;
  }

  /** Their clean images [m,C,H,W]; not to be changed. */
  Tensor x() {
    return x;
  }

  /** Their labels [m]. */
  Tensor y() {
    return y;
  }

  /** Their targets [m], or null. */
  Tensor target() {
    return target;
  }

  /** Their numbers within the run, ascending. */
  int[] ids() {
    return ids;
  }

  /** The positions of their images in the batch. */
  int[] images() {
    return images;
  }

  /** Gradients computed so far for each row of the run [n]. */
  long[] gradients() {
    return gradients;
  }

  /** Forward passes so far for each row of the run [n], those for gradients among them. */
  long[] queries() {
    return queries;
  }

  DifferentiableClassifier model() {
    return model;
  }

  /** Evaluations averaged into one gradient. */
  int samples() {
    return samples;
  }

  /** The type of the images. */
  Dtype type() {
    return x.element_size() == Dtype.FLOAT64.bytes() ? Dtype.FLOAT64 : Dtype.FLOAT32;
  }

  torch.ScalarType scalarType() {
    return type().scalarType();
  }

  /** Lets all rows go but those at these positions. */
  void keep(int[] kept) {
    x = Rows.compact(x, kept);
    y = Rows.compact(y, kept);
    target = target == null ? null : Rows.compact(target, kept);
    labels = Rows.pick(labels, kept);
    images = Rows.pick(images, kept);
    ids = Rows.pick(ids, kept);
    bind();
  }

  /**
   * What an evaluation says about each row.
   *
   * @param loss loss [m]
   * @param correct whether the image is classified as its label [m]
   */
  record Evaluation(double[] loss, boolean[] correct) {}

  /**
   * Writes the (mean) gradient of the run's loss at {@code at} into {@code into}. Loss and
   * prediction are those of the last evaluation, as in the reference implementation.
   */
  Evaluation gradient(Tensor at, Tensor into) {
    return gradient(at, loss, null, into);
  }

  /**
   * The same for another loss.
   *
   * @param report the loss to report where it is not the one differentiated; else null
   */
  Evaluation gradient(Tensor at, LogitLoss differentiated, LogitLoss report, Tensor into) {
    Evaluation evaluation;
    try (PointerScope scope = new PointerScope()) {
      LossGradient pass =
          model.meanLossGradient(Tensors.to(at, model.dtype()), differentiated, samples);
      into.copy_(pass.gradient());
      evaluation =
          evaluation(pass.logits(), report == null ? pass.loss() : report.of(pass.logits()));
    }
    count(gradients, samples);
    count(queries, samples);
    return evaluation;
  }

  /** Loss and prediction at {@code at} without a gradient: one forward pass. */
  Evaluation forward(Tensor at) {
    return forward(at, loss);
  }

  /** The same for another loss. */
  Evaluation forward(Tensor at, LogitLoss reported) {
    try (PointerScope scope = new PointerScope()) {
      Tensor logits = logits(at);
      return evaluation(logits, reported.of(logits));
    }
  }

  /** Logits [m,K] at {@code at} in the caller's scope, never NaN; counted as a forward pass. */
  Tensor logits(Tensor at) {
    count(queries, 1);
    Tensor logits =
        Tensors.scoped(
            () -> {
              try (AutoGradMode off = new AutoGradMode(false)) {
                return model.logits(Tensors.to(at, model.dtype()));
              }
            });
    try (PointerScope scope = new PointerScope()) {
      // A sum is NaN where a term is; infinite logits of both signs are as useless.
      refuseNan(Tensors.toDoubles(logits.sum(1)));
    }
    return logits;
  }

  /**
   * A forward pass at {@code at} that gives several gradients; the caller closes it, in the scope
   * in which it was made.
   */
  ForwardPass record(Tensor at) {
    count(queries, 1);
    return model.record(Tensors.to(at, model.dtype()));
  }

  /** Notes gradients that were taken from {@link #record}. */
  void countGradients(int each) {
    count(gradients, each);
  }

  private void count(long[] counter, int each) {
    for (int id : ids) {
      counter[id] += each;
    }
  }

  /** Which rows are classified as their labels. */
  boolean[] correct(Tensor logits) {
    long[] predictions = LogitLosses.predictions(logits);
    boolean[] correct = new boolean[labels.length];
    for (int i = 0; i < labels.length; i++) {
      correct[i] = predictions[i] == labels[i];
    }
    return correct;
  }

  Evaluation evaluation(Tensor logits, Tensor losses) {
    double[] values = Tensors.toDoubles(losses);
    refuseNan(values);
    return new Evaluation(values, correct(logits));
  }

  private void refuseNan(double[] values) {
    for (int i = 0; i < values.length; i++) {
      if (Double.isNaN(values[i])) {
        throw new InputException(
            "expected finite logits from "
                + model.name()
                + ", got NaN for image "
                + images[i]
                + " of the batch; check the checkpoint and the dtype");
      }
    }
  }
}
