package io.github.igdefense.attack;

import static io.github.igdefense.attack.AttackGoldens.close;
import static io.github.igdefense.attack.AttackGoldens.fingerprints;
import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Npz;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingProvenance;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** With the seed alone, in float64, every step is the reference's. */
class ApgdGoldenTest {
  private static final double TOLERANCE = 1e-6;
  private static final int VALUES = AttackGoldens.VALUES;
  private static final int TRAJECTORY_STRIDE = 64;

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
  @ValueSource(
      strings = {
        "atk_apgd_ce_linf",
        "atk_apgd_dlr_linf",
        "atk_apgd_t_linf",
        "atk_apgd_ce_l2",
        "atk_apgd_t_l2",
        "atk_apgd_ce_l1",
        "atk_apgd_ce_l1_largereps"
      })
  void everyStepIsTheReferences(String name) {
    Npz file = Npz.open(golden(name + ".npz"));
    long[] labels = file.get("y").asLong();
    Attack attack = attack(name, file);
    Recorder recorder = new Recorder();
    try (PointerScope scope = new PointerScope();
        AttackContext context = AttackContext.seeded(file.get("seed").asLong()[0])) {
      Tensor x = Tensors.of(images, labels.length, 3, 32, 32);
      try (AttackResult result =
          attack.run(
              network, x, labels, context.withOrder(RunOrder.REFERENCE).withTrace(recorder))) {
        AttackGoldens.compareResult(result, network, x, file);
      }
    }
    int runs = 0;
    while (file.contains("run" + runs + "_loss_steps")) {
      runs++;
    }
    assertThat(recorder.runs).hasSize(runs);
    for (int r = 0; r < runs; r++) {
      compare(file, "run" + r + "_", recorder.runs.get(r));
    }
  }

  @Test
  void onASmoothedModelEveryDrawAndAveragedGradientIsTheReferences() {
    Npz file = Npz.open(golden("atk_apgd_ce_eot.npz"));
    long seed = file.get("seed").asLong()[0];
    long[] labels = file.get("y").asLong();
    double[] importance = Npz.open(golden("loir_cifar.npz")).get("a1_layer4_importance").asDouble();
    Ranking ranking =
        new Ranking("layer4", 64, 10, importance, RankingProvenance.unknown("layer4"));
    ClassMasks masks = ClassMasks.of(ranking, (int) file.get("important_dim").asLong()[0]);
    Attack attack =
        new Apgd(
                Apgd.Loss.CE,
                Norm.LINF,
                new Epsilon(file.get("hp_eps").asDouble()[0]),
                (int) file.get("hp_n_iter").asLong()[0])
            .withEot((int) file.get("hp_eot_iter").asLong()[0]);
    Recorder recorder = new Recorder();
    try (PointerScope scope = new PointerScope();
        Rng rng = new Rng(seed);
        IgDefense smoothed =
            new IgDefense(
                network,
                masks,
                IgDefense.DEFAULT_TEMPERATURE,
                new Smoothing(file.get("sigma").asDouble()[0], 1),
                NoiseSource.fresh(rng));
        IgDefense plain =
            new IgDefense(network, masks, IgDefense.DEFAULT_TEMPERATURE, Smoothing.NONE, null);
        AttackContext context = AttackContext.sharing(rng, seed);
        AttackResult result =
            attack.run(
                smoothed,
                mixtures(file),
                labels,
                context.withOrder(RunOrder.REFERENCE).withTrace(recorder))) {
      double[] points = Tensors.toDoubles(result.adversarial());
      close("fingerprints", fingerprints(points), file.get("adv_proj").asDouble());
      close("logits without noise", plain.logits(result.adversarial()), file.get("adv_logits"));
    }
    compare(file, "run0_", recorder.runs.get(0));
  }

  /** (1−t)·x[i] + t·x[j]. */
  private static Tensor mixtures(Npz file) {
    long[] i = file.get("mix_i").asLong();
    long[] j = file.get("mix_j").asLong();
    double[] t = file.get("mix_t").asDouble();
    double[] mixed = new double[i.length * VALUES];
    for (int n = 0; n < i.length; n++) {
      for (int v = 0; v < VALUES; v++) {
        mixed[n * VALUES + v] =
            (1 - t[n]) * images[(int) i[n] * VALUES + v] + t[n] * images[(int) j[n] * VALUES + v];
      }
    }
    return Tensors.of(mixed, i.length, 3, 32, 32);
  }

  private static void compare(Npz file, String run, Recorder.Run recorded) {
    assertThat(recorded.epsilon).isCloseTo(file.get(run + "eps").asDouble()[0], within(1e-12));
    close(run + "loss", flat(recorded.loss, 0), file.get(run + "loss_steps").asDouble());
    double[] best = file.get(run + "loss_best_steps").asDouble();
    int n = recorded.rows.length;
    close(
        run + "best loss",
        flat(recorded.bestLoss, 0),
        java.util.Arrays.copyOfRange(best, n, best.length));
    close(run + "step size", flat(recorded.stepSize, 0), file.get(run + "step_size").asDouble());
    if (file.contains(run + "topk")) {
      close(run + "sparsity", flat(recorded.sparsity, 0), file.get(run + "topk").asDouble());
    }
    if (file.contains(run + "y_target")) {
      assertThat(recorded.targets).isEqualTo(file.get(run + "y_target").asLong());
    }
    boolean[] correct = file.get(run + "correct_steps").asBoolean();
    for (int s = 0; s < recorded.robust.size(); s++) {
      for (int i = 0; i < n; i++) {
        assertThat(recorded.robust.get(s)[i])
            .as(run + " step " + s + " image " + recorded.rows[i])
            .isEqualTo(correct[(s + 1) * n + i]);
      }
    }
    close(
        run + "best point", fingerprints(recorded.best), file.get(run + "x_best_proj").asDouble());
    if (file.contains(run + "traj")) {
      double[] trajectory = file.get(run + "traj").asDouble();
      int at = 0;
      for (double[] point : recorded.points) {
        for (int v = 0; v < 2 * VALUES; v += TRAJECTORY_STRIDE, at++) {
          assertThat(point[v]).as(run + "trajectory").isCloseTo(trajectory[at], within(TOLERANCE));
        }
      }
      assertThat(at).isEqualTo(trajectory.length);
    }
  }

  private static Attack attack(String name, Npz file) {
    Norm norm = Norm.parse(name.contains("linf") ? "linf" : name.contains("l2") ? "l2" : "l1");
    Epsilon epsilon = new Epsilon(file.get("hp_eps").asDouble()[0]);
    int steps = (int) file.get("hp_n_iter").asLong()[0];
    int restarts = (int) file.get("hp_n_restarts").asLong()[0];
    if (file.contains("hp_n_target_classes")) {
      int targets = (int) file.get("hp_n_target_classes").asLong()[0];
      return new TargetedApgd(norm, epsilon, steps, targets).withRestarts(restarts);
    }
    return new Apgd(name.contains("dlr") ? Apgd.Loss.DLR : Apgd.Loss.CE, norm, epsilon, steps)
        .withRestarts(restarts)
        .withLargerEpsilon(name.endsWith("largereps"));
  }

  private static double[] flat(List<double[]> rows, int skip) {
    return rows.stream().skip(skip).flatMapToDouble(java.util.Arrays::stream).toArray();
  }
}
