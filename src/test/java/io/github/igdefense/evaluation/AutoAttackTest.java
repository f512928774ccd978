package io.github.igdefense.evaluation;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.attack.Apgd;
import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.AttackOptions;
import io.github.igdefense.attack.Attacks;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.attack.RunOrder;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AutoAttackTest {
  private static final AutoAttack.Budget SMALL = new AutoAttack.Budget(3, 2, 20, 2);
  private static StagedNetwork exact;
  private static StagedNetwork network;
  private static ImageSet images;

  @BeforeAll
  static void open() {
    exact = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
    network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
    images = ImageSets.open("npz:" + golden("images32.npz"));
  }

  @AfterAll
  static void close() {
    images.close();
    network.close();
    exact.close();
  }

  private static Evaluation.Settings settings(int batchSize, RunOrder order) {
    return new Evaluation.Settings(batchSize, 0, RepeatedEvaluation.DEFAULT, order);
  }

  private static AutoAttack small(Norm norm) {
    return AutoAttack.of(AutoAttack.Version.STANDARD, norm, Epsilon.of255(8), SMALL);
  }

  /** The golden run: its attacks have other lengths than the published ones. */
  private static AutoAttack cascade(Npz file, Norm norm) {
    Epsilon epsilon = new Epsilon(file.get("hp_eps").asDouble()[0]);
    int apgd = (int) file.get("hp_apgd_n_iter").asLong()[0];
    int fab = (int) file.get("hp_fab_n_iter").asLong()[0];
    AttackOptions options =
        AttackOptions.DEFAULT
            .withTargets((int) file.get("hp_n_target_classes").asLong()[0])
            .withQueries((int) file.get("hp_square_n_queries").asLong()[0]);
    return AutoAttack.custom(
        List.of(
            Attacks.byName("apgd-ce", norm, epsilon, apgd, options),
            Attacks.byName("apgd-t", norm, epsilon, apgd, options),
            Attacks.byName("fab-t", norm, epsilon, fab, options),
            Attacks.byName("square", norm, epsilon, 1, options)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"linf", "l2"})
  void theSameSeedGivesTheReferencesFlagsAfterEveryStage(String norm) {
    Npz file = Npz.open(golden("atk_aa_standard_" + norm + ".npz"));
    Evaluation evaluation =
        Evaluation.of(
            exact,
            images,
            settings((int) file.get("hp_batch_size").asLong()[0], RunOrder.REFERENCE),
            EvaluationListener.NONE);
    assertThat(evaluation.clean().correct()).isEqualTo(file.get("robust_before").asBoolean());
    AttackRun run = evaluation.attack(cascade(file, Norm.parse(norm)), false);
    String[] stages = {"apgd_ce", "apgd_t", "fab_t", "square"};
    for (int s = 0; s < stages.length; s++) {
      assertThat(run.stages().get(s).robust())
          .as(stages[s])
          .isEqualTo(file.get("robust_after_" + stages[s]).asBoolean());
    }
    assertThat(run.robust()).isEqualTo(file.get("robust_after").asBoolean());
    // The points themselves: two fingerprints per image, and their largest change.
    double[] expected = file.get("adv_proj").asDouble();
    double[] sizes = file.get("delta_" + norm).asDouble();
    double[] point = new double[images.imageLength()];
    for (int i = 0; i < images.size(); i++) {
      run.adversarial().read(i, point, 0);
      for (int k = 0; k < 2; k++) {
        double sum = 0;
        for (int j = 0; j < point.length; j++) {
          sum += point[j] * Math.sin(0.37 * (k + 1) * (j + 1));
        }
        assertThat(sum).as("image %d", i).isCloseTo(expected[2 * i + k], within(1e-6));
      }
    }
    double largest = java.util.Arrays.stream(sizes).max().getAsDouble();
    assertThat(evaluation.saved().get("autoattack-custom").largest())
        .isCloseTo(largest, within(1e-9));
  }

  @Test
  void versionsAreThePublishedOnes() {
    Epsilon epsilon = Epsilon.of255(8);
    assertThat(described(AutoAttack.Version.STANDARD, Norm.LINF))
        .containsExactly(
            "apgd-ce steps=100 restarts=1 targets=- eot=1 larger=false",
            "apgd-t steps=100 restarts=1 targets=9 eot=1 larger=false",
            "fab-t steps=100 restarts=1 targets=9 eot=1 larger=-",
            "square steps=5000 restarts=1 targets=- eot=- larger=-");
    assertThat(described(AutoAttack.Version.STANDARD, Norm.L1))
        .containsExactly(
            "apgd-ce steps=100 restarts=5 targets=- eot=1 larger=true",
            "apgd-t steps=100 restarts=1 targets=5 eot=1 larger=true",
            "fab-t steps=100 restarts=1 targets=9 eot=1 larger=-",
            "square steps=5000 restarts=1 targets=- eot=- larger=-");
    assertThat(described(AutoAttack.Version.PLUS, Norm.L2))
        .containsExactly(
            "apgd-ce steps=100 restarts=5 targets=- eot=1 larger=false",
            "apgd-dlr steps=100 restarts=5 targets=- eot=1 larger=false",
            "fab steps=100 restarts=5 targets=- eot=1 larger=-",
            "square steps=5000 restarts=1 targets=- eot=- larger=-",
            "apgd-t steps=100 restarts=1 targets=9 eot=1 larger=false",
            "fab-t steps=100 restarts=1 targets=9 eot=1 larger=-");
    assertThat(described(AutoAttack.Version.RAND, Norm.LINF))
        .containsExactly(
            "apgd-ce steps=100 restarts=1 targets=- eot=20 larger=false",
            "apgd-dlr steps=100 restarts=1 targets=- eot=20 larger=false");
    assertThat(AutoAttack.of(AutoAttack.Version.STANDARD, Norm.LINF, epsilon).published()).isTrue();
    assertThat(small(Norm.LINF).published()).isFalse();
    Attack one = new Apgd(Apgd.Loss.CE, Norm.LINF, epsilon, 3);
    Attack wider = new Apgd(Apgd.Loss.CW, Norm.LINF, Epsilon.of255(9), 3);
    assertThatThrownBy(() -> AutoAttack.custom(List.of(one, wider)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("one epsilon");
    assertThatThrownBy(() -> AutoAttack.custom(List.of(one, one)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("once");
    assertThatThrownBy(() -> AutoAttack.custom(List.of())).isInstanceOf(InputException.class);
  }

  private static List<String> described(AutoAttack.Version version, Norm norm) {
    List<String> lines = new ArrayList<>();
    for (Attack attack : AutoAttack.of(version, norm, Epsilon.of255(8)).stages()) {
      var p = attack.parameters();
      lines.add(
          attack.name()
              + " steps="
              + attack.steps()
              + " restarts="
              + p.getOrDefault("restarts", 1)
              + " targets="
              + p.getOrDefault("targets", "-")
              + " eot="
              + p.getOrDefault("eot_iterations", "-")
              + " larger="
              + p.getOrDefault("larger_epsilon", "-"));
    }
    return lines;
  }

  @Test
  void onlyImagesStillRobustGoOnAndIndividualAttacksSeeAll() {
    AutoAttack plan = small(Norm.LINF);
    Evaluation evaluation =
        Evaluation.of(network, images, settings(4, RunOrder.FAST), EvaluationListener.NONE);
    AttackRun run = evaluation.attack(plan, false);
    int before = 13;
    for (AttackRun.Stage stage : run.stages()) {
      assertThat(stage.attacked()).isEqualTo(before);
      before = Accuracy.count(stage.robust());
    }
    assertThat(run.robustAccuracy()).isEqualTo(before / 16.0).isEqualTo(run.reportedAccuracy());
    EvaluationResult result = evaluation.result();
    assertThat(result.attacks().get("autoattack").stages()).hasSize(4);
    assertThat(result.attacks().get("autoattack").savedAccuracy()).isEqualTo(run.robustAccuracy());
    assertThat(result.findings()).extracting(Finding::code).contains("autoattack_reduced");

    Evaluation each =
        Evaluation.of(network, images, settings(4, RunOrder.FAST), EvaluationListener.NONE);
    for (AttackPlan single : plan.individual()) {
      assertThat(each.attack(single, false).stages().get(0).attacked()).isEqualTo(13);
    }
    assertThat(each.attacks().get("apgd-ce").robust()).isEqualTo(run.stages().get(0).robust());
    assertThat(each.attacks().keySet()).containsExactly("apgd-ce", "apgd-t", "fab-t", "square");
  }

  @Test
  void forTransferEveryImageHasAPointAndTheNumberStaysTheSame() {
    AttackPlan plan = small(Norm.LINF);
    Evaluation alone =
        Evaluation.of(network, images, settings(5, RunOrder.FAST), EvaluationListener.NONE);
    Evaluation carried =
        Evaluation.of(network, images, settings(5, RunOrder.FAST), EvaluationListener.NONE);
    AttackRun first = alone.attack(plan, false);
    AttackRun second = carried.attack(plan, true);
    assertThat(second.robust()).isEqualTo(first.robust());
    float[] before = new float[images.imageLength()];
    float[] after = new float[images.imageLength()];
    for (int i = 0; i < images.size(); i++) {
      images.read(i, before, 0);
      second.best().read(i, after, 0);
      assertThat(after).as("image %d", i).isNotEqualTo(before);
      if (second.success()[i]) {
        float[] adversarial = new float[after.length];
        second.adversarial().read(i, adversarial, 0);
        assertThat(after).isEqualTo(adversarial);
      }
    }
    // Where the classifier itself broke, its own points break it again.
    boolean[] again = alone.transfer(second).correct();
    for (int i = 0; i < 16; i++) {
      assertThat(again[i] && second.success()[i]).isFalse();
    }
  }

  @Test
  void nothingLeftEndsTheCascadeAndABatchOfOneWorks() {
    AttackPlan huge =
        AutoAttack.of(AutoAttack.Version.STANDARD, Norm.LINF, new Epsilon(0.5), SMALL);
    Evaluation evaluation =
        Evaluation.of(
            network, images.limit(3), settings(1, RunOrder.FAST), EvaluationListener.NONE);
    AttackRun run = evaluation.attack(huge, false);
    assertThat(run.robustAccuracy()).isZero();
    assertThat(run.stages()).hasSize(4);
    assertThat(run.stages().get(3).attacked()).isZero();
    // All misclassified from the start: the last three labels are wrong.
    Evaluation wrong =
        Evaluation.of(
            network,
            images.select(new int[] {13, 14, 15}),
            settings(2, RunOrder.FAST),
            EvaluationListener.NONE);
    AttackRun none = wrong.attack(small(Norm.LINF), true);
    assertThat(none.robustAccuracy()).isZero();
    assertThat(none.stages()).allSatisfy(stage -> assertThat(stage.attacked()).isZero());
    assertThat(wrong.result().worstCase().accuracy()).isZero();
  }

  @Test
  void tooFewClassesAreRefusedOrAllUsed() {
    ImageSet first = images.select(new int[] {0, 3, 4});
    for (int classes : new int[] {2, 3}) {
      try (StagedNetwork few = Networks.random("rn18", 3, 2, classes, 1, Dtype.FLOAT32)) {
        ImageSet binary = new Relabelled(first, classes);
        Evaluation evaluation =
            Evaluation.of(few, binary, settings(4, RunOrder.FAST), EvaluationListener.NONE);
        assertThatThrownBy(() -> evaluation.attack(small(Norm.LINF), false))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("apgd-t")
            .hasMessageContaining("got " + classes + " classes")
            .hasMessageContaining("apgd-ce,fab-t,square");
        // What the message names works.
        AttackOptions options = AttackOptions.DEFAULT.withQueries(5);
        List<Attack> possible = new ArrayList<>();
        for (String name : List.of("apgd-ce", "fab-t", "square")) {
          possible.add(Attacks.byName(name, Norm.LINF, Epsilon.of255(8), 3, options));
        }
        AttackRun run = evaluation.attack(AutoAttack.custom(possible), false);
        assertThat(run.robustAccuracy()).isLessThanOrEqualTo(evaluation.clean().accuracy());
        assertThat(evaluation.findings()).extracting(Finding::code).contains("few_classes");
      }
    }
    try (StagedNetwork five = Networks.random("rn18", 3, 2, 5, 1, Dtype.FLOAT32)) {
      Evaluation evaluation =
          Evaluation.of(
              five, new Relabelled(first, 5), settings(4, RunOrder.FAST), EvaluationListener.NONE);
      evaluation.attack(
          AutoAttack.of(
              AutoAttack.Version.STANDARD,
              Norm.LINF,
              Epsilon.of255(8),
              new AutoAttack.Budget(2, 0, 5, 1)),
          false);
      assertThat(evaluation.findings().stream().filter(f -> f.code().equals("few_classes")))
          .hasSize(2)
          .allSatisfy(f -> assertThat(f.text()).contains("only 4 are possible"));
    }
  }

  /** The same images with labels modulo a number of classes. */
  private static final class Relabelled extends io.github.igdefense.data.ForwardingImages {
    private final int classes;

    Relabelled(ImageSet source, int classes) {
      super(source);
      this.classes = classes;
    }

    @Override
    public void read(int index, float[] target, int offset) {
      source.read(index, target, offset);
    }

    @Override
    public int label(int index) {
      return source.label(index) % classes;
    }

    @Override
    public List<String> classNames() {
      return source.classNames().subList(0, classes);
    }

    @Override
    public String sha256() {
      return source.sha256() + classes;
    }
  }

  /** A network with something done to its images or its logits. */
  private record Changed(
      StagedNetwork network,
      boolean deterministic,
      UnaryOperator<Tensor> images,
      UnaryOperator<Tensor> logits)
      implements DifferentiableClassifier {
    @Override
    public String name() {
      return "changed";
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
    public Tensor logits(Tensor x) {
      return Tensors.scoped(() -> logits.apply(network.logits(images.apply(x))));
    }

    @Override
    public LossGradient lossGradient(Tensor x, LogitLoss loss) {
      return network.lossGradient(images.apply(x), y -> loss.of(logits.apply(y)));
    }
  }

  private static List<String> flags(Classifier classifier) {
    return AutoAttackChecks.before(small(Norm.LINF), classifier, images, 8).stream()
        .map(Finding::code)
        .toList();
  }

  @Test
  void classifiersThatAutoAttackMisjudgesAreFlagged() {
    assertThat(flags(network)).containsExactly("autoattack_reduced");
    try (Rng rng = new Rng(1)) {
      UnaryOperator<Tensor> noise =
          x -> rng.normal(Dtype.FLOAT32, Tensors.shape(x)).mul_(Tensors.scalar(.1)).add_(x);
      assertThat(flags(new Changed(network, false, noise, y -> y)))
          .containsExactly("autoattack_reduced", "randomized");
    }
    assertThat(flags(new Changed(network, true, x -> x, y -> y.softmax(1))))
        .containsExactly("autoattack_reduced", "probabilities");
    // A defense that follows a gradient before it predicts.
    UnaryOperator<Tensor> ascend =
        x ->
            x.add(
                network
                    .lossGradient(x, y -> y.logsumexp(new long[] {1}, false))
                    .gradient()
                    .sign()
                    .mul(Tensors.scalar(.01)));
    assertThat(flags(new Changed(network, true, ascend, y -> y)))
        .containsExactly("autoattack_reduced", "dynamic");
  }

  @Test
  void squareBetterThanGradientsIsFlagged() {
    // Logits whose gradient vanishes: rounded to a grid.
    Changed masked =
        new Changed(
            network,
            true,
            x -> x,
            y -> y.mul(Tensors.scalar(4)).round().detach().add(y.mul(Tensors.scalar(0))));
    Evaluation evaluation =
        Evaluation.of(masked, images, settings(16, RunOrder.FAST), EvaluationListener.NONE);
    AutoAttack plan =
        AutoAttack.custom(
            List.of(
                Attacks.byName("apgd-ce", Norm.LINF, Epsilon.of255(16), 3, AttackOptions.DEFAULT),
                Attacks.byName(
                    "square",
                    Norm.LINF,
                    Epsilon.of255(16),
                    1,
                    AttackOptions.DEFAULT.withQueries(300))));
    evaluation.attack(plan, false);
    EvaluationResult result = evaluation.result();
    assertThat(result.findings()).extracting(Finding::code).contains("square_better");
    assertThat(result.warnings()).anyMatch(w -> w.contains("gradients that were zero everywhere"));
  }
}
