package io.github.igdefense.attack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What holds for every attack on any network: the ball, the range, the labels, the odd cases. */
class AttackPropertyTest {
  private static final int SIDE = 12;
  private static final Map<String, AutoCloseable> OPEN = new HashMap<>();
  private PointerScope scope;

  @BeforeEach
  void openScope() {
    scope = new PointerScope();
  }

  @AfterEach
  void closeScope() {
    scope.close();
  }

  @AfterAll
  static void closeAll() throws Exception {
    for (AutoCloseable network : OPEN.values()) {
      network.close();
    }
    OPEN.clear();
  }

  /** A ResNet, for images of 32×32. */
  private static StagedNetwork network(int classes) {
    return (StagedNetwork)
        OPEN.computeIfAbsent(
            "rn18 " + classes, name -> Networks.random("rn18", 3, 4, classes, 7, Dtype.FLOAT32));
  }

  /** A network for {@link #small} images, where every attack runs many times. */
  private static SmallNetwork network(int classes, Dtype dtype) {
    return (SmallNetwork)
        OPEN.computeIfAbsent(dtype + " " + classes, name -> new SmallNetwork(classes, dtype, 7));
  }

  private static Tensor images(int n, long seed) {
    return images(n, seed, 32);
  }

  private static Tensor small(int n, long seed) {
    return images(n, seed, SIDE);
  }

  private static Tensor images(int n, long seed, int side) {
    try (Rng rng = new Rng(seed)) {
      return rng.uniform(Dtype.FLOAT32, n, 3, side, side);
    }
  }

  private static long[] predictions(Classifier model, Tensor x) {
    return LogitLosses.predictions(model.logits(Tensors.to(x, model.dtype())));
  }

  private static boolean lacks(String name, Norm norm) {
    return switch (norm) {
      case LINF -> false;
      case L2 -> Set.of("gama-pgd", "rays").contains(name);
      case L1 -> Set.of("gama-pgd", "rays", "pgd", "fgsm").contains(name);
    };
  }

  static Stream<Attack> attacks() {
    List<Attack> all = new ArrayList<>();
    for (Norm norm : Norm.values()) {
      double size = norm == Norm.LINF ? 16 / 255.0 : norm == Norm.L2 ? 0.6 : 4;
      Epsilon epsilon = new Epsilon(size);
      for (String name : Attacks.names()) {
        if (lacks(name, norm)) {
          continue;
        }
        AttackOptions options =
            AttackOptions.DEFAULT.withTargets(2).withRestarts(2).withQueries(25);
        all.add(Attacks.byName(name, norm, epsilon, 5, options));
      }
    }
    return all.stream();
  }

  @ParameterizedTest
  @MethodSource("attacks")
  void pointsStayInTheBallAndAreWhatTheResultSays(Attack attack) {
    SmallNetwork model = network(5, Dtype.FLOAT32);
    Tensor x = small(6, 3);
    long[] labels = predictions(model, x);
    labels[4] = (labels[4] + 1) % 5;
    try (AttackContext context = AttackContext.seeded(1)) {
      for (RunOrder order : RunOrder.values()) {
        checkPoints(attack, model, x, labels, context.withOrder(order));
      }
    }
  }

