package io.github.igdefense.evaluation;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.igdefense.attack.Apgd;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.attack.Pgd;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.evaluation.EvaluationResult.AttackOutcome;
import io.github.igdefense.evaluation.EvaluationResult.TransferOutcome;
import io.github.igdefense.evaluation.EvaluationResult.WorstCaseOutcome;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

class EvaluationTest {
  private static final Epsilon EPSILON = Epsilon.of255(8);

  @Test
  void attacksAndTransfersBecomeColumnsOfOneResult() throws Exception {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
        ImageSet images = ImageSets.open("npz:" + golden("images32.npz"))) {
      Evaluation.Settings settings = new Evaluation.Settings(8, 0, RepeatedEvaluation.DEFAULT);
      Evaluation source = Evaluation.of(network, images, settings, EvaluationListener.NONE);
      AttackRun onSource = source.attack(new Apgd(Apgd.Loss.CE, Norm.LINF, EPSILON, 8), true);

      Evaluation target = Evaluation.of(network, images, settings, EvaluationListener.NONE);
      target.attack(new Pgd(Norm.LINF, EPSILON, 3), false);
      target.transfer(onSource);
      EvaluationResult result = target.result();

      // Highest-loss points of the model itself fool it wherever the attack itself did.
      boolean[] carried = target.transfers().get("apgd-ce").correct();
      for (int i = 0; i < images.size(); i++) {
        assertThat(carried[i] && onSource.success()[i]).as("image " + i).isFalse();
      }
      assertThat(result.count()).isEqualTo(16);
      assertThat(result.clean()).isEqualTo(13 / 16.0);
      assertThat(result.cleanPerClass()).hasSize(10);
      assertThat(result.worstCase().accuracy())
          .isLessThanOrEqualTo(result.attacks().get("pgd").accuracy())
          .isLessThanOrEqualTo(result.transfer().get("apgd-ce").accuracy());
      assertThat(result.warnings()).anyMatch(w -> w.contains("at most 3 steps"));
      assertThatThrownBy(() -> target.transfer(onSource))
          .isInstanceOf(IllegalArgumentException.class);

      ObjectMapper mapper = new ObjectMapper();
      JsonNode json = mapper.readTree(mapper.writeValueAsString(result));
      assertThat(json.at("/worst_case/accuracy").doubleValue())
          .isEqualTo(result.worstCase().accuracy());
      assertThat(json.at("/attacks/pgd/parameters/step_size").doubleValue()).isPositive();
      assertThat(json.at("/transfer/apgd-ce/source").textValue()).isEqualTo("rn18");
      assertThat(json.at("/evaluations_per_image").intValue()).isEqualTo(1);
      assertThat(mapper.readValue(mapper.writeValueAsString(result), EvaluationResult.class))
          .isEqualTo(result);
    }
  }

  private static EvaluationResult result(
      int evaluations,
      double clean,
      Map<String, AttackOutcome> attacks,
      Map<String, TransferOutcome> transfer,
      Double worst) {
    return new EvaluationResult(
        "c",
        100,
        evaluations,
        clean,
        List.of(),
        attacks,
        transfer,
        worst == null ? null : new WorstCaseOutcome(worst, 0, 1, List.of()),
        List.of(),
        List.of());
  }

  private static AttackOutcome attack(double accuracy, int zeros, int steps) {
    return new AttackOutcome(
        accuracy,
        List.of(),
        accuracy,
        accuracy,
        0,
        1,
        1,
        0,
        zeros,
        List.of(),
        Map.of("steps", steps));
  }

  @Test
  void warningsSayWhatTheNumbersDoNot() {
    TransferOutcome low = new TransferOutcome(0.3, List.of(), "base");
    assertThat(
            Warnings.of(
                result(1, .8, Map.of("apgd-ce", attack(.4, 0, 100)), Map.of("cw", low), 0.3)))
        .singleElement()
        .asString()
        .contains("40.0 %", "30.0 %", "no evidence of robustness");
    assertThat(Warnings.of(result(1, .8, Map.of("a", attack(.4, 0, 100)), Map.of(), 0.4)))
        .isEmpty();
    assertThat(Warnings.of(result(1, .8, Map.of("a", attack(.4, 0, 10)), Map.of(), 0.4)))
        .singleElement()
        .asString()
        .contains("screening");
    assertThat(Warnings.of(result(1, .8, Map.of("a", attack(.4, 7, 100)), Map.of(), 0.4)))
        .singleElement()
        .asString()
        .contains("7 of 100 images");
    assertThat(Warnings.of(result(5, .8, Map.of("a", attack(.4, 0, 100)), Map.of(), 0.4)))
        .singleElement()
        .asString()
        .contains("majority of 5");
    assertThat(Warnings.of(result(1, .8, Map.of("a", attack(.4, 0, 100)), Map.of(), 0.41)))
        .singleElement()
        .asString()
        .contains("above its column a");
  }

  private static AttackOutcome autoAttack(double accuracy) {
    return attack(accuracy, 0, 100);
  }

  @Test
  void warningsNameFailedSearchesAndAutoAttackAboveTransfer() {
    AttackOutcome rays =
        new AttackOutcome(
            .795, List.of(), .7, .795, 0, 1, 0, 9, 0, List.of(), Map.of("queries", 10_000));
    assertThat(Warnings.of(result(5, .8, Map.of("rays", rays), Map.of(), 0.4)))
        .anyMatch(w -> w.startsWith("RayS leaves 79.5 %"));
    assertThat(Warnings.of(result(1, .8, Map.of("rays", attack(.795, 0, 10_000)), Map.of(), 0.4)))
        .isEmpty();
    TransferOutcome low = new TransferOutcome(0.3, List.of(), "base");
    Map<String, AttackOutcome> both =
        Map.of("autoattack", autoAttack(.5), "apgd-ce", attack(.31, 0, 100));
    assertThat(Warnings.of(result(1, .8, both, Map.of("cw", low), 0.3)))
        .singleElement()
        .asString()
        .contains("autoattack leaves 50.0 %", "overstates");
    AttackOutcome elsewhere =
        new AttackOutcome(.4, List.of(), .4, .41, 0, 1, 1, 0, 0, List.of(), Map.of("steps", 100));
    assertThat(Warnings.of(result(1, .8, Map.of("a", elsewhere), Map.of(), 0.4)))
        .singleElement()
        .asString()
        .contains("41.00 % when read again, not 40.00 %");
  }

  @Test
  void imagesOutsideTheBallOrTheRangeAreADefect() {
    AttackPlan plan = AttackPlan.of(new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(8), 3));
    try (ImageSet images = ImageSets.open("npz:" + golden("images32.npz"))) {
      for (double value : new double[] {-0.001, 1.001, Double.NaN, 0.5}) {
        float[] point = new float[images.imageLength()];
        images.read(3, point, 0);
        assertThat(Math.abs(point[7] - 0.5)).isGreaterThan(9 / 255.0);
        point[7] = (float) value;
        Object[] points = new Object[images.size()];
        points[3] = point;
        assertThatThrownBy(
                () ->
                    Perturbations.check(
                        images, new PerturbedImages(images, "changed", points), plan))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining(value == 0.5 ? "left its ball" : "left the range")
            .hasMessageContaining("image 3");
      }
      Object[] points = new Object[images.size()];
      float[] point = new float[images.imageLength()];
      images.read(3, point, 0);
      point[7] += point[7] > 0.5 ? -8 / 255f : 8 / 255f;
      points[3] = point;
      assertThat(Perturbations.check(images, new PerturbedImages(images, "ok", points), plan))
          .isBetween(7.9 / 255, 8.1 / 255);
    }
  }

  @Test
  void timesAreComparedInOneRun() {
    try (PointerScope scope = new PointerScope();
        StagedNetwork network = Networks.random("rn18", 3, 8, 10, 1, Dtype.FLOAT32);
        Rng rng = new Rng(0)) {
      Tensor images = rng.uniform(Dtype.FLOAT32, 16, 3, 32, 32);
      Classifier twice =
          new Classifier() {
            @Override
            public String name() {
              return "twice";
            }

            @Override
            public int classCount() {
              return 10;
            }

            @Override
            public Dtype dtype() {
              return Dtype.FLOAT32;
            }

            @Override
            public Tensor logits(Tensor x) {
              return Tensors.scoped(() -> network.logits(x).add_(network.logits(x)));
            }
          };
      Timing timing = Timing.compare(twice, network, images, 21);
      assertThat(timing.ratio()).isBetween(1.4, 2.8);
      assertThat(timing.medianSeconds()).isPositive();
      assertThat(timing.medianSecondsPerImage()).isEqualTo(timing.medianSeconds() / 16);
    }
    assertThat(Timing.median(new double[] {4, 1, 3, 2})).isEqualTo(2.5);
  }
}
