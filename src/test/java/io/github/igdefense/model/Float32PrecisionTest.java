package io.github.igdefense.model;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Float32 in three products instead of six: how exact, and who knows of it. */
class Float32PrecisionTest {
  /** ‖logits − float64's‖ / ‖float64's‖ at precision high. */
  private static final double HIGH_BOUND = 1e-4;

  /** The same where a network's sums cancel: the golden model with statistics of its own. */
  private static final double HIGH_CANCELLING_BOUND = 4e-4;

  /** The same of gradients: a ReLU whose input is nearly zero may open or close. */
  private static final double GRADIENT_BOUND = 1e-2;

  /** The same at highest. */
  private static final double HIGHEST_BOUND = 5e-6;

  private static StagedNetwork build(
      String architecture, StateDict state, Engine engine, Float32Precision precision) {
    return Networks.build(
        architecture,
        state,
        "test",
        NetworkOptions.of(Dtype.FLOAT32).withFloat32Precision(precision).withEngine(engine));
  }

  private static StagedNetwork exact(String architecture, StateDict state) {
    return Networks.build(
        architecture, state, "test", NetworkOptions.of(Dtype.FLOAT64).withEngine(Engine.LIBTORCH));
  }

  private static StateDict random(String architecture, int width) {
    return Networks.randomState(Networks.describe(architecture, 3, width, 10), 4);
  }

  private static Tensor images(int n) {
    try (Rng rng = new Rng(3)) {
      return rng.uniform(Dtype.FLOAT32, n, 3, 32, 32);
    }
  }

  @ParameterizedTest
  @CsvSource({"a1, false", "a1n, true", "a2, false", "a3, false"})
  void goldenModelsKeepSixteenBits(String model, boolean cancels) {
    Npz set = Npz.open(golden("images32.npz"));
    StateDict state = CheckpointReader.read(golden(model + ".pt")).state();
    String architecture = Networks.identify(state).get(0).architecture();
    try (PointerScope scope = new PointerScope()) {
      Tensor x =
          Tensors.to(Tensors.of(set.get("x").asDouble(), set.get("x").shape()), Dtype.FLOAT32)
              .narrow(0, 0, 6);
      logitsAreWithin(architecture, state, x, cancels ? HIGH_CANCELLING_BOUND : HIGH_BOUND);
    }
  }

  @ParameterizedTest
  @CsvSource({"rn18, 16", "wrn-10-1, 8", "preact-rn18, 8"})
  void randomNetworksKeepSixteenBits(String architecture, int width) {
    try (PointerScope scope = new PointerScope()) {
      logitsAreWithin(architecture, random(architecture, width), images(6), HIGH_BOUND);
    }
  }

  private static void logitsAreWithin(
      String architecture, StateDict state, Tensor x, double bound) {
    try (StagedNetwork exact = exact(architecture, state);
        StagedNetwork high = build(architecture, state, Engine.NATIVE, Float32Precision.HIGH);
        StagedNetwork highest = high.withFloat32Precision(Float32Precision.HIGHEST)) {
      double[] expected = Tensors.toDoubles(exact.logits(Tensors.to(x, Dtype.FLOAT64)));
      double coarse = distance(expected, Tensors.toDoubles(high.logits(x)));
      double fine = distance(expected, Tensors.toDoubles(highest.logits(x)));
      assertThat(fine).isLessThan(HIGHEST_BOUND);
      assertThat(coarse).isGreaterThan(fine).isLessThan(bound);
    }
  }

  @Test
  void gradientsAreNear() {
    StateDict state = random("rn18", 8);
    LogitLoss sum = logits -> logits.logsumexp(new long[] {1}, false);
    try (StagedNetwork exact = exact("rn18", state);
        StagedNetwork high = build("rn18", state, Engine.NATIVE, Float32Precision.HIGH);
        PointerScope scope = new PointerScope()) {
      Tensor x = images(5);
      double[] expected =
          Tensors.toDoubles(exact.lossGradient(Tensors.to(x, Dtype.FLOAT64), sum).gradient());
      assertThat(distance(expected, Tensors.toDoubles(high.lossGradient(x, sum).gradient())))
          .isBetween(1e-7, GRADIENT_BOUND);
    }
  }

