package io.github.igdefense.evaluation;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.attack.Apgd;
import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.attack.RunOrder;
import io.github.igdefense.attack.Square;
import io.github.igdefense.attack.TargetedApgd;
import io.github.igdefense.attack.TargetedFab;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AttackEvaluationTest {
  private static StagedNetwork network;
  private static StagedNetwork narrow;
  private static ImageSet images;

  @BeforeAll
  static void open() {
    network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
    narrow = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
    images = ImageSets.open("npz:" + golden("images32.npz"));
  }

  @AfterAll
  static void close() {
    images.close();
    network.close();
    narrow.close();
  }

  @Test
  void predictionsAreTheReferencesWhateverTheBatchSize() {
    double[] expected = Npz.open(golden("a1_forward.npz")).get("logits_f64").asDouble();
    for (int batchSize : new int[] {1, 5, 16, 100}) {
      Predictions predictions = Predictions.of(network, images, batchSize);
      assertThat(predictions.logits()).containsExactly(expected, within(1e-10));
      assertThat(predictions.accuracy()).isEqualTo(13 / 16.0);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"linf", "l2"})
  void batchesStartFromTheSameSeedAsTheReferences(String norm) {
    Npz file = Npz.open(golden("atk_aa_standard_" + norm + ".npz"));
    Epsilon epsilon = new Epsilon(file.get("hp_eps").asDouble()[0]);
    int steps = (int) file.get("hp_apgd_n_iter").asLong()[0];
    int targets = (int) file.get("hp_n_target_classes").asLong()[0];
    AttackEvaluation evaluation =
        new AttackEvaluation(
            (int) file.get("hp_batch_size").asLong()[0],
            file.get("seed").asLong()[0],
            RepeatedEvaluation.DEFAULT,
            false,
            RunOrder.REFERENCE);
    boolean[] robust = Predictions.of(network, images, 10).correct();
    assertThat(robust).isEqualTo(file.get("robust_before").asBoolean());

    Attack first = new Apgd(Apgd.Loss.CE, Norm.parse(norm), epsilon, steps);
    robust = evaluation.run(first, network, images, robust, EvaluationListener.NONE).robust();
    assertThat(robust).isEqualTo(file.get("robust_after_apgd_ce").asBoolean());

    Attack second = new TargetedApgd(Norm.parse(norm), epsilon, steps, targets);
    robust = evaluation.run(second, network, images, robust, EvaluationListener.NONE).robust();
    assertThat(robust).isEqualTo(file.get("robust_after_apgd_t").asBoolean());

    int fabSteps = (int) file.get("hp_fab_n_iter").asLong()[0];
    Attack third = new TargetedFab(Norm.parse(norm), epsilon, fabSteps, targets);
    robust = evaluation.run(third, network, images, robust, EvaluationListener.NONE).robust();
    assertThat(robust).isEqualTo(file.get("robust_after_fab_t").asBoolean());

    int queries = (int) file.get("hp_square_n_queries").asLong()[0];
    Attack fourth = new Square(Norm.parse(norm), epsilon, queries);
    robust = evaluation.run(fourth, network, images, robust, EvaluationListener.NONE).robust();
    assertThat(robust).isEqualTo(file.get("robust_after_square").asBoolean());
  }

  @Test
  void theImagesLeftBehindGiveTheNumbersAgain() {
    Attack attack = new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(8), 10);
    boolean[] correct = Predictions.of(narrow, images, 16).correct();
    List<EvaluationListener.Progress> seen = new ArrayList<>();
    AttackRun run =
        new AttackEvaluation(4, 0, RepeatedEvaluation.DEFAULT, false)
            .run(attack, narrow, images, correct, seen::add);
    assertThat(Predictions.of(narrow, run.adversarial(), 16).correct()).isEqualTo(run.robust());
    assertThat(run.robustAccuracy()).isEqualTo(run.reportedAccuracy()).isLessThan(13 / 16.0);
    float[] before = new float[images.imageLength()];
    float[] after = new float[images.imageLength()];
    for (int i = 0; i < images.size(); i++) {
      images.read(i, before, 0);
      run.adversarial().read(i, after, 0);
      boolean changed = !java.util.Arrays.equals(before, after);
      assertThat(changed).as("image " + i).isEqualTo(run.success()[i]);
      run.best().read(i, after, 0);
      assertThat(!java.util.Arrays.equals(before, after)).isEqualTo(correct[i]);
      for (int j = 0; j < after.length; j++) {
        assertThat(Math.abs(after[j] - before[j])).isLessThanOrEqualTo(8 / 255f + 1e-6f);
      }
    }
    assertThat(run.adversarial().sha256()).isNotEqualTo(images.sha256());
    double last = 0;
    for (EvaluationListener.Progress progress : seen) {
      assertThat(progress.fraction()).isBetween(last, 1.0);
      last = progress.fraction();
    }
    assertThat(last).isEqualTo(1);
    assertThat(seen.get(seen.size() - 1).standing()).isEqualTo(Accuracy.count(run.robust()));
  }

  @Test
  void forTransferEveryImageIsMoved() {
    Attack attack = new Apgd(Apgd.Loss.CW, Norm.L2, new Epsilon(0.5), 4);
    boolean[] correct = Predictions.of(narrow, images, 16).correct();
    AttackRun run =
        new AttackEvaluation(16, 0, RepeatedEvaluation.DEFAULT, true)
            .run(attack, narrow, images, correct, EvaluationListener.NONE);
    float[] before = new float[images.imageLength()];
    float[] after = new float[images.imageLength()];
    for (int i = 0; i < images.size(); i++) {
      images.read(i, before, 0);
      run.best().read(i, after, 0);
      assertThat(after).as("image " + i).isNotEqualTo(before);
      assertThat(run.robust()[i] && !correct[i]).isFalse();
    }
  }

  @Test
  void nothingCorrectMeansNothingToAttack() {
    Attack attack = new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(8), 10);
    AttackRun run =
        new AttackEvaluation(16, 0, RepeatedEvaluation.DEFAULT, false)
            .run(attack, narrow, images, new boolean[16], EvaluationListener.NONE);
    assertThat(run.robustAccuracy()).isZero();
    assertThat(run.gradientEvaluations()).isZero();
  }

  @Test
  void labelsBeyondTheClassesAreRefused() {
    try (StagedNetwork three = Networks.random("rn18", 3, 2, 3, 1, Dtype.FLOAT32)) {
      assertThatThrownBy(() -> Predictions.of(three, images, 4))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("labels in 0..2");
    }
  }

  /** A network behind Gaussian noise: a random classifier. */
  private record Noisy(StagedNetwork network, Rng rng, double sigma)
      implements DifferentiableClassifier {
    @Override
    public String name() {
      return "noisy";
    }

    @Override
    public int classCount() {
      return network.classCount();
    }

    @Override
    public Dtype dtype() {
      return network.dtype();
    }

    @Override
    public boolean deterministic() {
      return false;
    }

    private Tensor noise(Tensor x) {
      return Tensors.scoped(
          () -> rng.normal(network.dtype(), Tensors.shape(x)).mul_(Tensors.scalar(sigma)).add_(x));
    }

    @Override
    public Tensor logits(Tensor x) {
      return Tensors.scoped(() -> network.logits(noise(x)));
    }

    @Override
    public LossGradient lossGradient(Tensor x, LogitLoss loss) {
      return network.lossGradient(noise(x), loss);
    }
  }

  @Test
  void randomClassifiersAreJudgedByTheMajority() {
    RepeatedEvaluation nine = new RepeatedEvaluation(9);
    try (Rng rng = new Rng(4)) {
      Noisy noisy = new Noisy(narrow, rng, 0.3);
      RepeatedEvaluation.Judgement judgement =
          nine.judge("clean", noisy, images, 5, EvaluationListener.NONE);
      assertThat(judgement.repetitions()).isEqualTo(9);
      assertThat(judgement.undecided()).as("the noise matters here").isPositive();
      for (int i = 0; i < 16; i++) {
        assertThat(judgement.correct()[i]).isEqualTo(judgement.votes()[i] >= 5);
      }
    }
    RepeatedEvaluation.Judgement once =
        nine.judge("clean", narrow, images, 5, EvaluationListener.NONE);
    assertThat(once.repetitions()).isEqualTo(1);
    assertThat(once.correct()).isEqualTo(Predictions.of(narrow, images, 5).correct());
    assertThatThrownBy(() -> new RepeatedEvaluation(4)).isInstanceOf(InputException.class);
  }

  @Test
  void anUnluckyDrawNeitherEndsNorSparesAnImageOfARandomClassifier() {
    // Hardly any attack, much noise: single draws err, majorities hardly ever change.
    Attack attack = new Apgd(Apgd.Loss.CE, Norm.LINF, new Epsilon(1e-6), 12);
    try (Rng rng = new Rng(4)) {
      Noisy noisy = new Noisy(narrow, rng, 0.3);
      Evaluation evaluation =
          Evaluation.of(
              noisy,
              images,
              new Evaluation.Settings(8, 0, new RepeatedEvaluation(25)),
              EvaluationListener.NONE);
      AttackRun run = evaluation.attack(attack, false);
      assertThat(run.reportedAccuracy()).isLessThan(run.robustAccuracy());
      for (int i = 0; i < 16; i++) {
        int votes = evaluation.clean().votes()[i];
        if (votes >= 23) {
          assertThat(run.robust()[i]).as("image " + i).isTrue();
          assertThat(run.bestLoss()[i]).as("image " + i + " was attacked").isNotNaN();
        }
      }
    }
  }
}
