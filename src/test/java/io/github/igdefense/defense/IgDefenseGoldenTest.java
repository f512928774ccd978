package io.github.igdefense.defense;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.GoldenFiles;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingProvenance;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Masks, defended logits and gradients against the reference's: CIFAR ResNet (A1), wide ResNet
 * (A2), ImageNet bottlenecks (A3).
 */
class IgDefenseGoldenTest {
  private static Npz expected;
  private static StagedNetwork network;
  private static StagedNetwork narrow;
  private static StagedNetwork wide;
  private static StagedNetwork bottlenecks;

  @BeforeAll
  static void open() {
    expected = Npz.open(golden("defended.npz"));
    network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
    narrow = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
    wide = Networks.open("wrn-10-1", golden("a2.pt"), Dtype.FLOAT64);
    bottlenecks =
        Networks.open(
            "imagenet-rn50",
            golden("a3.pt"),
            NetworkOptions.of(Dtype.FLOAT64).withInputNormalization("none"));
  }

  @AfterAll
  static void close() {
    network.close();
    narrow.close();
    wide.close();
    bottlenecks.close();
  }

  private static StagedNetwork networkOf(String name) {
    return switch (modelOf(name)) {
      case "a1" -> network;
      case "a2" -> wide;
      default -> bottlenecks;
    };
  }

  private static String modelOf(String name) {
    return name.substring(0, 2);
  }

  /** Height and width of a case's images. */
  private static int sizeOf(String name) {
    return modelOf(name).equals("a3") ? 64 : 32;
  }

  /** Every case, such as {@code a1_layer4_k20_rs1}. */
  static List<String> cases() {
    return Npz.open(golden("defended.npz")).names().stream()
        .filter(name -> name.endsWith("_logits"))
        .map(name -> name.substring(0, name.length() - "_logits".length()))
        .toList();
  }

  static List<String> narrowCases() {
    return cases().stream().filter(name -> name.startsWith("a1")).toList();
  }

  static Stream<String> masks() {
    return Npz.open(golden("defended.npz")).names().stream()
        .filter(name -> name.endsWith("_masks"));
  }

  private static int keepOf(String name) {
    Matcher matcher = Pattern.compile("_k(\\d+)_").matcher(name);
    assertThat(matcher.find()).as(name).isTrue();
    return Integer.parseInt(matcher.group(1));
  }

  private static String layerOf(String name) {
    return name.split("_")[1];
  }

  private static ClassMasks masksOf(String name) {
    String layer = layerOf(name);
    NpyArray importance =
        Npz.open(golden(modelOf(name).equals("a3") ? "loir_a3.npz" : "loir_cifar.npz"))
            .get(modelOf(name) + "_" + layer + "_importance");
    long[] shape = importance.shape();
    Ranking ranking =
        new Ranking(
            layer,
            (int) shape[0],
            (int) shape[1],
            importance.asDouble(),
            RankingProvenance.unknown(layer));
    return ClassMasks.of(ranking, keepOf(name));
  }

  private static Tensor points() {
    return points("a1");
  }

  /** (1−t)·x[i] + t·x[j]. */
  private static Tensor points(String name) {
    String model = modelOf(name);
    int size = sizeOf(name);
    int values = 3 * size * size;
    double[] images =
        size == 32
            ? Npz.open(golden("images32.npz")).get("x").asDouble()
            : GoldenFiles.upsample(
                Npz.open(golden("images64.npz")).get("x_small").asDouble(), 4 * 3, 32, 2);
    long[] i = expected.get(model + "_mix_i").asLong();
    long[] j = expected.get(model + "_mix_j").asLong();
    double[] t = expected.get(model + "_mix_t").asDouble();
    double[] x = new double[i.length * values];
    for (int n = 0; n < i.length; n++) {
      for (int v = 0; v < values; v++) {
        x[n * values + v] =
            (1 - t[n]) * images[(int) i[n] * values + v] + t[n] * images[(int) j[n] * values + v];
      }
    }
    return Tensors.of(x, i.length, 3, size, size);
  }

  private static Smoothing smoothingOf(String name) {
    if (name.endsWith("_plain")) {
      return Smoothing.NONE;
    }
    return new Smoothing(
        expected.get("sigma").asDouble()[0],
        Integer.parseInt(name.substring(name.lastIndexOf("rs") + 2)));
  }

  private static NoiseSource goldenNoise() {
    float[] normal = Npz.open(golden("rng_stream.npz")).get("normal").asFloat();
    return (dtype, shape) -> {
      double[] draws = new double[(int) (shape[0] * shape[1] * shape[2] * shape[3])];
      for (int i = 0; i < draws.length; i++) {
        draws[i] = normal[i];
      }
      return Tensors.to(Tensors.of(draws, shape), dtype);
    };
  }