  @Test
  void eachPrecisionIsNamedAndKeepsItsNumbers() {
    StateDict state = random("rn18", 8);
    try (StagedNetwork highest = build("rn18", state, Engine.NATIVE, Float32Precision.HIGHEST);
        PointerScope scope = new PointerScope()) {
      Tensor x = images(3);
      double[] before = Tensors.toDoubles(highest.logits(x));
      double[] coarse;
      try (StagedNetwork high = highest.withFloat32Precision(Float32Precision.HIGH)) {
        coarse = Tensors.toDoubles(high.logits(x));
        assertThat(high.engine()).isEqualTo("native, float32 as three bfloat16 products");
        assertThat(high.arithmetic()).isEqualTo("float32 (high)");
        assertThat(high.float32Precision()).isEqualTo(Float32Precision.HIGH);
        assertThat(high.dtype()).isEqualTo(Dtype.FLOAT32);
        assertThat(high.sha256()).isEqualTo(highest.sha256());
        assertThat(Tensors.toDoubles(highest.logits(x))).isEqualTo(before);
      }
      assertThat(coarse).isNotEqualTo(before);
      assertThat(Tensors.toDoubles(highest.logits(x))).as("the other is closed").isEqualTo(before);
      assertThat(highest.engine()).isEqualTo("native, float32 as six bfloat16 products");
      assertThat(highest.arithmetic()).isEqualTo("float32");
      try (StagedNetwork own = build("rn18", state, Engine.NATIVE, Float32Precision.HIGH);
          StagedNetwork back = own.withFloat32Precision(Float32Precision.HIGHEST)) {
        assertThat(Tensors.toDoubles(own.logits(x))).as("opened so").isEqualTo(coarse);
        assertThat(Tensors.toDoubles(back.logits(x))).isEqualTo(before);
      }
    }
  }

  /** With the input's normalisation, which the engine owns a copy of. */
  @Test
  void normalisedInputsAreNotFreedTwice() {
    try (StagedNetwork highest =
            Networks.build(
                "rn18",
                random("rn18", 8),
                "test",
                NetworkOptions.of(Dtype.FLOAT32)
                    .withInputNormalization("cifar10")
                    .withEngine(Engine.NATIVE));
        PointerScope scope = new PointerScope()) {
      assertThat(highest.normalization()).isPresent();
      Tensor x = images(2);
      double[] before = Tensors.toDoubles(highest.logits(x));
      for (int i = 0; i < 3; i++) {
        try (StagedNetwork high = highest.withFloat32Precision(Float32Precision.HIGH)) {
          assertThat(distance(before, Tensors.toDoubles(high.logits(x)))).isLessThan(HIGH_BOUND);
        }
      }
      assertThat(Tensors.toDoubles(highest.logits(x))).isEqualTo(before);
    }
  }

  @Test
  void libtorchIsAlwaysHighestAndSaysSo() {
    StateDict state = random("rn18", 4);
    try (StagedNetwork highest = build("rn18", state, Engine.LIBTORCH, Float32Precision.HIGHEST);
        StagedNetwork high = build("rn18", state, Engine.LIBTORCH, Float32Precision.HIGH);
        PointerScope scope = new PointerScope()) {
      assertThat(high.engine()).startsWith("libtorch").contains("highest", "high needs the native");
      assertThat(highest.engine()).isEqualTo("libtorch");
      assertThat(high.float32Precision()).isEqualTo(Float32Precision.HIGHEST);
      assertThat(high.arithmetic()).isEqualTo("float32");
      Tensor x = images(2);
      assertThat(Tensors.toDoubles(high.logits(x))).isEqualTo(Tensors.toDoubles(highest.logits(x)));
    }
  }

