package io.github.igdefense.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every family at a small width, with batch normalisations that matter: the compiled form against
 * {@link PlainNetwork}, and the cuts against the whole.
 */
class FamiliesTest {
  /** Largest difference of a logit, relative to the largest logit; 3e-15 was seen. */
  private static final double FLOAT64_BOUND = 1e-13;

  /** The same for float32; 1.1e-6 was seen, in 34 layers. */
  private static final double FLOAT32_BOUND = 1e-5;

  /** The same for bfloat16 (8 bits); 0.017 was seen. */
  private static final double BFLOAT16_BOUND = 0.05;

  /**
   * A network to test.
   *
   * @param family as {@link PlainNetwork} knows it
   * @param net description
   * @param height of the images
   * @param width of the images
   */
  record Case(String family, NetworkDescription net, int height, int width) {
    @Override
    public String toString() {
      return net.architecture() + (net.tail() != null ? " with tail" : "");
    }

    StateDict state() {
      return livelyState(net, 1);
    }

    StagedNetwork open(StateDict state, Dtype dtype) {
      return NetworkCompiler.compile(
          net, state, net.normalization(), "test", List.of(), List.of(), NetworkOptions.of(dtype));
    }

    Tensor images(int count) {
      double[] x = new Random(2).doubles((long) count * 3 * height * width).toArray();
      return Tensors.of(x, count, 3, height, width);
    }

    Tensor plain(StateDict state, Tensor x) {
      return plain(new PlainNetwork(state), x);
    }

    Tensor plain(PlainNetwork network, Tensor x) {
      Tensor normalised = x;
      Optional<InputNormalization> own = net.normalization();
      if (own.isPresent()) {
        Tensor mean = Tensors.of(own.get().mean(), 1, 3, 1, 1);
        normalised = x.sub(mean).div(Tensors.of(own.get().std(), 1, 3, 1, 1));
      }
      return network.logits(family, normalised);
    }
  }

  /** Random convolutions, and batch normalisations far from the identity. */
  static StateDict livelyState(NetworkDescription net, long seed) {
    Random random = new Random(seed);
    StateDict plain = Networks.randomState(net, seed);
    List<HostTensor> tensors = new ArrayList<>();
    for (NetworkDescription.Parameter parameter : net.parameters()) {
      HostTensor tensor = plain.get(parameter.name());
      float[] values = tensor.toFloats();
      switch (parameter.role()) {
        case SCALE, VARIANCE -> fill(values, () -> 0.5 + random.nextDouble());
        case SHIFT, MEAN, BIAS -> fill(values, () -> 0.2 * random.nextGaussian());
        default -> {
          // As it is.
        }
      }
      tensors.add(HostTensor.of(tensor.name(), values, tensor.shape()));
    }
    return new StateDict(tensors);
  }

