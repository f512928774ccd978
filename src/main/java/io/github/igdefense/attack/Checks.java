package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;

/** What goes into every attack is checked before it, and what comes out after it. */
final class Checks {
  private Checks() {}

  /** Images [N,C,H,W], N ≥ 1, floating point, in [0,1]. */
  static void images(Tensor x) {
    if (x.dim() != 4 || x.size(0) < 1 || !x.is_floating_point()) {
      throw new InputException(
          "expected at least one image as floating-point [N,C,H,W], got "
              + x.scalar_type().intern()
              + " "
              + Arrays.toString(Tensors.shape(x)));
    }
    try (PointerScope scope = new PointerScope()) {
      Tensor rows = x.reshape(x.size(0), -1);
      // Written so that NaN fails.
      Tensor inside = rows.ge(Tensors.scalar(0)).logical_and(rows.le(Tensors.scalar(1)));
      int bad = firstBad(Tensors.toBooleans(inside.all(1, false)));
      if (bad >= 0) {
        Tensor row = rows.select(0, bad);
        throw new InputException(
            "expected images with values in [0,1], got "
                + row.min().item_double()
                + " to "
                + row.max().item_double()
                + " in image "
                + bad
                + " of the batch; scale the images (normalisation belongs inside the model)");
      }
    }
  }

  /** One label per image, each a class. */
  static void labels(long[] labels, int n, int classes) {
    if (labels.length != n) {
      throw new InputException("expected " + n + " labels, one per image, got " + labels.length);
    }
    for (int i = 0; i < n; i++) {
      if (labels[i] < 0 || labels[i] >= classes) {
        throw new InputException(
            "expected labels in 0.."
                + (classes - 1)
                + ", got "
                + labels[i]
                + " for image "
                + i
                + " of the batch");
      }
    }
  }

  /** Logits of clean images, which must be finite [N,K]; in the caller's scope. */
  static Tensor cleanLogits(DifferentiableClassifier model, Tensor x) {
    Tensor logits =
        Tensors.scoped(
            () -> {
              try (AutoGradMode off = new AutoGradMode(false)) {
                return model.logits(Tensors.to(x, model.dtype()));
              }
            });
    if (logits.dim() != 2 || logits.size(0) != x.size(0) || logits.size(1) != model.classCount()) {
      throw new InputException(
          "expected logits ["
              + x.size(0)
              + ","
              + model.classCount()
              + "] from "
              + model.name()
              + ", got "
              + Arrays.toString(Tensors.shape(logits)));
    }
    try (PointerScope scope = new PointerScope()) {
      int bad = firstBad(Tensors.toBooleans(logits.isfinite().all(1, false)));
      if (bad >= 0) {
        throw new InputException(
            "expected finite logits from "
                + model.name()
                + ", got NaN or infinity for image "
                + bad
                + " of the batch; check the checkpoint and the dtype");
      }
    }
    return logits;
  }

  private static int firstBad(boolean[] good) {
    for (int i = 0; i < good.length; i++) {
      if (!good[i]) {
        return i;
      }
    }
    return -1;
  }

  /**
   * No attack's word is taken for its ball: sizes are measured again, in float64.
   *
   * @throws IllegalStateException if a point lies outside the ball or the range: a defect
   */
  static void points(Attack attack, Tensor x, Tensor points, String what) {
    try (PointerScope scope = new PointerScope()) {
      Tensor delta = Tensors.to(points, Dtype.FLOAT64).sub(Tensors.to(x, Dtype.FLOAT64));
      double[] sizes = Tensors.toDoubles(Geometry.size(delta, attack.norm()));
      double allowed = attack.epsilon().value() * (1 + 1e-6) + rounding(attack.norm(), x);
      Tensor rows = points.reshape(points.size(0), -1);
      double[] low = Tensors.toDoubles(rows.amin(new long[] {1}, false));
      double[] high = Tensors.toDoubles(rows.amax(new long[] {1}, false));
      for (int i = 0; i < sizes.length; i++) {
        if (!(sizes[i] <= allowed)) {
          throw new IllegalStateException(
              attack
                  + " left its ball: "
                  + attack.norm()
                  + " distance "
                  + sizes[i]
                  + " of the "
                  + what
                  + " point of image "
                  + i
                  + " exceeds "
                  + attack.epsilon().value());
        }
        if (!(low[i] >= 0 && high[i] <= 1)) {
          throw new IllegalStateException(
              attack
                  + " left the range [0,1]: the "
                  + what
                  + " point of image "
                  + i
                  + " has values "
                  + low[i]
                  + " to "
                  + high[i]);
        }
      }
    }
  }

  /** What rounding of the points to their type can add to the size of a perturbation. */
  private static double rounding(Norm norm, Tensor x) {
    double ulp = x.element_size() == 8 ? Math.ulp(1.0) : Math.ulp(1f);
    double values = (double) x.numel() / x.size(0);
    return switch (norm) {
      case LINF -> ulp;
      case L2 -> ulp * Math.sqrt(values);
      case L1 -> ulp * values;
    };
  }
}
