package io.github.igdefense.attack;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Npz;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GeometryTest {
  @ParameterizedTest
  @ValueSource(ints = {2, 12})
  void theL1CorrectionIsTheReferencesProjection(int epsilon) {
    Npz file = Npz.open(golden("l1_projection.npz"));
    try (PointerScope scope = new PointerScope()) {
      Tensor center = Tensors.of(file.get("center").asDouble(), 8, 3, 8, 8);
      Tensor move = Tensors.of(file.get("perturbation").asDouble(), 8, 3, 8, 8);
      Tensor correction = Geometry.towardsL1Ball(center, move, epsilon);
      assertThat(Tensors.toDoubles(correction))
          .containsExactly(file.get("delta_eps" + epsilon).asDouble(), within(1e-10));
      double[] sizes = Tensors.toDoubles(Geometry.size(move.add(correction), Norm.L1));
      for (double size : sizes) {
        assertThat(size).isLessThanOrEqualTo(epsilon + 1e-9);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.3, 40})
  void theL2ProjectionShortensWhatIsTooLongAndKeepsTheRest(double epsilon) {
    try (PointerScope scope = new PointerScope()) {
      double[] center = new double[12];
      double[] point = new double[12];
      for (int i = 0; i < 12; i++) {
        center[i] = 0.5;
        point[i] = 0.5 + 0.04 * (i - 6);
      }
      Tensor x = Tensors.of(center, 1, 3, 2, 2);
      Tensor moved = Geometry.ontoL2Ball(x, Tensors.of(point, 1, 3, 2, 2), epsilon);
      double before = 0;
      for (int i = 0; i < 12; i++) {
        before += Math.pow(point[i] - center[i], 2);
      }
      double after = Tensors.toDoubles(Geometry.size(moved.sub(x), Norm.L2))[0];
      assertThat(after).isCloseTo(Math.min(epsilon, Math.sqrt(before)), within(1e-9));
    }
  }
}
