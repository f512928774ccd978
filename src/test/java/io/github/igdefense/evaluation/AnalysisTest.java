package io.github.igdefense.evaluation;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.attack.Apgd;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.attack.Pgd;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.evaluation.ActivationChanges.Change;
import io.github.igdefense.evaluation.ActivationChanges.Group;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingProvenance;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The activation analysis against numbers worked out by hand and against the golden ones. */
class AnalysisTest {
  private static Map<Group, Change> byGroup(List<Change> changes) {
    return changes.stream().collect(Collectors.toMap(Change::group, Function.identity()));
  }

  /**
   * Six units, three classes with two important units each: {0,1}, {1,2}, {3,4}; unit 5 is none's.
   *
   * <pre>
   * image 0: true 0, after 1:  before 2 4 1 8 0 5   after 1 2 3 6 2 4
   *   true {0,1}:      (1+2−2−4)/(2+4) = −1/2
   *   post {1,2}:      (2+3−4−1)/(4+1) = 0
   *   remaining {3,4}: (6+2−8−0)/(8+0) = 0
   *   none {5}:        (4−5)/5 = −1/5
   * image 1: true 2, after 0:  before 1 3 2 4 4 0   after 2 4 2 1 1 7
   *   true {3,4}:      (1+1−4−4)/8 = −3/4
   *   post {0,1}:      (2+4−1−3)/4 = 1/2
   *   remaining {2}:   (2−2)/2 = 0
   *   none {5}:        clean mean 0: skipped
   * means: true −62.5 %, post 25 %, remaining 0 %, none −20 % of one image
   * </pre>
   */
  @Test
  void equalsTheExampleWorkedOutByHand() {
    ActivationChanges groups = ActivationChanges.of(6, new int[][] {{0, 1}, {1, 2}, {3, 4}});
    double[][] before = {{2, 4, 1, 8, 0, 5}, {1, 3, 2, 4, 4, 0}};
    double[][] after = {{1, 2, 3, 6, 2, 4}, {2, 4, 2, 1, 1, 7}};
    Map<Group, Change> changes =
        byGroup(groups.mean(before, after, new int[] {0, 2}, new int[] {1, 0}, 0));
    assertThat(changes.get(Group.TRUE_CLASS).percent()).isCloseTo(-62.5, within(1e-9));
    assertThat(changes.get(Group.POST_ATTACK_CLASS).percent()).isCloseTo(25, within(1e-9));
    assertThat(changes.get(Group.REMAINING).percent()).isCloseTo(0, within(1e-9));
    assertThat(changes.get(Group.UNIMPORTANT))
        .isEqualTo(new Change(Group.UNIMPORTANT, 1, 1, -20.0, null, null));
    // Of two images a resample is −50, −62.5 or −75; a quarter are the extremes.
    assertThat(changes.get(Group.TRUE_CLASS).low()).isCloseTo(-75, within(1e-9));
    assertThat(changes.get(Group.TRUE_CLASS).high()).isCloseTo(-50, within(1e-9));
  }

  @Test
  void failedAttacksHaveNoPostAttackClassAndEmptyGroupsAreSkipped() {
    // Every unit is important to some class: nobody is unimportant.
    ActivationChanges groups = ActivationChanges.of(3, new int[][] {{0, 1}, {2}});
    Map<Group, Change> changes =
        byGroup(
            groups.mean(
                new double[][] {{1, 3, 2}},
                new double[][] {{1, 1, 3}},
                new int[] {0},
                new int[] {0},
                0));
    assertThat(changes).containsOnlyKeys(Group.TRUE_CLASS, Group.REMAINING, Group.UNIMPORTANT);
    assertThat(changes.get(Group.TRUE_CLASS).percent()).isCloseTo(-50, within(1e-9));
    assertThat(changes.get(Group.REMAINING).percent()).isCloseTo(50, within(1e-9));
    assertThat(changes.get(Group.UNIMPORTANT))
        .isEqualTo(new Change(Group.UNIMPORTANT, 0, 1, null, null, null));
  }

