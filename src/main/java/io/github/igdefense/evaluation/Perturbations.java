package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Norm;
import io.github.igdefense.data.ImageSet;

/** Checks of images that attacks left behind, against the ones they started from. Stateless. */
final class Perturbations {
  private Perturbations() {}

  /**
   * Compares two sets image by image, in float64.
   *
   * @return the largest size of a perturbation in the plan's norm
   * @throws IllegalStateException if one exceeds the radius, a value lies outside [0,1], or is NaN:
   *     a defect of the attack
   */
  static double check(ImageSet clean, ImageSet changed, AttackPlan plan) {
    int length = clean.imageLength();
    double[] before = new double[length];
    double[] after = new double[length];
    // float32 points round by half a unit in the last place, per value.
    double ulp = Math.ulp(1f);
    double slack =
        switch (plan.norm()) {
          case LINF -> ulp;
          case L2 -> ulp * Math.sqrt(length);
          case L1 -> ulp * length;
        };
    double allowed = plan.epsilon().value() * (1 + 1e-6) + slack;
    double largest = 0;
    for (int i = 0; i < clean.size(); i++) {
      clean.read(i, before, 0);
      changed.read(i, after, 0);
      for (double value : after) {
        if (!(value >= 0 && value <= 1)) {
          throw new IllegalStateException(
              plan + " left the range [0,1]: image " + i + " has a value " + value);
        }
      }
      double size = size(before, after, plan.norm());
      if (!(size <= allowed)) {
        throw new IllegalStateException(
            plan
                + " left its ball: "
                + plan.norm()
                + " distance "
                + size
                + " of image "
                + i
                + " exceeds "
                + plan.epsilon().value());
      }
      largest = Math.max(largest, size);
    }
    return largest;
  }

  private static double size(double[] before, double[] after, Norm norm) {
    double size = 0;
    for (int j = 0; j < before.length; j++) {
      double d = Math.abs(after[j] - before[j]);
      size =
          switch (norm) {
            case LINF -> Math.max(size, d);
            case L2 -> size + d * d;
            case L1 -> size + d;
          };
    }
    return norm == Norm.L2 ? Math.sqrt(size) : size;
  }
}
