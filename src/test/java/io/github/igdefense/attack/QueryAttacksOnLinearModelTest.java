package io.github.igdefense.attack;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Npz;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Square in L1 and RayS against the authors' code, run in float64 (float32 draws widened) on a
 * linear classifier of four classes: 6 images of 10×10; Square with 120 queries, 2 restarts, ε = 5,
 * seed 5 and rescaled schedule; RayS with 300 queries.
 */
class QueryAttacksOnLinearModelTest {
  private static final int N = 6;

  @ParameterizedTest
  @EnumSource(Square.Loss.class)
  void squareInL1FindsTheReferencesPoints(Square.Loss loss) {
    Npz file = Npz.open(golden("square_rays_linear.npz"));
    Square attack = new Square(Norm.L1, new Epsilon(5), 120, 2, loss, .8, true);
    try (PointerScope scope = new PointerScope();
        AttackContext context = AttackContext.seeded(5);
        AttackResult result =
            attack.run(model(file), images(file), file.get("y").asLong(), context)) {
      double[] expected = file.get("square_l1_" + loss).asDouble();
      double[] points = Tensors.toDoubles(result.adversarial());
      assertThat(result.success()).contains(true);
      // Windows that are unchanged but for rounding are scaled by 1e12: hence no tighter.
      assertThat(points).containsExactly(expected, within(1e-5));
    }
  }

  @Test
  void raysFindsTheReferencesRadiusWhereItKeepsToItsQueries() {
    Npz file = Npz.open(golden("square_rays_linear.npz"));
    try (PointerScope scope = new PointerScope();
        AttackContext context = AttackContext.seeded(0).withOrder(RunOrder.REFERENCE);
        AttackResult result =
            new Rays(new Epsilon(.03), 300)
                .run(model(file), images(file), file.get("y").asLong(), context)) {
      double[] distance = file.get("rays_distance").asDouble();
      long[] queries = file.get("rays_queries").asLong();
      int compared = 0;
      for (int i = 0; i < N; i++) {
        if (queries[i] == 300) {
          assertThat(-result.bestLoss()[i]).isCloseTo(distance[i], within(1e-12));
          compared++;
        } else {
          // The reference went on to the end of its bisection.
          assertThat(-result.bestLoss()[i]).isGreaterThanOrEqualTo(distance[i]);
        }
      }
      assertThat(compared).isPositive();
    }
  }

  private static LinearClassifier model(Npz file) {
    return new LinearClassifier(
        Tensors.of(file.get("W").asDouble(), 4, 300),
        Tensors.of(file.get("b").asDouble(), 4),
        Dtype.FLOAT64);
  }

  private static Tensor images(Npz file) {
    return Tensors.of(file.get("x").asDouble(), N, 3, 10, 10);
  }
}
