package io.github.igdefense.attack;

import static io.github.igdefense.attack.AttackGoldens.close;
import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Npz;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
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

/** FAB with the seed alone, in float64, is the reference's; so are its projections. */
class FabGoldenTest {
  private static final double NONE = 1e10;

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

  @ParameterizedTest
  @EnumSource(Norm.class)
  void projectionsAreTheShortestMovesOntoThePlane(Norm norm) {
    Npz file = Npz.open(golden("fab_projections.npz"));
    try (PointerScope scope = new PointerScope()) {
      Tensor points = Tensors.of(file.get("points").asDouble(), 24, 48);
      Tensor w = Tensors.of(file.get("w").asDouble(), 24, 48);
      Tensor excess = w.mul(points).sum(1).sub(Tensors.of(file.get("b").asDouble(), 24));
      double[] expected = file.get("delta_" + norm.toString().toLowerCase()).asDouble();
      double[] moves = Tensors.toDoubles(Hyperplanes.moves(norm, points, w, excess));
      for (int i = 0; i < moves.length; i++) {
        assertThat(moves[i])
            .as("row " + i / 48 + " column " + i % 48)
            .isCloseTo(expected[i], within(1e-10));
      }
      // In float32 too, to rounding.
      Tensor narrow =
          Hyperplanes.moves(
              norm,
              Tensors.to(points, Dtype.FLOAT32),
              Tensors.to(w, Dtype.FLOAT32),
              Tensors.to(excess, Dtype.FLOAT32));
      double[] inFloat = Tensors.toDoubles(narrow);
      boolean[] feasible = file.get("feasible").asBoolean();
      for (int row = 0; row < 24; row++) {
        double sum = Tensors.toDoubles(excess)[row];
        for (int c = 0; feasible[row] && c < 48; c++) {
          sum += file.get("w").asDouble()[row * 48 + c] * inFloat[row * 48 + c];
        }
        if (feasible[row]) {
          assertThat(sum).as("row " + row + " lands on the plane").isCloseTo(0, within(1e-4));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"atk_fab_u_linf", "atk_fab_t_linf", "atk_fab_t_l2", "atk_fab_t_l1"})
  void everyStepIsTheReferences(String name) {
    Npz file = Npz.open(golden(name + ".npz"));
    long[] labels = file.get("y").asLong();
    Recorder recorder = new Recorder();
    try (PointerScope scope = new PointerScope();
        AttackContext context = AttackContext.seeded(file.get("seed").asLong()[0])) {
      Tensor x = Tensors.of(images, labels.length, 3, 32, 32);
      AttackContext reference = context.withOrder(RunOrder.REFERENCE).withTrace(recorder);
      try (AttackResult result = attack(name, file).run(network, x, labels, reference)) {
        AttackGoldens.compareResult(result, network, x, file);
      }
      // The fast order ends with the same flags where all draws are the same: none here.
      if (name.contains("_t_")) {
        try (AttackResult fast = attack(name, file).run(network, x, labels, context)) {
          assertThat(fast.robust()).isEqualTo(file.get("robust_after").asBoolean());
        }
      }
    }
    int runs = 0;
    while (file.contains("run" + runs + "_best_dist")) {
      compare(file, "run" + runs + "_", recorder.runs.get(runs), norm(name));
      runs++;
    }
    assertThat(recorder.runs).hasSize(runs);
  }

  private static void compare(Npz file, String run, Recorder.Run recorded, Norm norm) {
    int n = recorded.rows.length;
    if (file.contains(run + "y_target")) {
      assertThat(recorded.targets).isEqualTo(file.get(run + "y_target").asLong());
    }
    double[] best = recorded.bestLoss.get(recorded.bestLoss.size() - 1);
    close(
        run + "best distance",
        Arrays.stream(best).map(l -> Double.isInfinite(l) ? NONE : -l).toArray(),
        file.get(run + "best_dist").asDouble());
    double[] distances = file.get(run + "iterate_dist").asDouble();
    int steps = distances.length / n;
    for (int s = 0; s < steps; s++) {
      double[] actual = new double[n];
      try (PointerScope scope = new PointerScope()) {
        Tensor point = Tensors.of(recorded.points.get(s), n, AttackGoldens.VALUES);
        double[] clean = new double[n * AttackGoldens.VALUES];
        for (int i = 0; i < n; i++) {
          System.arraycopy(
              images,
              recorded.rows[i] * AttackGoldens.VALUES,
              clean,
              i * AttackGoldens.VALUES,
              AttackGoldens.VALUES);
        }
        Tensor delta = point.sub(Tensors.of(clean, n, AttackGoldens.VALUES));
        actual = Tensors.toDoubles(Geometry.size(delta, norm));
      }
      close(
          run + "distance before step " + s,
          actual,
          Arrays.copyOfRange(distances, s * n, (s + 1) * n));
    }
    if (file.contains(run + "traj")) {
      double[] trajectory = file.get(run + "traj").asDouble();
      int at = 0;
      for (int s = 0; s < steps; s++) {
        for (int v = 0; v < 2 * AttackGoldens.VALUES; v += 64, at++) {
          assertThat(recorded.points.get(s)[v])
              .as(run + "trajectory")
              .isCloseTo(trajectory[at], within(AttackGoldens.TOLERANCE));
        }
      }
      assertThat(at).isEqualTo(trajectory.length);
    }
  }

  private static Norm norm(String name) {
    return Norm.parse(name.substring(name.lastIndexOf('_') + 1));
  }

  private static Attack attack(String name, Npz file) {
    Norm norm = norm(name);
    Epsilon epsilon = new Epsilon(file.get("hp_eps").asDouble()[0]);
    int steps = (int) file.get("hp_n_iter").asLong()[0];
    int restarts = (int) file.get("hp_n_restarts").asLong()[0];
    if (file.contains("hp_n_target_classes")) {
      int targets = (int) file.get("hp_n_target_classes").asLong()[0];
      return new TargetedFab(norm, epsilon, steps, targets).withRestarts(restarts);
    }
    return new Fab(norm, epsilon, steps).withRestarts(restarts);
  }

  @Test
  void allClassDifferencesFromOneForwardPassAreThoseOfOnePassEach() {
    try (PointerScope scope = new PointerScope()) {
      Tensor x = Tensors.of(Arrays.copyOf(images, 3 * AttackGoldens.VALUES), 3, 3, 32, 32);
      try (var pass = network.record(x)) {
        for (int c = 0; c < 10; c++) {
          double[] weights = new double[30];
          for (int i = 0; i < 3; i++) {
            weights[i * 10 + c] = 1;
          }
          Tensor weight = Tensors.of(weights, 3, 10);
          var single = network.lossGradient(x, z -> z.mul(weight).sum(1));
          close(
              "gradient of class " + c,
              Tensors.toDoubles(pass.gradient(weight)),
              Tensors.toDoubles(single.gradient()));
          close("logits", Tensors.toDoubles(pass.logits()), Tensors.toDoubles(single.logits()));
        }
      }
    }
  }
}