  private static void fill(float[] values, java.util.function.DoubleSupplier source) {
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) source.getAsDouble();
    }
  }

  private static Case named(String family, String architecture, int width) {
    boolean imageNet = family.equals("imagenet-resnet");
    return new Case(
        family,
        Networks.describe(architecture, 3, width, 7),
        imageNet ? 64 : 32,
        imageNet ? 48 : 32);
  }

  static Stream<Case> cases() {
    NetworkSizes withTail = new NetworkSizes(3, 4, 4, false, 4, 1, List.of(2, 2, 2, 2), true, 7);
    return Stream.of(
        named("cifar-resnet", "rn18", 4),
        named("cifar-resnet", "rn50", 4),
        named("wrn", "wrn-10-2", 4),
        named("wrn", "wrn-16-1", 4),
        named("preact-resnet", "preact-rn18", 4),
        named("preact-resnet", "preact-rn50", 4),
        new Case(
            "preact-resnet",
            NetworkFamilies.PREACT_RESNET.describe("preact-rn18", withTail),
            32,
            32),
        named("preact-resnet-raw-shortcut", "preact-rn18-raw-shortcut", 4),
        named("dm-wrn", "dm-wrn-10-2", 4),
        named("dm-wrn-relu", "dm-wrn-16-1-relu", 4),
        named("dm-preact-resnet", "dm-preact-rn18", 4),
        named("dm-preact-resnet-relu", "dm-preact-rn34-relu", 4),
        named("imagenet-resnet", "imagenet-rn18", 4),
        named("imagenet-resnet", "imagenet-rn50", 4),
        named("imagenet-resnet", "imagenet-wrn50-2", 4),
        named("imagenet-resnet", "resnext50-32x4d", 16));
  }

  /** The same blocks in greater number: forward passes alone. */
  static Stream<Case> casesWithDeeperOnes() {
    return Stream.concat(
        cases(),
        Stream.of(
            named("cifar-resnet", "rn34", 4),
            named("preact-resnet", "preact-rn34", 4),
            named("imagenet-resnet", "imagenet-rn34", 4),
            named("imagenet-resnet", "imagenet-rn101", 4),
            named("imagenet-resnet", "resnext101-32x8d", 16)));
  }

  private static double worst(double[] actual, double[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    double worst = 0;
    for (int i = 0; i < actual.length; i++) {
      worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
    }
    double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
    assertThat(largest).isPositive().isFinite();
    return worst / largest;
  }

  @ParameterizedTest
  @MethodSource("casesWithDeeperOnes")
  void foldedLogitsEqualThePublishedComputation(Case network) {
    StateDict state = network.state();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor x = network.images(3);
      PlainNetwork published = new PlainNetwork(state);
      double[] expected = Tensors.toDoubles(network.plain(published, x));
      assertThat(published.used()).containsExactlyInAnyOrderElementsOf(state.names());
      for (Dtype dtype : Dtype.values()) {
        try (StagedNetwork compiled = network.open(state, dtype)) {
          Tensor images = Tensors.to(x, dtype);
          Tensor logits = compiled.logits(images);
          double bound =
              switch (dtype) {
                case FLOAT64 -> FLOAT64_BOUND;
                case FLOAT32 -> FLOAT32_BOUND;
                case BFLOAT16 -> BFLOAT16_BOUND;
              };
          assertThat(worst(Tensors.toDoubles(logits), expected)).as("%s", dtype).isLessThan(bound);
          // The layout of the images changes nothing.
          Tensor channelsLast = images.contiguous(torch.MemoryFormat.ChannelsLast);
          assertThat(Tensors.toDoubles(compiled.logits(channelsLast)))
              .isEqualTo(Tensors.toDoubles(logits));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void inputGradientsAreThoseOfThePublishedComputation(Case network) {
    StateDict state = network.state();
    LogitLoss loss = logits -> logits.mul(logits).sum(1);
    try (StagedNetwork compiled = network.open(state, Dtype.FLOAT64);
        PointerScope scope = new PointerScope()) {
      Tensor x = network.images(1);
      Tensor expected = Gradients.of(x, input -> network.plain(state, input), loss).gradient();
      Tensor gradient = compiled.lossGradient(x, loss).gradient();
      assertThat(worst(Tensors.toDoubles(gradient), Tensors.toDoubles(expected))).isLessThan(1e-9);
    }
  }

  @ParameterizedTest
  @EnumSource(Dtype.class)
  void prefixThenSuffixIsTheWholeToTheLastBit(Dtype dtype) {
    cases()
        .forEach(
            network -> {
              try (StagedNetwork compiled = network.open(network.state(), dtype);
                  PointerScope scope = new PointerScope();
                  AutoGradMode off = new AutoGradMode(false)) {
                Tensor x = Tensors.to(network.images(2), dtype);
                double[] whole = Tensors.toDoubles(compiled.logits(x));
                assertThat(compiled.layers()).hasSize(network.net().stages().size());
                for (MaskableLayer layer : compiled.layers()) {
                  Tensor activation = compiled.prefix(x, layer);
                  assertThat(activation.size(1)).isEqualTo(layer.units());
                  assertThat(Tensors.toDoubles(compiled.suffix(activation, layer)))
                      .as("%s %s", network, layer.name())
                      .isEqualTo(whole);
                }
                assertThat(compiled.penultimate().penultimate()).isTrue();
              }
            });
  }

  @ParameterizedTest
  @MethodSource("cases")
  void anOpenedSuffixIsTheSuffix(Case network) {
    try (StagedNetwork compiled = network.open(network.state(), Dtype.FLOAT64);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      for (MaskableLayer layer : compiled.layers()) {
        Tensor activation = compiled.prefix(network.images(2), layer);
        Optional<Opening> found = compiled.opening(layer);
        boolean raw = network.family().matches("preact-resnet-raw.*|dm-preact.*");
        assertThat(found.isPresent()).isEqualTo(!layer.penultimate() && !raw);
        if (found.isEmpty()) {
          continue;
        }
        Opening opening = found.get();
        Tensor entered = opening.entry() == null ? activation : opening.entry().apply(activation);
        Tensor hidden = opening.middle().apply(opening.first().apply(entered));
        Tensor residual =
            opening.shortcut() == null ? activation : opening.shortcut().apply(entered);
        assertThat(Tensors.toDoubles(opening.rest().apply(hidden, residual)))
            .containsExactly(Tensors.toDoubles(compiled.suffix(activation, layer)));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void theTensorsTellTheArchitecture(Case network) {
    List<Networks.Candidate> found = Networks.identify(network.state());
    String name = network.net().architecture();
    boolean ambiguous =
        name.startsWith("dm-") || name.startsWith("preact") && network.net().tail() == null;
    assertThat(found).extracting(Networks.Candidate::architecture).contains(name);
    assertThat(found).hasSize(ambiguous ? 2 : 1);
    assertThat(found.get(0).reason()).contains("7 classes");
    for (Networks.Candidate candidate : found) {
      assertThat(candidate.description().parameterCount())
          .isEqualTo(network.net().parameterCount());
      // Its name opens it again.
      assertThat(Networks.describe(candidate.architecture(), network.state()).architecture())
          .isEqualTo(candidate.architecture());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void oneImageGivesWhatItGivesInABatch(Case network) {
    try (StagedNetwork compiled = network.open(network.state(), Dtype.FLOAT32);
        PointerScope scope = new PointerScope()) {
      Tensor x = Tensors.to(network.images(4), Dtype.FLOAT32);
      double[] batch = Tensors.toDoubles(compiled.logits(x));
      double[] one = Tensors.toDoubles(compiled.logits(x.narrow(0, 2, 1)));
      double scale = Arrays.stream(batch).map(Math::abs).max().orElseThrow();
      for (int k = 0; k < 7; k++) {
        assertThat(one[k]).isCloseTo(batch[2 * 7 + k], within(1e-4 * scale));
      }
    }
  }
}