  @Test
  void otherTypesHaveNone() {
    StateDict state = random("rn18", 4);
    for (Dtype dtype : List.of(Dtype.FLOAT64, Dtype.BFLOAT16)) {
      assertThatThrownBy(
              () ->
                  Networks.build(
                      "rn18",
                      state,
                      "test",
                      NetworkOptions.of(dtype).withFloat32Precision(Float32Precision.HIGH)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("float32")
          .hasMessageContaining(dtype.toString());
      try (StagedNetwork network =
          Networks.build("rn18", state, "test", NetworkOptions.of(dtype))) {
        assertThat(network.arithmetic()).isEqualTo(dtype.toString());
        assertThatThrownBy(() -> network.withFloat32Precision(Float32Precision.HIGH))
            .isInstanceOf(InputException.class)
            .hasMessageContaining(dtype.toString());
      }
    }
    assertThatThrownBy(() -> Float32Precision.parse("low"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("highest, high or medium");
  }

  /** Eight bits of each number: a hundred times coarser than high, and still the network. */
  @Test
  void mediumIsBfloat16InFloat32Clothes() {
    StateDict state = random("rn18", 16);
    try (StagedNetwork highest = build("rn18", state, Engine.NATIVE, Float32Precision.HIGHEST);
        StagedNetwork high = highest.withFloat32Precision(Float32Precision.HIGH);
        StagedNetwork medium = highest.withFloat32Precision(Float32Precision.MEDIUM);
        PointerScope scope = new PointerScope()) {
      assertThat(medium.engine()).isEqualTo("native, bfloat16");
      assertThat(medium.arithmetic()).isEqualTo("float32 (medium)");
      assertThat(medium.dtype()).isEqualTo(Dtype.FLOAT32);
      Tensor x = images(6);
      double[] expected = Tensors.toDoubles(highest.logits(x));
      double near = distance(expected, Tensors.toDoubles(high.logits(x)));
      assertThat(distance(expected, Tensors.toDoubles(medium.logits(x))))
          .isGreaterThan(20 * near)
          .isLessThan(0.05);
    }
  }

  /** Few images share the reading of weights, many do not: bit by bit the same. */
  @ParameterizedTest
  @CsvSource({
    "rn18, 8, HIGH, 1, 1", "rn18, 8, MEDIUM, 1, 1", "rn18, 16, HIGH, 2, 3",
    "rn18, 20, MEDIUM, 1, 5", "wrn-10-1, 8, MEDIUM, 2, 2", "preact-rn18, 8, HIGH, 1, 4",
    "rn18, 8, MEDIUM, 9, 18", "rn18, 8, HIGH, 0, 2", "rn18, 8, HIGH, 2, 0"
  })
  void coarseImagesBesideOthersGetWhatTheirNetworkGives(
      String architecture, int width, Float32Precision precision, int fine, int coarse) {
    StateDict state = random(architecture, width);
    try (StagedNetwork highest =
            build(architecture, state, Engine.NATIVE, Float32Precision.HIGHEST);
        StagedNetwork lower = highest.withFloat32Precision(precision);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor x = images(fine + coarse);
      for (MaskableLayer layer : highest.layers()) {
        float[] first = Tensors.toFloats(highest.prefix(x, layer));
        float[] last = Tensors.toFloats(lower.prefix(x, layer));
        float[] both =
            Tensors.toFloats(highest.prefixWithCoarse(x, layer, lower, coarse).orElseThrow());
        int each = first.length / (fine + coarse);
        System.arraycopy(last, fine * each, first, fine * each, coarse * each);
        assertThat(both).isEqualTo(first);
      }
    }
  }

  @Test
  void coarseImagesNeedTheEngineAndNoGradients() {
    StateDict state = random("rn18", 4);
    try (StagedNetwork plain = build("rn18", state, Engine.LIBTORCH, Float32Precision.HIGHEST);
        StagedNetwork highest = build("rn18", state, Engine.NATIVE, Float32Precision.HIGHEST);
        StagedNetwork lower = highest.withFloat32Precision(Float32Precision.HIGH);
        PointerScope scope = new PointerScope()) {
      Tensor x = images(2);
      MaskableLayer layer = highest.penultimate();
      try (AutoGradMode on = new AutoGradMode(true)) {
        assertThat(highest.prefixWithCoarse(x, layer, lower, 1)).isEmpty();
      }
      try (AutoGradMode off = new AutoGradMode(false)) {
        assertThat(plain.prefixWithCoarse(x, plain.penultimate(), lower, 1)).isEmpty();
        assertThat(highest.prefixWithCoarse(x, layer, lower, 1)).isPresent();
        assertThatThrownBy(() -> highest.prefixWithCoarse(x, layer, lower, 3))
            .hasMessageContaining("0 to 2 coarse images");
      }
    }
  }

  /** ‖a − b‖ / ‖a‖. */
  private static double distance(double[] a, double[] b) {
    assertThat(b).hasSameSizeAs(a);
    double difference = 0;
    double size = 0;
    for (int i = 0; i < a.length; i++) {
      difference += (a[i] - b[i]) * (a[i] - b[i]);
      size += a[i] * a[i];
    }
    double relative = Math.sqrt(difference / size);
    if (Boolean.getBoolean("igd.show")) {
      System.err.println("distance " + relative);
    }
    return relative;
  }
}
