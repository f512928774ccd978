package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * The losses that attacks maximise: per image, of logits z [N,K] and labels y [N]. All are larger
 * the closer to, or the deeper in, misclassification. They may be called from any thread; the
 * tensors they are made from must outlive them and are not freed here.
 */
public final class LogitLosses {
  private static final double TINY = 1e-12;

  private LogitLosses() {}

  /**
   * Cross-entropy: {@code −log softmax(z)_y}. Unbounded above; its gradient vanishes for confident
   * models.
   */
  public static LogitLoss crossEntropy(Tensor y) {
    return logits -> Tensors.scoped(() -> pick(logits.log_softmax(1), y).neg());
  }

  /**
   * Margin of Carlini and Wagner: {@code max_{i≠y} z_i − z_y}, positive exactly where the image is
   * misclassified. Needs at least two classes.
   */
  public static LogitLoss margin(Tensor y) {
    return logits ->
        Tensors.scoped(
            () -> {
              Top top = Top.of(logits, 2);
              Tensor labelIsFirst = top.index(0).eq(y);
              Tensor other = torch.where(labelIsFirst, top.value(1), top.value(0));
              return other.sub(pick(logits, y));
            });
  }

  /**
   * Difference of logits ratio (Croce and Hein 2020, eq. 6): {@code −(z_y − max_{i≠y} z_i) / (z_π1
   * − z_π3)}, with z_π sorted from the largest. Invariant to shifting and scaling the logits.
   *
   * @throws InputException when called with fewer than 3 classes
   */
  public static LogitLoss dlr(Tensor y) {
    return logits -> {
      requireClasses("DLR", 3, logits.size(1));
      return Tensors.scoped(
          () -> {
            Top top = Top.of(logits, 3);
            Tensor labelIsFirst = top.index(0).eq(y);
            Tensor other = torch.where(labelIsFirst, top.value(1), top.value(0));
            Tensor scale = top.value(0).sub(top.value(2)).add(Tensors.scalar(TINY));
            return other.sub(pick(logits, y)).div(scale);
          });
    };
  }

  /**
   * Targeted difference of logits ratio (Croce and Hein 2020, eq. 7): {@code −(z_y − z_t) / (z_π1 −
   * (z_π3 + z_π4)/2)}.
   *
   * @param target classes [N] to move towards
   * @throws InputException when called with fewer than 4 classes
   */
  public static LogitLoss targetedDlr(Tensor y, Tensor target) {
    return logits -> {
      requireClasses("targeted DLR", 4, logits.size(1));
      return Tensors.scoped(
          () -> {
            Top top = Top.of(logits, 4);
            Tensor tail = top.value(2).add(top.value(3)).mul(Tensors.scalar(0.5));
            Tensor scale = top.value(0).sub(tail).add(Tensors.scalar(TINY));
            return pick(logits, target).sub(pick(logits, y)).div(scale);
          });
    };
  }

  /** {@code z_t − z_y}, positive where the target beats the label. Needs two classes. */
  static LogitLoss difference(Tensor y, Tensor target) {
    return logits -> Tensors.scoped(() -> pick(logits, target).sub(pick(logits, y)));
  }

  static void requireClasses(String loss, int needed, long classes) {
    if (classes < needed) {
      throw new InputException(
          "expected at least "
              + needed
              + " classes for the "
              + loss
              + " loss, got "
              + classes
              + "; use apgd-ce or apgd-cw");
    }
  }

  /** The entry of each row at the class given for it: [N]. */
  private static Tensor pick(Tensor rows, Tensor classes) {
    return rows.gather(1, classes.unsqueeze(1)).squeeze(1);
  }

  /** Predicted classes of logits [N,K] on the host; the lower index wins ties. */
  static long[] predictions(Tensor logits) {
    try (PointerScope scope = new PointerScope()) {
      return Tensors.toLongs(logits.argmax(new org.bytedeco.pytorch.LongOptional(1), false));
    }
  }

  /** The largest entries of each row, in descending order. */
  private record Top(Tensor values, Tensor indices) {
    static Top of(Tensor logits, int count) {
      T_TensorTensor_T top = logits.topk(count);
      return new Top(top.get0(), top.get1());
    }

    Tensor value(int rank) {
      return values.select(1, rank);
    }

    Tensor index(int rank) {
      return indices.select(1, rank);
    }
  }
}
