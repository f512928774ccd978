package io.github.igdefense.attack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** FAB and RayS against the exact distance to the boundary of a linear classifier. */
class MinimumNormTest {
  private static final int N = 5;
  private static final int D = 3 * 6 * 6;

  private PointerScope scope;
  private LinearClassifier model;
  private Tensor x;
  private double[] images;
  private double[] weights;
  private double[] margin;
  private long[] labels;

  /** Grey images, so that the range never binds, between two classes. */
  @BeforeEach
  void build() {
    scope = new PointerScope();
    try (Rng rng = new Rng(11)) {
      x = rng.uniform(Dtype.FLOAT64, N, 3, 6, 6).mul_(Tensors.scalar(.1)).add_(Tensors.scalar(.45));
      images = Tensors.toDoubles(x);
      weights = Tensors.toDoubles(rng.normal(Dtype.FLOAT64, D));
    }
    double[] both = new double[2 * D];
    System.arraycopy(weights, 0, both, D, D);
    double offset = 0.3;
    for (int v = 0; v < D; v++) {
      offset -= weights[v] * .5;
    }
    model =
        new LinearClassifier(
            Tensors.of(both, 2, D), Tensors.of(new double[] {0, offset}, 2), Dtype.FLOAT64);
    labels = LogitLosses.predictions(model.logits(x));
    margin = new double[N];
    for (int i = 0; i < N; i++) {
      margin[i] = offset;
      for (int v = 0; v < D; v++) {
        margin[i] += weights[v] * images[i * D + v];
      }
      margin[i] = Math.abs(margin[i]);
    }
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private double exact(Norm norm, int image) {
    double sum = Arrays.stream(weights).map(Math::abs).sum();
    double squares = Arrays.stream(weights).map(w -> w * w).sum();
    double largest = Arrays.stream(weights).map(Math::abs).max().orElseThrow();
    return margin[image]
        / (norm == Norm.LINF ? sum : norm == Norm.L2 ? Math.sqrt(squares) : largest);
  }

  @ParameterizedTest
  @EnumSource(Norm.class)
  void fabFindsTheNearestPointOfALinearBoundary(Norm norm) {
    for (Attack attack :
        new Attack[] {
          new Fab(norm, new Epsilon(50), 40), new TargetedFab(norm, new Epsilon(50), 40, 9)
        }) {
      try (AttackContext context = AttackContext.seeded(0).withOrder(RunOrder.REFERENCE);
          AttackResult result = attack.run(model, x, labels, context)) {
        assertThat(result.success()).containsOnly(true);
        for (int i = 0; i < N; i++) {
          double exact = exact(norm, i);
          // L1 may be stopped by the range: one value cannot carry all.
          double most = norm == Norm.L1 ? 2 : 1.06;
          assertThat(-result.bestLoss()[i]).isBetween(exact, exact * most);
        }
      }
    }
  }

  @Test
  void raysFindsTheSignsOfTheWeights() {
    try (AttackContext context = AttackContext.seeded(0).withOrder(RunOrder.REFERENCE);
        AttackResult result =
            new Rays(new Epsilon(.5), 6000, 1e-5).run(model, x, labels, context)) {
      assertThat(result.success()).containsOnly(true);
      double[] points = Tensors.toDoubles(result.adversarial());
      for (int i = 0; i < N; i++) {
        double exact = exact(Norm.LINF, i);
        assertThat(-result.bestLoss()[i]).isBetween(exact, exact + 1e-4);
        double size = 0;
        for (int v = i * D; v < (i + 1) * D; v++) {
          size = Math.max(size, Math.abs(points[v] - images[v]));
        }
        assertThat(size).isCloseTo(-result.bestLoss()[i], within(1e-12));
      }
      assertThat(result.queries()).containsOnly(6000);
      long[] after = LogitLosses.predictions(model.logits(result.adversarial()));
      for (int i = 0; i < N; i++) {
        assertThat(after[i]).isNotEqualTo(labels[i]);
      }
    }
  }

  @Test
  void raysRadiusNeverGrowsAndBatchesDoNotMatter() {
    double[] last = new double[N];
    Arrays.fill(last, Double.NEGATIVE_INFINITY);
    try (AttackContext context = AttackContext.seeded(0).withOrder(RunOrder.REFERENCE)) {
      for (int queries : new int[] {1, 5, 30, 100, 400}) {
        double[] alone = new double[N];
        for (int i = 0; i < N; i++) {
          try (AttackResult result =
              new Rays(new Epsilon(.01), queries)
                  .run(model, x.narrow(0, i, 1), new long[] {labels[i]}, context)) {
            alone[i] = result.bestLoss()[0];
            assertThat(result.queries()).containsExactly(queries);
          }
        }
        try (AttackResult result =
            new Rays(new Epsilon(.01), queries).run(model, x, labels, context)) {
          assertThat(result.bestLoss()).containsExactly(alone);
          for (int i = 0; i < N; i++) {
            assertThat(alone[i]).isGreaterThanOrEqualTo(last[i]);
            assertThat(result.success()[i]).isEqualTo(-alone[i] <= .01);
          }
        }
        last = alone;
      }
    }
  }

  @Test
  void raysStopsAtItsFirstPointInTheBallUnlessAskedToGoOn() {
    try (AttackContext context = AttackContext.seeded(0)) {
      Rays attack = new Rays(new Epsilon(exact(Norm.LINF, 0) * 1.5), 3000);
      try (AttackResult fast = attack.run(model, x, labels, context);
          AttackResult full = attack.run(model, x, labels, context.withOrder(RunOrder.REFERENCE))) {
        assertThat(fast.robust()).isEqualTo(full.robust());
        assertThat(fast.success()[0]).isTrue();
        assertThat(fast.queries()[0]).isLessThan(3000);
        assertThat(full.queries()[0]).isEqualTo(3000);
      }
    }
  }

  /** Their radius comes down to the tolerance, and further queries would change nothing. */
  @Test
  void raysLeavesImagesThatAreWrongFromTheStart() {
    labels[0] = 1 - labels[0];
    labels[3] = 1 - labels[3];
    try (AttackContext context = AttackContext.seeded(0).withSelection(PointSelection.ALL);
        AttackResult some = new Rays(new Epsilon(.01), 300).run(model, x, labels, context);
        AttackResult many = new Rays(new Epsilon(.01), 3000).run(model, x, labels, context)) {
      double[] few = Tensors.toDoubles(some.best());
      double[] all = Tensors.toDoubles(many.best());
      for (int i : new int[] {0, 3}) {
        assertThat(many.queries()[i]).isLessThan(300).isEqualTo(some.queries()[i]);
        assertThat(many.bestLoss()[i]).isEqualTo(some.bestLoss()[i]).isBetween(-1e-3, 0.0);
        assertThat(Arrays.copyOfRange(all, i * D, (i + 1) * D))
            .isEqualTo(Arrays.copyOfRange(few, i * D, (i + 1) * D));
      }
      for (int i : new int[] {1, 2, 4}) {
        assertThat(many.queries()[i]).isEqualTo(3000);
        try (AttackResult alone =
            new Rays(new Epsilon(.01), 3000)
                .run(model, x.narrow(0, i, 1), new long[] {labels[i]}, context)) {
          assertThat(alone.bestLoss()[0])
              .as("not moved by the others' leaving")
              .isEqualTo(many.bestLoss()[i]);
          assertThat(Tensors.toDoubles(alone.best()))
              .isEqualTo(Arrays.copyOfRange(all, i * D, (i + 1) * D));
        }
      }
    }
  }
}
