package io.github.igdefense.attack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.pytorch.Tensor;

/** What recorded runs of the reference have in common. */
final class AttackGoldens {
  static final double TOLERANCE = 1e-6;
  static final int VALUES = 3 * 32 * 32;

  private AttackGoldens() {}

  /** Flags, logits, sizes and points after an attack. */
  static void compareResult(AttackResult result, Classifier network, Tensor x, Npz file) {
    assertThat(result.initiallyCorrect()).isEqualTo(file.get("robust_before").asBoolean());
    assertThat(result.robust()).isEqualTo(file.get("robust_after").asBoolean());
    close("logits", network.logits(result.adversarial()), file.get("adv_logits"));
    double[] points = Tensors.toDoubles(result.adversarial());
    close("fingerprints", fingerprints(points), file.get("adv_proj").asDouble());
    double[] first = file.get("x_adv_first_f32").asDouble();
    close("images", java.util.Arrays.copyOf(points, first.length), first);
    Tensor delta = result.adversarial().sub(x);
    close("Linf", Geometry.size(delta, Norm.LINF), file.get("delta_linf"));
    close("L2", Geometry.size(delta, Norm.L2), file.get("delta_l2"));
    close("L1", Geometry.size(delta, Norm.L1), file.get("delta_l1"));
  }

  /** Column k of row i: Σ_j v_j · sin(0.37·(k+1)·(j+1)), as the files' description defines it. */
  static double[] fingerprints(double[] points) {
    int n = points.length / VALUES;
    double[] prints = new double[2 * n];
    for (int i = 0; i < n; i++) {
      for (int k = 0; k < 2; k++) {
        for (int j = 0; j < VALUES; j++) {
          prints[2 * i + k] += points[i * VALUES + j] * Math.sin(0.37 * (k + 1) * (j + 1));
        }
      }
    }
    return prints;
  }

  static void close(String what, Tensor actual, NpyArray expected) {
    close(what, Tensors.toDoubles(actual), expected.asDouble());
  }

  static void close(String what, double[] actual, double[] expected) {
    assertThat(actual).as(what).hasSameSizeAs(expected);
    int worst = 0;
    for (int i = 0; i < actual.length; i++) {
      if (Math.abs(actual[i] - expected[i]) > Math.abs(actual[worst] - expected[worst])) {
        worst = i;
      }
    }
    if (actual.length > 0) {
      assertThat(actual[worst])
          .as(what + ", worst at " + worst)
          .isCloseTo(expected[worst], within(TOLERANCE));
    }
  }
}
