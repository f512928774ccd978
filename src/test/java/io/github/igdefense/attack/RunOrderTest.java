package io.github.igdefense.attack;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.igdefense.data.Npz;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The fast order gives the reference order's answer with less work, on a trained network. */
class RunOrderTest {
  private static StagedNetwork network;
  private static double[] images;
  private static long[] labels;

  @BeforeAll
  static void open() {
    network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
    Npz file = Npz.open(golden("images32.npz"));
    images = file.get("x").asDouble();
    labels = file.get("y").asLong();
  }

  @AfterAll
  static void close() {
    network.close();
  }

  /** Attacks whose restarts or targets draw in the reference's order whatever leaves early. */
  static Stream<Attack> sameDraws() {
    List<Attack> attacks = new ArrayList<>();
    Epsilon linf = Epsilon.of255(8);
    attacks.add(new Apgd(Apgd.Loss.CE, Norm.LINF, linf, 12));
    attacks.add(new Apgd(Apgd.Loss.DLR, Norm.L2, new Epsilon(0.5), 12));
    attacks.add(new Apgd(Apgd.Loss.CW, Norm.L1, new Epsilon(9), 12).withLargerEpsilon(true));
    attacks.add(new Pgd(Norm.LINF, linf, 12));
    attacks.add(new Pgd(Norm.L2, new Epsilon(0.5), 12));
    attacks.add(new TargetedApgd(Norm.LINF, Epsilon.of255(4), 12, 1));
    return attacks.stream();
  }

  @ParameterizedTest
  @MethodSource("sameDraws")
  void withTheSameDrawsTheFlagsAreEqualAndTheWorkIsLess(Attack attack) {
    boolean[][] robust = new boolean[2][];
    long[] work = new long[2];
    try (PointerScope scope = new PointerScope();
        AttackContext context = AttackContext.seeded(3)) {
      Tensor x = Tensors.of(images, labels.length, 3, 32, 32);
      for (RunOrder order : RunOrder.values()) {
        try (AttackResult result = attack.run(network, x, labels, context.withOrder(order))) {
          robust[order.ordinal()] = result.robust();
          work[order.ordinal()] = Arrays.stream(result.queries()).sum();
          long[] after = LogitLosses.predictions(network.logits(result.adversarial()));
          for (int i = 0; i < after.length; i++) {
            assertThat(after[i] == labels[i]).isEqualTo(result.robust()[i]);
          }
        }
      }
    }
    assertThat(robust[0]).isEqualTo(robust[1]);
    assertThat(robust[0]).as("some break").contains(false);
    assertThat(work[0]).isLessThan(work[1]);
  }

  @Test
  void targetsRunSideBySideOnceImagesHaveLeft() {
    Recorder recorder = new Recorder();
    boolean[][] robust = new boolean[2][];
    try (PointerScope scope = new PointerScope();
        AttackContext context = AttackContext.seeded(3)) {
      Tensor x = Tensors.of(images, labels.length, 3, 32, 32);
      Attack attack = new TargetedApgd(Norm.LINF, Epsilon.of255(8), 12, 5).withRestarts(2);
      AttackContext traced = context.withTrace(recorder);
      for (RunOrder order : RunOrder.values()) {
        try (AttackResult result = attack.run(network, x, labels, traced.withOrder(order))) {
          robust[order.ordinal()] = result.robust();
        }
        if (order == RunOrder.FAST) {
          assertThat(recorder.runs.size()).isLessThan(10);
          int rounds = 0;
          for (Recorder.Run run : recorder.runs) {
            assertThat(run.rows.length).isLessThanOrEqualTo(16);
            Set<Integer> distinct = new HashSet<>();
            for (int row : run.rows) {
              distinct.add(row);
            }
            assertThat(run.rows.length % distinct.size()).isZero();
            rounds += run.rows.length / distinct.size();
          }
          assertThat(rounds).isEqualTo(10);
        }
      }
    }
    // Draws differ once images leave: every image was broken or spared by other starts.
    assertThat(robust[0]).isEqualTo(robust[1]);
  }

  @Test
  void forTransferNothingLeavesEarly() {
    try (PointerScope scope = new PointerScope();
        AttackContext context = AttackContext.seeded(3).withSelection(PointSelection.ALL)) {
      Tensor x = Tensors.of(images, labels.length, 3, 32, 32);
      Attack attack = new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(8), 6);
      List<double[]> losses = new ArrayList<>();
      for (RunOrder order : RunOrder.values()) {
        try (AttackResult result = attack.run(network, x, labels, context.withOrder(order))) {
          assertThat(result.gradientEvaluations()).containsOnly(7);
          losses.add(result.bestLoss());
        }
      }
      assertThat(losses.get(0)).isEqualTo(losses.get(1));
    }
  }
}
