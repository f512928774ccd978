package io.github.igdefense.attack;

import static io.github.igdefense.attack.AttackGoldens.close;
import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Npz;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Square with the seed alone, in float64, is the reference's query by query. */
class SquareGoldenTest {
  private static StagedNetwork network;
  private static double[] images;

  @BeforeAll
  static void open() {
    network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
    images = Npz.open(golden("images32.npz")).get("x").asDouble();
  }

  @AfterAll
  static void closeNetwork() {
    network.close();
  }

  @Test
  void windowSizesFollowTheReferencesSchedule() {
    Npz file = Npz.open(golden("square_patterns.npz"));
    long[] plain = file.get("iteration").asLong();
    double[] share = file.get("p_plain").asDouble();
    for (int i = 0; i < plain.length; i++) {
      assertThat(SquarePattern.share((int) plain[i], 5000, 0.8, false)).isEqualTo(share[i]);
    }
    long[] rescaled = file.get("iteration_rescaled").asLong();
    double[] rescaledShare = file.get("p_rescaled").asDouble();
    int queries = (int) file.get("rescaled_n_queries").asLong()[0];
    double initial = file.get("rescaled_p_init").asDouble()[0];
    for (int i = 0; i < rescaled.length; i++) {
      assertThat(SquarePattern.share((int) rescaled[i], queries, initial, true))
          .isEqualTo(rescaledShare[i]);
    }
  }

  @Test
  void windowPatternsAreTheReferences() {
    Npz file = Npz.open(golden("square_patterns.npz"));
    for (int[] size : new int[][] {{1, 3}, {2, 5}, {3, 3}, {4, 7}, {6, 13}}) {
      assertThat(SquarePattern.rectangles(Norm.L2, size[0], size[1]))
          .containsExactly(
              file.get("rect_l2_" + size[0] + "x" + size[1]).asDouble(), within(1e-10));
    }
    assertThat(SquarePattern.window(Norm.L2, 3, false))
        .containsExactly(file.get("eta_l2_3_plain").asDouble(), within(1e-10));
    assertThat(SquarePattern.window(Norm.L2, 3, true))
        .containsExactly(file.get("eta_l2_3_transposed").asDouble(), within(1e-10));
    assertThat(SquarePattern.window(Norm.L2, 6, false))
        .containsExactly(file.get("eta_l2_6_plain").asDouble(), within(1e-10));
  }

