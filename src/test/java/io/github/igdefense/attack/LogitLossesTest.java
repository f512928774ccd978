package io.github.igdefense.attack;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

/** Losses and their gradients against the reference's, and against the definition of the margin. */
class LogitLossesTest {
  private static final int N = 16;
  private static final int K = 10;

  private final Npz file = Npz.open(golden("losses.npz"));
  private final double[] logits = file.get("logits").asDouble();
  private final long[] y = file.get("y").asLong();

  @Test
  void crossEntropyIsTheReferences() {
    try (PointerScope scope = new PointerScope()) {
      compare("ce", LogitLosses.crossEntropy(Tensors.of(y, N)));
    }
  }

  @Test
  void dlrIsTheReferences() {
    try (PointerScope scope = new PointerScope()) {
      compare("dlr", LogitLosses.dlr(Tensors.of(y, N)));
    }
  }

  @Test
  void targetedDlrIsTheReferences() {
    try (PointerScope scope = new PointerScope()) {
      long[] target = file.get("y_target").asLong();
      compare("dlr_targeted", LogitLosses.targetedDlr(Tensors.of(y, N), Tensors.of(target, N)));
    }
  }

  private void compare(String name, LogitLoss loss) {
    LossGradient result = Gradients.of(Tensors.of(logits, N, K), z -> z, loss);
    assertThat(Tensors.toDoubles(result.loss()))
        .containsExactly(file.get(name).asDouble(), within(1e-10));
    assertThat(Tensors.toDoubles(result.gradient()))
        .containsExactly(file.get(name + "_grad").asDouble(), within(1e-10));
  }

  @Test
  void theMarginIsPositiveExactlyWhereTheImageIsMisclassified() {
    try (PointerScope scope = new PointerScope()) {
      LossGradient result =
          Gradients.of(Tensors.of(logits, N, K), z -> z, LogitLosses.margin(Tensors.of(y, N)));
      double[] loss = Tensors.toDoubles(result.loss());
      double[] gradient = Tensors.toDoubles(result.gradient());
      for (int i = 0; i < N; i++) {
        int label = (int) y[i];
        int other = label == 0 ? 1 : 0;
        for (int c = 0; c < K; c++) {
          if (c != label && logits[i * K + c] > logits[i * K + other]) {
            other = c;
          }
        }
        assertThat(loss[i]).isCloseTo(logits[i * K + other] - logits[i * K + label], within(1e-12));
        for (int c = 0; c < K; c++) {
          assertThat(gradient[i * K + c]).isEqualTo(c == other ? 1 : c == label ? -1 : 0);
        }
      }
    }
  }

  @Test
  void theMarginWorksWithTwoClassesAndDlrSaysHowManyItNeeds() {
    try (PointerScope scope = new PointerScope()) {
      Tensor two = Tensors.of(new double[] {1, 3, 2, -1}, 2, 2);
      Tensor labels = Tensors.of(new long[] {0, 0}, 2);
      assertThat(Tensors.toDoubles(LogitLosses.margin(labels).of(two))).containsExactly(2, -3);
      assertThatThrownBy(() -> LogitLosses.dlr(labels).of(two))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("at least 3 classes");
      Tensor three = Tensors.of(new double[] {1, 3, 2}, 1, 3);
      Tensor one = Tensors.of(new long[] {0}, 1);
      assertThatThrownBy(() -> LogitLosses.targetedDlr(one, one).of(three))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("at least 4 classes");
    }
  }
}