  private static LogitLoss crossEntropy(String name) {
    long[] labels = expected.get(modelOf(name) + "_y").asLong();
    Tensor y = Tensors.of(labels, labels.length);
    return logits -> torch.log_softmax(logits, 1).gather(1, y.unsqueeze(1)).squeeze(1).neg();
  }

  @ParameterizedTest
  @MethodSource("masks")
  void masksAreTheReferences(String name) {
    boolean[] bits = expected.get(name).asBoolean();
    ClassMasks masks = masksOf(name);
    for (int c = 0; c < masks.classCount(); c++) {
      for (int u = 0; u < masks.units(); u++) {
        assertThat(masks.kept(c, u))
            .as("class %d unit %d", c, u)
            .isEqualTo(bits[c * masks.units() + u]);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void float64LogitsWeightsAndGradientsAreTheReferences(String name) {
    try (PointerScope scope = new PointerScope();
        IgDefense fused =
            new IgDefense(networkOf(name), masksOf(name), 0.01, smoothingOf(name), goldenNoise());
        IgDefense plain =
            IgDefense.unfused(
                networkOf(name), masksOf(name), 0.01, smoothingOf(name), goldenNoise())) {
      for (IgDefense defense : List.of(fused, plain)) {
        Tensor x = points(name);
        IgDefense.Forward forward = defense.forward(x);
        assertClose(forward.logits(), expected.get(name + "_logits").asDouble(), 1e-7);
        assertClose(
            forward.softWeights(), expected.get(name + "_firstpass_weights").asDouble(), 1e-7);
        LossGradient result = defense.lossGradient(x, crossEntropy(name));
        assertClose(result.logits(), expected.get(name + "_logits").asDouble(), 1e-7);
        assertThat(Tensors.sum(result.loss()))
            .isCloseTo(expected.get(name + "_ce_sum").asDouble()[0], within(1e-7));
        checkGradient(name, Tensors.toDoubles(result.gradient()));

        // A pass that is kept gives the same, as often as asked: from softmax − onehot.
        try (DifferentiableClassifier.ForwardPass pass = defense.record(x)) {
          assertClose(pass.logits(), expected.get(name + "_logits").asDouble(), 1e-7);
          Tensor labels = Tensors.of(expected.get(modelOf(name) + "_y").asLong(), x.size(0));
          Tensor weights =
              torch
                  .softmax(pass.logits(), 1)
                  .sub(torch.one_hot(labels, defense.classCount()).to(torch.ScalarType.Double));
          for (int again = 0; again < 2; again++) {
            checkGradient(name, Tensors.toDoubles(pass.gradient(weights)));
          }
        }
      }
    }
  }

  private static void checkGradient(String name, double[] gradient) {
    int values = 3 * sizeOf(name) * sizeOf(name);
    double[] l1 = expected.get(name + "_grad_l1").asDouble();
    double[] linf = expected.get(name + "_grad_linf").asDouble();
    double[] proj = expected.get(name + "_grad_proj").asDouble();
    for (int n = 0; n < l1.length; n++) {
      double sum = 0;
      double max = 0;
      double[] fingerprint = new double[2];
      for (int v = 0; v < values; v++) {
        double g = gradient[n * values + v];
        sum += Math.abs(g);
        max = Math.max(max, Math.abs(g));
        for (int k = 0; k < 2; k++) {
          fingerprint[k] += g * Math.sin(0.37 * (k + 1) * (v + 1));
        }
      }
      // Relative to the largest entry of the image's gradient, as the expected values are sums of
      // many.
      double tolerance = 1e-6 * linf[n];
      assertThat(max).as("linf of %d", n).isCloseTo(linf[n], within(tolerance));
      assertThat(sum).as("l1 of %d", n).isCloseTo(l1[n], within(values * tolerance));
      for (int k = 0; k < 2; k++) {
        assertThat(fingerprint[k])
            .as("proj of %d", n)
            .isCloseTo(proj[n * 2 + k], within(50 * tolerance));
      }
    }
    if (!expected.contains(name + "_grad_img0_f32")) {
      assertThat(keepOf(name) == 8 || modelOf(name).equals("a3"))
          .as("complete gradients of %s", name)
          .isTrue();
      return;
    }
    double[] first = expected.get(name + "_grad_img0_f32").asDouble();
    for (int v = 0; v < values; v++) {
      assertThat(gradient[v]).as("value %d", v).isCloseTo(first[v], within(1e-6 * linf[0]));
    }
  }

  @ParameterizedTest
  @MethodSource("narrowCases")
  void float32LogitsAreWithinTheirRounding(String name) {
    try (PointerScope scope = new PointerScope();
        IgDefense defense =
            new IgDefense(narrow, masksOf(name), 0.01, smoothingOf(name), goldenNoise())) {
      double[] logits = Tensors.toDoubles(defense.logits(Tensors.to(points(), Dtype.FLOAT32)));
      double[] reference = expected.get(name + "_logits").asDouble();
      for (int i = 0; i < logits.length; i++) {
        double tolerance = i / 10 >= 6 ? 1e-3 : 0.2;
        assertThat(logits[i]).as("logit %d", i).isCloseTo(reference[i], within(tolerance));
      }
    }
  }

  @Test
  void thereAreCasesOfEveryKind() {
    assertThat(cases())
        .anyMatch(n -> n.contains("layer4") && n.endsWith("plain"))
        .anyMatch(n -> n.contains("layer4") && n.endsWith("rs4"))
        .anyMatch(n -> n.contains("layer3"))
        .anyMatch(n -> n.contains("a2_block3"))
        .anyMatch(n -> n.contains("a3_layer4"));
  }

  @Test
  void allUnitsKeptIsTheBaseModel() {
    try (PointerScope scope = new PointerScope();
        IgDefense defense =
            new IgDefense(network, ClassMasks.full("layer4", 10, 64), 0.01, Smoothing.NONE, null)) {
      assertClose(defense.logits(points()), Tensors.toDoubles(network.logits(points())), 1e-12);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4})
  void fixedNoiseGivesEveryImageTheSameAnswerInAnyBatch(int samples) {
    try (PointerScope scope = new PointerScope();
        IgDefense defense =
            IgDefense.withFixedNoise(
                network, masksOf("a1_layer4_k20_"), 0.01, new Smoothing(4 / 255.0, samples), 5)) {
      assertThat(defense.deterministic()).isTrue();
      Tensor x = points();
      double[] batch = Tensors.toDoubles(defense.logits(x));
      double[] again = Tensors.toDoubles(defense.logits(x));
      assertThat(again).isEqualTo(batch);
      assertClose(
          defense.logits(x.narrow(0, 2, 1)), java.util.Arrays.copyOfRange(batch, 20, 30), 1e-9);
    }
  }

  @Test
  void freshNoiseChangesTheAnswerAndASeedRepeatsIt() {
    double[][] runs = new double[3][];
    for (int run = 0; run < 3; run++) {
      try (PointerScope scope = new PointerScope();
          Rng rng = new Rng(run == 2 ? 1 : 0);
          IgDefense defense =
              new IgDefense(
                  network,
                  masksOf("a1_layer4_k20_"),
                  0.01,
                  new Smoothing(4 / 255.0, 1),
                  NoiseSource.fresh(rng))) {
        assertThat(defense.deterministic()).isFalse();
        runs[run] = Tensors.toDoubles(defense.forward(points()).firstLogits());
        assertThat(Tensors.toDoubles(defense.forward(points()).firstLogits()))
            .isNotEqualTo(runs[run]);
      }
    }
    assertThat(runs[1]).isEqualTo(runs[0]);
    assertThat(runs[2]).isNotEqualTo(runs[0]);
  }

  @Test
  void masksOfAnotherModelAreRefused() {
    assertThatThrownBy(
            () ->
                new IgDefense(
                    network, ClassMasks.full("layer4", 10, 63), 0.01, Smoothing.NONE, null))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("10 classes x 64 units");
    assertThatThrownBy(
            () ->
                new IgDefense(network, ClassMasks.full("layer4", 10, 64), 0, Smoothing.NONE, null))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("temperature");
    assertThatThrownBy(() -> ClassMasks.random("layer4", 10, 64, 65, 0))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("between 1 and 64");
  }

  @Test
  void randomMasksKeepKUnitsOfEveryClass() {
    ClassMasks masks = ClassMasks.random("layer4", 10, 64, 7, 3);
    for (int c = 0; c < 10; c++) {
      int kept = 0;
      for (int u = 0; u < 64; u++) {
        kept += masks.kept(c, u) ? 1 : 0;
      }
      assertThat(kept).isEqualTo(7);
    }
    assertThat(ClassMasks.random("layer4", 10, 64, 7, 3).bits()).isEqualTo(masks.bits());
    assertThat(ClassMasks.random("layer4", 10, 64, 7, 4).bits()).isNotEqualTo(masks.bits());
  }

  @Test
  void aClosedDefenseSaysSo() {
    IgDefense defense =
        new IgDefense(network, ClassMasks.full("layer4", 10, 64), 0.01, Smoothing.NONE, null);
    defense.close();
    defense.close();
    try (PointerScope scope = new PointerScope()) {
      assertThatThrownBy(() -> defense.logits(points()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed");
    }
  }

  private static void assertClose(Tensor actual, double[] values, double tolerance) {
    double[] found = Tensors.toDoubles(actual);
    assertThat(found).hasSameSizeAs(values);
    for (int i = 0; i < found.length; i++) {
      assertThat(found[i]).as("value %d", i).isCloseTo(values[i], within(tolerance));
    }
  }
}