  @Test
  void inL1PatternsFallWithTheFourthPowerAndHaveLengthOne() {
    // By hand, one row of three: 1 in the centre and 1/16 everywhere.
    double[] half = SquarePattern.rectangles(Norm.L1, 1, 3);
    double ring = 1 / 16.0;
    double sum = 1 + 3 * ring;
    assertThat(half)
        .containsExactly(new double[] {ring / sum, (1 + ring) / sum, ring / sum}, within(1e-15));
    for (int side : new int[] {1, 2, 3, 6, 7, 29}) {
      double[] window = SquarePattern.window(Norm.L1, side, false);
      assertThat(Arrays.stream(window).map(Math::abs).sum()).isCloseTo(1, within(1e-12));
      int split = side / 2 * side;
      assertThat(Arrays.stream(window, 0, split).allMatch(v -> v > 0)).isTrue();
      assertThat(Arrays.stream(window, split, side * side).allMatch(v -> v < 0)).isTrue();
      double[] turned = SquarePattern.window(Norm.L1, side, true);
      for (int i = 0; i < side; i++) {
        for (int j = 0; j < side; j++) {
          assertThat(turned[j * side + i]).isEqualTo(window[i * side + j]);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Norm.class,
      names = {"L2", "L1"})
  void aCandidateIsWhatPlainArithmeticGives(Norm norm) {
    double epsilon = norm == Norm.L2 ? 1.5 : 12;
    int side = 5;
    int[][] positions = {{2, 3, 20, 9}, {4, 4, 6, 7}, {8, 8, 8, 8}};
    try (PointerScope scope = new PointerScope();
        Rng rng = new Rng(5)) {
      Tensor x = Tensors.of(Arrays.copyOf(images, 2 * AttackGoldens.VALUES), 2, 3, 32, 32);
      SquareMoves moves = new SquareMoves(norm, epsilon, rng, Dtype.FLOAT64);
      Tensor point = moves.start(x);
      assertThat(Tensors.toDoubles(Geometry.size(point.sub(x), norm)))
          .satisfies(
              sizes -> {
                for (double size : sizes) {
                  assertThat(size).isBetween(epsilon / 4, epsilon * (1 + 1e-9));
                }
              });
      for (int[] at : positions) {
        byte[] state = rng.state();
        Tensor candidate = moves.next(x, point, at, side);
        rng.restore(state);
        boolean transposed = Tensors.toDoubles(rng.uniform(Dtype.FLOAT32, 1))[0] > .5;
        double[] signs = Tensors.toDoubles(SquareMoves.signs(rng, Dtype.FLOAT64, 2, 3, 1, 1));
        double[] expected = new double[2 * AttackGoldens.VALUES];
        for (int i = 0; i < 2; i++) {
          plain(
              norm,
              epsilon,
              Tensors.toDoubles(x.select(0, i)),
              Tensors.toDoubles(point.select(0, i)),
              at,
              side,
              SquarePattern.window(norm, side, transposed),
              Arrays.copyOfRange(signs, 3 * i, 3 * i + 3),
              expected,
              i * AttackGoldens.VALUES);
        }
        Tensor delta = Tensors.of(expected, 2, 3, 32, 32);
        Tensor reached;
        if (norm == Norm.L2) {
          reached =
              x.add(delta)
                  .clamp(
                      new org.bytedeco.pytorch.ScalarOptional(Tensors.scalar(0)),
                      new org.bytedeco.pytorch.ScalarOptional(Tensors.scalar(1)));
        } else {
          reached = x.add(delta).add(Geometry.towardsL1Ball(x, delta, epsilon * (1 - 1e-6)));
        }
        close("candidate", Tensors.toDoubles(candidate), Tensors.toDoubles(reached));
        for (double size : Tensors.toDoubles(Geometry.size(candidate.sub(x), norm))) {
          assertThat(size).isLessThanOrEqualTo(epsilon * (1 + 1e-9));
        }
        point = candidate;
      }
    }
  }

  /** The new perturbation of one image, value by value; for L2 scaled to the ball. */
  private static void plain(
      Norm norm,
      double epsilon,
      double[] x,
      double[] point,
      int[] at,
      int side,
      double[] pattern,
      double[] signs,
      double[] out,
      int offset) {
    double[] delta = new double[x.length];
    double image = 0;
    for (int v = 0; v < x.length; v++) {
      delta[v] = point[v] - x[v];
      image += norm == Norm.L2 ? delta[v] * delta[v] : Math.abs(delta[v]);
    }
    double[] result = delta.clone();
    for (int c = 0; c < 3; c++) {
      double first = 0;
      double both = 0;
      for (int i = 0; i < 32; i++) {
        for (int j = 0; j < 32; j++) {
          double d = delta[(c * 32 + i) * 32 + j];
          double mass = norm == Norm.L2 ? d * d : Math.abs(d);
          boolean in = i >= at[0] && i < at[0] + side && j >= at[1] && j < at[1] + side;
          boolean out2 = i >= at[2] && i < at[2] + side && j >= at[3] && j < at[3] + side;
          first += in ? mass : 0;
          both += in || out2 ? mass : 0;
          if (out2) {
            result[(c * 32 + i) * 32 + j] = 0;
          }
        }
      }
      double[] mixed = new double[side * side];
      double size = 0;
      for (int i = 0; i < side; i++) {
        for (int j = 0; j < side; j++) {
          double old = delta[(c * 32 + at[0] + i) * 32 + at[1] + j];
          double norm1 = norm == Norm.L2 ? Math.sqrt(first) : first;
          double m = pattern[i * side + j] * signs[c] + old / (1e-12 + norm1);
          mixed[i * side + j] = m;
          size += norm == Norm.L2 ? m * m : Math.abs(m);
        }
      }
      double target =
          norm == Norm.L2
              ? Math.sqrt(Math.max(epsilon * epsilon - image, 0) / 3 + both)
              : (Math.max(epsilon - image, 0) / 3 + both) * 3;
      double unit = norm == Norm.L2 ? Math.sqrt(size) : size;
      for (int i = 0; i < side; i++) {
        for (int j = 0; j < side; j++) {
          result[(c * 32 + at[0] + i) * 32 + at[1] + j] =
              mixed[i * side + j] / (1e-12 + unit) * target;
        }
      }
    }
    double length = Math.sqrt(Arrays.stream(result).map(v -> v * v).sum());
    for (int v = 0; v < x.length; v++) {
      out[offset + v] = norm == Norm.L2 ? result[v] / length * epsilon : result[v];
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"atk_square_linf", "atk_square_l2"})
  void everyQueryIsTheReferences(String name) {
    Npz file = Npz.open(golden(name + ".npz"));
    long[] labels = file.get("y").asLong();
    Norm norm = Norm.parse(name.substring(name.lastIndexOf('_') + 1));
    Attack attack =
        new Square(
            norm,
            new Epsilon(file.get("hp_eps").asDouble()[0]),
            (int) file.get("hp_n_queries").asLong()[0],
            1,
            Square.Loss.MARGIN,
            file.get("hp_p_init").asDouble()[0],
            false);
    try (PointerScope scope = new PointerScope();
        AttackContext context = AttackContext.seeded(file.get("seed").asLong()[0])) {
      Tensor x = Tensors.of(images, labels.length, 3, 32, 32);
      for (RunOrder order : RunOrder.values()) {
        Recorder recorder = new Recorder();
        try (AttackResult result =
            attack.run(network, x, labels, context.withOrder(order).withTrace(recorder))) {
          AttackGoldens.compareResult(result, network, x, file);
          Recorder.Run run = recorder.runs.get(0);
          double[] queries = file.get("run0_n_queries").asDouble();
          double[] smallest = file.get("run0_loss_min").asDouble();
          double[] actual = run.bestLoss.get(run.bestLoss.size() - 1);
          for (int j = 0; j < run.rows.length; j++) {
            assertThat(result.queries()[run.rows[j]]).isEqualTo((long) queries[j]);
            assertThat(result.gradientEvaluations()[run.rows[j]]).isZero();
            assertThat(-actual[j]).isCloseTo(smallest[j], within(AttackGoldens.TOLERANCE));
          }
          double[] trace = file.get("run0_loss_min_trace").asDouble();
          int n = run.rows.length;
          for (int q = 0; q < trace.length / n; q++) {
            double[] margins = Arrays.stream(run.bestLoss.get(q)).map(v -> -v).toArray();
            close(
                "best margin before query " + q,
                margins,
                Arrays.copyOfRange(trace, q * n, (q + 1) * n));
          }
        }
      }
    }
  }
}
