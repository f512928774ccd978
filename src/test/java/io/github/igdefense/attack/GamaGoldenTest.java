package io.github.igdefense.attack;

import static io.github.igdefense.attack.AttackGoldens.close;
import static io.github.igdefense.attack.AttackGoldens.fingerprints;
import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Npz;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

/** GAMA-PGD from the reference's start, in float64, is the reference's step by step. */
class GamaGoldenTest {

  @Test
  void everyStepAndTheLastPointAreTheReferences() {
    Npz file = Npz.open(golden("atk_gama.npz"));
    long[] labels = file.get("y").asLong();
    int n = labels.length;
    boolean[] positive = file.get("init_positive").asBoolean();
    double[] signs = new double[positive.length];
    Arrays.setAll(signs, i -> positive[i] ? 1 : -1);
    double[] images =
        Arrays.copyOf(
            Npz.open(golden("images32.npz")).get("x").asDouble(), n * AttackGoldens.VALUES);
    long[] dropped = file.get("sched").asLong();
    GamaPgd attack =
        new GamaPgd(
            new Epsilon(file.get("eps").asDouble()[0]),
            (int) file.get("steps").asLong()[0],
            1,
            1,
            file.get("eps_iter").asDouble()[0],
            file.get("w_reg").asDouble()[0],
            (int) file.get("lin").asLong()[0],
            List.of((int) dropped[0], (int) dropped[1]),
            file.get("drop").asDouble()[0]);
    Recorder recorder = new Recorder();
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
        PointerScope scope = new PointerScope();
        AttackContext context = AttackContext.seeded(0)) {
      Tensor x = Tensors.of(images, n, 3, 32, 32);
      GamaRun.Start recorded = (lanes, rng) -> Tensors.of(signs, n, 3, 32, 32);
      Rounds rounds = attack.rounds(recorded, network);
      AttackContext reference = context.withOrder(RunOrder.REFERENCE).withTrace(recorder);
      boolean[] robust = file.get("robust_after").asBoolean();
      try (AttackResult result = rounds.execute(network, x, labels, reference)) {
        assertThat(result.initiallyCorrect()).isEqualTo(file.get("robust_before").asBoolean());
        assertThat(result.robust()).isEqualTo(robust);
        double[] first = file.get("x_adv_first_f32").asDouble();
        double[] points = Tensors.toDoubles(result.adversarial());
        for (int v = 0; v < first.length; v++) {
          if (!robust[v / AttackGoldens.VALUES]) {
            assertThat(points[v]).isCloseTo(first[v], within(AttackGoldens.TOLERANCE));
          }
        }
      }
      Recorder.Run run = recorder.runs.get(0);
      double[] last = run.points.get(run.points.size() - 1);
      close("fingerprints", fingerprints(last), file.get("adv_proj").asDouble());
      Tensor end = Tensors.of(last, n, 3, 32, 32);
      close("logits", network.logits(end), file.get("adv_logits"));
      close("L2", Geometry.size(end.sub(x), Norm.L2), file.get("delta_l2"));
      double[] margins = file.get("margin_steps").asDouble();
      for (int step = 0; step < margins.length; step++) {
        assertThat(Arrays.stream(run.loss.get(step)).average().orElseThrow())
            .as("margin before step " + step)
            .isCloseTo(margins[step], within(AttackGoldens.TOLERANCE));
      }

      // Every point counts in the fast order, so it breaks at least these.
      try (AttackResult fast = rounds.execute(network, x, labels, context)) {
        for (int i = 0; i < n; i++) {
          assertThat(fast.robust()[i] && !robust[i]).as("image " + i).isFalse();
        }
      }
    }
  }

  @Test
  void aHundredStepsHaveThePublishedSchedule() {
    assertThat(new GamaPgd(Epsilon.of255(8), 100))
        .hasToString(
            "gama-pgd(norm=Linf, epsilon=8/255, steps=100, restarts=1, eot_iterations=1, step_size="
                + 16 / 255.0
                + ", weight=50.0, decay_steps=25, drop_steps=[60, 85], drop=10.0)");
  }
}