  private static void checkPoints(
      Attack attack, SmallNetwork model, Tensor x, long[] labels, AttackContext context) {
    try (AttackResult result = attack.run(model, x, labels, context)) {
      double[] original = Tensors.toDoubles(x);
      double[] adversarial = Tensors.toDoubles(result.adversarial());
      double[] best = Tensors.toDoubles(result.best());
      double epsilon = attack.epsilon().value();
      int values = original.length / 6;
      for (int i = 0; i < 6; i++) {
        assertThat(distance(attack.norm(), original, adversarial, i, values))
            .isLessThanOrEqualTo(epsilon * (1 + 1e-4));
        assertThat(distance(attack.norm(), original, best, i, values))
            .isLessThanOrEqualTo(epsilon * (1 + 1e-4));
      }
      for (double value : adversarial) {
        assertThat(value).isBetween(0.0, 1.0);
      }
      long[] after = predictions(model, result.adversarial());
      for (int i = 0; i < 6; i++) {
        boolean attacked = i != 4;
        assertThat(result.initiallyCorrect()[i]).isEqualTo(attacked);
        assertThat(result.robust()[i]).isEqualTo(after[i] == labels[i] && attacked);
        boolean changed = distance(Norm.LINF, original, adversarial, i, values) > 0;
        assertThat(changed).isEqualTo(result.success()[i]);
        boolean bestChanged = distance(Norm.LINF, original, best, i, values) > 0;
        assertThat(bestChanged).isEqualTo(attacked);
        assertThat(Double.isNaN(result.bestLoss()[i])).isEqualTo(!attacked);
        assertThat(result.queries()[i] > 0).isEqualTo(attacked);
        assertThat(result.gradientEvaluations()[i])
            .isLessThanOrEqualTo(
                attack.name().equals("fab") ? Long.MAX_VALUE : result.queries()[i]);
      }
      assertThat(Tensors.toDoubles(x)).as("input unchanged").isEqualTo(original);
    }
  }

  private static double distance(Norm norm, double[] a, double[] b, int image, int values) {
    double max = 0;
    double squares = 0;
    double sum = 0;
    for (int j = image * values; j < (image + 1) * values; j++) {
      double d = Math.abs(a[j] - b[j]);
      max = Math.max(max, d);
      squares += d * d;
      sum += d;
    }
    return norm == Norm.LINF ? max : norm == Norm.L2 ? Math.sqrt(squares) : sum;
  }

  @ParameterizedTest
  @MethodSource("attacks")
  void theSameSeedGivesTheSamePointsAndAnotherDoesNot(Attack attack) {
    SmallNetwork model = network(5, Dtype.FLOAT32);
    Tensor x = small(3, 3);
    long[] labels = predictions(model, x);
    List<float[]> points = new ArrayList<>();
    try (AttackContext context = AttackContext.seeded(5)) {
      for (AttackContext c : List.of(context, context, context.withSeed(6))) {
        try (AttackResult result = attack.run(model, x, labels, c)) {
          points.add(Tensors.toFloats(result.best()));
        }
      }
    }
    assertThat(points.get(1)).isEqualTo(points.get(0));
    // These draw nothing, or find their nearest point in the first restart, which draws nothing.
    if (!Set.of("fgsm", "rays", "fab", "fab-t").contains(attack.name())) {
      assertThat(points.get(2)).isNotEqualTo(points.get(0));
    }
  }