  @Test
  void bootstrapIntervalAgreesWithTheNormalOneForManyImages() {
    int n = 400;
    double[][] before = new double[n][1];
    double[][] after = new double[n][1];
    java.util.Random random = new java.util.Random(3);
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < n; i++) {
      double change = random.nextGaussian() * 0.2 - 0.1;
      before[i][0] = 2;
      after[i][0] = 2 * (1 + change);
      sum += 100 * change;
      squares += 1e4 * change * change;
    }
    double mean = sum / n;
    double half = 1.96 * Math.sqrt((squares / n - mean * mean) / n);
    Change change =
        ActivationChanges.of(1, new int[][] {{0}, {0}})
            .mean(before, after, new int[n], new int[n], 1)
            .get(0);
    assertThat(change.percent()).isCloseTo(mean, within(1e-9));
    assertThat(change.low()).isCloseTo(mean - half, within(0.1 * half));
    assertThat(change.high()).isCloseTo(mean + half, within(0.1 * half));
  }

  /** The published analysis on GAMA-PGD points, from the golden activations. */
  @Test
  void equalsTheGoldenAnalysis() {
    Npz golden = Npz.open(golden("atk_gama.npz"));
    double[] pre = golden.get("analysis_pre").asDouble();
    double[] post = golden.get("analysis_post").asDouble();
    int[] y = ints(golden, "y");
    int[] predicted = ints(golden, "analysis_pred_adv");
    int[] flat = ints(golden, "analysis_top_units");
    int k = ints(golden, "analysis_important_dim")[0];
    int[][] top = new int[10][];
    Arrays.setAll(top, c -> Arrays.copyOfRange(flat, c * k, (c + 1) * k));
    int[] broken =
        java.util.stream.IntStream.range(0, y.length).filter(i -> predicted[i] != y[i]).toArray();
    assertThat(broken).hasSize(ints(golden, "analysis_successes")[0]);
    double[][] before = new double[broken.length][];
    double[][] after = new double[broken.length][];
    Arrays.setAll(before, i -> Arrays.copyOfRange(pre, broken[i] * 64, broken[i] * 64 + 64));
    Arrays.setAll(after, i -> Arrays.copyOfRange(post, broken[i] * 64, broken[i] * 64 + 64));
    Map<Group, Change> changes =
        byGroup(
            ActivationChanges.of(64, top)
                .mean(
                    before,
                    after,
                    Arrays.stream(broken).map(i -> y[i]).toArray(),
                    Arrays.stream(broken).map(i -> predicted[i]).toArray(),
                    0));
    Map.of(
            Group.TRUE_CLASS, "same",
            Group.POST_ATTACK_CLASS, "adv",
            Group.REMAINING, "other",
            Group.UNIMPORTANT, "unimportant")
        .forEach(
            (group, name) ->
                assertThat(changes.get(group).percent())
                    .as(name)
                    .isCloseTo(
                        100 * golden.get("analysis_change_" + name).asDouble()[0], within(1e-9)));
  }

  private static int[] ints(Npz npz, String name) {
    return Arrays.stream(npz.get(name).asLong()).mapToInt(Math::toIntExact).toArray();
  }

  /**
   * The whole analysis on a real model: independent of batch size, and consistent with the attack.
   */
  @Test
  void batchesDoNotMatterAndPartsAddUp() {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
        ImageSet images = ImageSets.open("npz:" + golden("images32.npz")).withClassCount(10)) {
      Ranking ranking = ranking(network);
      Pgd attack = new Pgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(8), 5, 2 / 255.0, 1, false, 1);
      Analysis whole = analysis(network, ranking, images, attack, 16);
      Analysis parts = analysis(network, ranking, images, attack, 3);
      assertThat(whole.successful().images() + whole.failed().images()).isEqualTo(whole.correct());
      assertThat(whole.correct()).isPositive().isLessThanOrEqualTo(images.size());
      assertThat(whole.successful().images()).isPositive();
      for (int i = 0; i < whole.successful().changes().size(); i++) {
        assertThat(parts.successful().changes().get(i).percent())
            .isCloseTo(whole.successful().changes().get(i).percent(), within(1e-6));
      }
    }
  }

  private static Ranking ranking(StagedNetwork network) {
    return new Ranking(
        "layer4",
        64,
        10,
        Npz.open(golden("loir_cifar.npz")).get("a1_layer4_importance").asDouble(),
        RankingProvenance.unknown("layer4"));
  }

  private static Analysis analysis(
      StagedNetwork network, Ranking ranking, ImageSet images, Pgd attack, int batch) {
    return Analysis.run(
        network,
        ranking,
        6,
        images,
        attack,
        new Evaluation.Settings(batch, 0, RepeatedEvaluation.DEFAULT),
        EvaluationListener.NONE);
  }

  @Test
  void refusesTooManyUnitsAndNoCorrectImage() {
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
        ImageSet images = ImageSets.open("npz:" + golden("images32.npz")).withClassCount(10)) {
      Ranking ranking = ranking(network);
      Pgd attack = new Pgd(Norm.LINF, Epsilon.of255(8), 1);
      Evaluation.Settings settings = Evaluation.Settings.DEFAULT;
      assertThatThrownBy(
              () ->
                  Analysis.run(
                      network, ranking, 65, images, attack, settings, EvaluationListener.NONE))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("between 1 and 64");
      boolean[] correct = Predictions.of(network, images, 16).correct();
      int[] wrong = java.util.stream.IntStream.range(0, 16).filter(i -> !correct[i]).toArray();
      if (wrong.length == 0) {
        throw new AssertionError("the golden images have misclassified ones");
      }
      assertThatThrownBy(
              () ->
                  Analysis.run(
                      network,
                      ranking,
                      6,
                      images.select(wrong),
                      attack,
                      settings,
                      EvaluationListener.NONE))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("found none");
    }
  }
}