  @ParameterizedTest
  @MethodSource("attacks")
  void aBatchOfOneAndABatchWithNothingToAttackWork(Attack attack) {
    SmallNetwork model = network(5, Dtype.FLOAT64);
    Tensor x = small(1, 9);
    long[] labels = predictions(model, x);
    try (AttackContext context = AttackContext.seeded(0)) {
      try (AttackResult result = attack.run(model, x, labels, context)) {
        assertThat(result.size()).isEqualTo(1);
        assertThat(result.initiallyCorrect()).containsExactly(true);
      }
      labels[0] = (labels[0] + 1) % 5;
      try (AttackResult result = attack.run(model, x, labels, context)) {
        assertThat(result.robust()).containsExactly(false);
        assertThat(result.success()).containsExactly(false);
        assertThat(Tensors.toFloats(result.adversarial())).isEqualTo(Tensors.toFloats(x));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("attacks")
  void attackingAllImagesMovesTheMisclassifiedOnesToo(Attack attack) {
    SmallNetwork model = network(5, Dtype.FLOAT32);
    Tensor x = small(4, 3);
    long[] labels = predictions(model, x);
    labels[2] = (labels[2] + 1) % 5;
    try (AttackContext context = AttackContext.seeded(1);
        AttackResult result =
            attack.run(model, x, labels, context.withSelection(PointSelection.ALL))) {
      float[] original = Tensors.toFloats(x);
      float[] best = Tensors.toFloats(result.best());
      int values = original.length / 4;
      for (int i = 0; i < 4; i++) {
        assertThat(Arrays.copyOfRange(best, i * values, (i + 1) * values))
            .isNotEqualTo(Arrays.copyOfRange(original, i * values, (i + 1) * values));
      }
      assertThat(result.robust()[2]).isFalse();
      assertThat(result.success()[2]).isFalse();
    }
  }

  @Test
  void moreStepsFindMoreLoss() {
    StagedNetwork model = network(10);
    Tensor x = images(8, 3);
    long[] labels = predictions(model, x);
    double last = Double.NEGATIVE_INFINITY;
    try (AttackContext context = AttackContext.seeded(1)) {
      for (int steps : new int[] {1, 4, 16}) {
        Attack attack = new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(4), steps);
        try (AttackResult result = attack.run(model, x, labels, context)) {
          double sum = Arrays.stream(result.bestLoss()).sum();
          assertThat(sum).isGreaterThan(last);
          last = sum;
        }
      }
    }
  }

  @Test
  void fewClassesAreEnoughOrTheErrorSaysHowManyAreNeeded() {
    Tensor x = images(2, 3);
    StagedNetwork two = network(2);
    long[] labels = predictions(two, x);
    Epsilon epsilon = Epsilon.of255(8);
    try (AttackContext context = AttackContext.seeded(1)) {
      for (Apgd.Loss loss : List.of(Apgd.Loss.CE, Apgd.Loss.CW)) {
        new Apgd(loss, Norm.LINF, epsilon, 3).run(two, x, labels, context).close();
      }
      assertThatThrownBy(
              () -> new Apgd(Apgd.Loss.DLR, Norm.LINF, epsilon, 3).run(two, x, labels, context))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("at least 3 classes")
          .hasMessageContaining("got 2");
      StagedNetwork three = network(3);
      long[] threeLabels = predictions(three, x);
      assertThatThrownBy(
              () -> new TargetedApgd(Norm.LINF, epsilon, 3, 9).run(three, x, threeLabels, context))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("at least 4 classes");
      // Four classes have three targets, however many are asked for.
      StagedNetwork four = network(4);
      long[] fourLabels = predictions(four, x);
      Recorder recorder = new Recorder();
      new TargetedApgd(Norm.LINF, new Epsilon(1e-6), 2, 9)
          .run(four, x, fourLabels, context.withTrace(recorder))
          .close();
      assertThat(recorder.runs).hasSize(3);
      for (int i = 0; i < 2; i++) {
        int image = i;
        assertThat(recorder.runs.stream().map(r -> r.targets[image]).toList())
            .doesNotHaveDuplicates()
            .doesNotContain(fourLabels[i]);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("attacks")
  void badInputIsRefusedBeforeAnythingRuns(Attack attack) {
    StagedNetwork model = network(5);
    float[] good = new float[2 * 3 * 32 * 32];
    try (AttackContext context = AttackContext.seeded(1)) {
      for (float bad : new float[] {1.01f, -0.01f, Float.NaN}) {
        float[] values = good.clone();
        values[values.length - 5] = bad;
        Tensor x = Tensors.of(values, 2, 3, 32, 32);
        assertThatThrownBy(() -> attack.run(model, x, new long[2], context))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("[0,1]")
            .hasMessageContaining("image 1");
      }
      Tensor x = Tensors.of(good, 2, 3, 32, 32);
      assertThatThrownBy(() -> attack.run(model, x, new long[] {0, 5}, context))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("labels in 0..4")
          .hasMessageContaining("image 1");
      assertThatThrownBy(() -> attack.run(model, x, new long[] {0}, context))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("2 labels");
      Tensor gray = Tensors.of(new float[2 * 32 * 32], 2, 1, 32, 32);
      assertThatThrownBy(() -> attack.run(model, gray, new long[2], context))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("[N,3,32,32]");
    }
  }

  @ParameterizedTest
  @MethodSource("attacks")
  void aModelThatTurnsNanDuringAnAttackIsRefused(Attack attack) {
    SmallNetwork model = network(5, Dtype.FLOAT32);
    int[] calls = new int[1];
    DifferentiableClassifier broken =
        new Altered(model) {
          @Override
          public Tensor logits(Tensor x) {
            Tensor logits = super.logits(x);
            return calls[0]++ < 2 ? logits : logits.mul(Tensors.scalar(Double.NaN));
          }

          @Override
          public LossGradient lossGradient(Tensor x, LogitLoss loss) {
            LossGradient pass = super.lossGradient(x, loss);
            return calls[0]++ < 2
                ? pass
                : new LossGradient(
                    pass.logits().mul(Tensors.scalar(Double.NaN)),
                    pass.loss().mul(Tensors.scalar(Double.NaN)),
                    pass.gradient());
          }
        };
    Tensor x = small(2, 3);
    long[] labels = predictions(model, x);
    // So small a ball that nothing breaks before the third call.
    AttackOptions options = AttackOptions.DEFAULT.withTargets(2).withRestarts(2).withQueries(25);
    Attack gentle = Attacks.byName(attack.name(), attack.norm(), new Epsilon(1e-6), 5, options);
    try (AttackContext context = AttackContext.seeded(1)) {
      if (attack.name().equals("fgsm")) {
        calls[0] = 1;
      }
      assertThatThrownBy(() -> gentle.run(broken, x, labels, context))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("NaN for image");
    }
  }

  @ParameterizedTest
  @MethodSource("attacks")
  void twoClassesAndFewerClassesThanTargetsAreEnoughWhereTheLossAllows(Attack attack) {
    Tensor x = small(3, 3);
    SmallNetwork two = network(2, Dtype.FLOAT32);
    SmallNetwork four = network(4, Dtype.FLOAT32);
    AttackOptions options = AttackOptions.DEFAULT.withTargets(9).withQueries(10);
    Attack many = Attacks.byName(attack.name(), attack.norm(), attack.epsilon(), 5, options);
    long[] labels = predictions(two, x);
    try (AttackContext context = AttackContext.seeded(1)) {
      many.run(four, x, predictions(four, x), context).close();
      if (Set.of("apgd-dlr", "apgd-t").contains(attack.name())) {
        assertThatThrownBy(() -> many.run(two, x, labels, context))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("classes")
            .hasMessageContaining("got 2");
      } else {
        try (AttackResult result = many.run(two, x, labels, context)) {
          assertThat(result.initiallyCorrect()).containsOnly(true);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("attacks")
  void whenAllImagesAreMisclassifiedNothingIsAttacked(Attack attack) {
    SmallNetwork model = network(5, Dtype.FLOAT32);
    Tensor x = small(3, 3);
    long[] labels = predictions(model, x);
    for (int i = 0; i < labels.length; i++) {
      labels[i] = (labels[i] + 1) % 5;
    }
    try (AttackContext context = AttackContext.seeded(1);
        AttackResult result = attack.run(model, x, labels, context)) {
      assertThat(result.robust()).containsOnly(false);
      assertThat(result.success()).containsOnly(false);
      assertThat(result.queries()).containsOnly(0);
      assertThat(Tensors.toFloats(result.adversarial())).isEqualTo(Tensors.toFloats(x));
    }
  }

  @Test
  void aModelThatReturnsNanIsRefused() {
    StagedNetwork model = network(5);
    DifferentiableClassifier broken =
        new Altered(model) {
          @Override
          public Tensor logits(Tensor x) {
            return model.logits(x).mul(Tensors.scalar(Double.NaN));
          }
        };
    Tensor x = images(2, 3);
    try (AttackContext context = AttackContext.seeded(1)) {
      assertThatThrownBy(
              () -> new Pgd(Norm.LINF, Epsilon.of255(8), 2).run(broken, x, new long[2], context))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("NaN");
    }
  }

  static Stream<Attack> gradientAttacks() {
    Epsilon epsilon = new Epsilon(1e-4);
    return Stream.of(
        new Fgsm(Norm.LINF, epsilon),
        new Pgd(Norm.LINF, epsilon, 3),
        new Apgd(Apgd.Loss.CE, Norm.LINF, epsilon, 3),
        new TargetedApgd(Norm.L2, epsilon, 3, 2),
        new GamaPgd(epsilon, 3),
        new Fab(Norm.LINF, epsilon, 3),
        new TargetedFab(Norm.L1, epsilon, 3, 2));
  }

  @ParameterizedTest
  @MethodSource("gradientAttacks")
  void eotAveragesGradientsOfARandomModelOnly(Attack single) {
    SmallNetwork model = network(5, Dtype.FLOAT64);
    Tensor x = small(2, 3);
    long[] labels = predictions(model, x);
    int[] calls = new int[1];
    boolean[] deterministic = new boolean[1];
    DifferentiableClassifier counting =
        new Altered(model) {
          @Override
          public boolean deterministic() {
            return deterministic[0];
          }

          @Override
          public LossGradient lossGradient(Tensor images, LogitLoss loss) {
            calls[0]++;
            return super.lossGradient(images, loss);
          }
        };
    Attack attack = single.withEot(4);
    List<float[]> points = new ArrayList<>();
    List<Integer> counts = new ArrayList<>();
    try (AttackContext context = AttackContext.seeded(1)) {
      for (boolean flag : new boolean[] {false, true}) {
        deterministic[0] = flag;
        calls[0] = 0;
        try (AttackResult result = attack.run(counting, x, labels, context)) {
          points.add(Tensors.toFloats(result.best()));
          assertThat(result.gradientEvaluations()[0]).isEqualTo(calls[0]);
        }
        counts.add(calls[0]);
      }
    }
    assertThat(counts.get(1)).isPositive();
    assertThat(counts.get(0)).isEqualTo(4 * counts.get(1));
    // The model is not random after all: the mean of equal gradients is each of them.
    assertThat(points.get(0))
        .containsExactly(points.get(1), org.assertj.core.data.Offset.offset(1e-6f));
  }

  /** A network of which a test changes one thing. */
  private static class Altered implements DifferentiableClassifier {
    private final DifferentiableClassifier network;

    Altered(DifferentiableClassifier network) {
      this.network = network;
    }

    @Override
    public String name() {
      return "altered";
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
      return network.logits(x);
    }

    @Override
    public LossGradient lossGradient(Tensor x, LogitLoss loss) {
      return network.lossGradient(x, loss);
    }
  }

  @Test
  void combinatorsGiveTheSameAttackWithMoreRunsOrRefuse() {
    Epsilon epsilon = Epsilon.of255(8);
    for (String name : Attacks.names()) {
      Attack attack = Attacks.byName(name, Norm.LINF, epsilon, 5, AttackOptions.DEFAULT);
      assertThat(attack.withRestarts(1).parameters()).isEqualTo(attack.parameters());
      assertThat(attack.withEot(1).parameters()).isEqualTo(attack.parameters());
      if (Set.of("fgsm", "rays").contains(name)) {
        assertThatThrownBy(() -> attack.withRestarts(3))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("1 restart for " + name);
      } else {
        assertThat(attack.withRestarts(3).parameters()).containsEntry("restarts", 3);
      }
      if (Set.of("square", "rays").contains(name)) {
        assertThatThrownBy(() -> attack.withEot(3))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("uses no gradients");
      } else {
        assertThat(attack.withEot(3).parameters()).containsEntry("eot_iterations", 3);
      }
      assertThatThrownBy(() -> attack.withRestarts(0)).isInstanceOf(InputException.class);
      assertThatThrownBy(() -> attack.withEot(0)).isInstanceOf(InputException.class);
    }
    AttackOptions ce = AttackOptions.DEFAULT.withLoss("ce");
    assertThat(Attacks.byName("square", Norm.L2, epsilon, 1, ce).parameters())
        .containsEntry("loss", "ce");
    for (String name : List.of("square", "pgd", "fgsm", "apgd-ce", "fab", "rays")) {
      assertThatThrownBy(
              () ->
                  Attacks.byName(
                      name, Norm.LINF, epsilon, 1, AttackOptions.DEFAULT.withLoss("hinge")))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("loss")
          .hasMessageContaining("hinge");
    }
  }

  @Test
  void namesNormsAndNumbersOutOfRangeAreRefusedWithTheChoices() {
    Epsilon epsilon = Epsilon.of255(8);
    assertThatThrownBy(
            () -> Attacks.byName("autoattack9", Norm.LINF, epsilon, 10, AttackOptions.DEFAULT))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("apgd-t")
        .hasMessageContaining("autoattack9");
    for (String name : List.of("fgsm", "pgd")) {
      assertThatThrownBy(() -> Attacks.byName(name, Norm.L1, epsilon, 10, AttackOptions.DEFAULT))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("Linf, L2")
          .hasMessageContaining("L1");
    }
    for (String name : List.of("gama-pgd", "rays")) {
      assertThatThrownBy(() -> Attacks.byName(name, Norm.L2, epsilon, 10, AttackOptions.DEFAULT))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("(Linf)")
          .hasMessageContaining("L2");
    }
    for (String name : Attacks.names()) {
      assertThatCode(() -> Attacks.byName(name, Norm.LINF, epsilon, 1, AttackOptions.DEFAULT))
          .doesNotThrowAnyException();
      assertThat(Attacks.byName(name, Norm.LINF, epsilon, 7, AttackOptions.DEFAULT).toString())
          .startsWith(name + "(")
          .contains("norm=Linf, epsilon=8/255");
      if (!Set.of("fgsm", "square", "rays").contains(name)) {
        assertThatThrownBy(() -> Attacks.byName(name, Norm.LINF, epsilon, 0, AttackOptions.DEFAULT))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("step");
      }
    }
    assertThat(new TargetedApgd(Norm.LINF, epsilon, 100, 9))
        .hasToString(
            "apgd-t(norm=Linf, epsilon=8/255, steps=100, targets=9, restarts=1, eot_iterations=1, "
                + "rho=0.75, larger_epsilon=false)");
  }

  @Test
  void epsilonsAreReadAsFractionsOrNumbers() {
    assertThat(Epsilon.parse("8/255")).isEqualTo(Epsilon.of255(8)).hasToString("8/255");
    assertThat(Epsilon.parse(" 0.1 ").value()).isEqualTo(0.1);
    assertThat(Epsilon.parse("12")).hasToString("12");
    for (String bad : List.of("0", "-8/255", "8/0", "NaN", "8/255/2", "eight", "", "1e400")) {
      assertThatThrownBy(() -> Epsilon.parse(bad)).as(bad).isInstanceOf(InputException.class);
    }
    assertThat(Norm.parse("linf")).isEqualTo(Norm.LINF);
    assertThatThrownBy(() -> Norm.parse("L0"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("Linf, L2 or L1");
  }

  @Test
  void nativeMemoryDoesNotGrowWithSteps() {
    StagedNetwork model = network(5);
    Tensor x = images(4, 3);
    long[] labels = predictions(model, x);
    try (AttackContext context = AttackContext.seeded(1)) {
      long[] used = new long[2];
      for (int round = 0; round < 2; round++) {
        new Apgd(Apgd.Loss.CE, Norm.L2, new Epsilon(0.1), 60)
            .run(model, x, labels, context)
            .close();
        used[round] = org.bytedeco.javacpp.Pointer.totalCount();
      }
      assertThat(used[1] - used[0]).isLessThanOrEqualTo(2);
    }
  }
}
