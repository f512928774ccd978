package io.github.igdefense.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.ElementType;
import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Names, published sizes, full-size checkpoints, and what does not fit. */
class ArchitecturesTest {
  @TempDir Path folder;

  /** All tensors at full shape over one stored value each: names and shapes without the memory. */
  private static StateDict hollow(NetworkDescription net) {
    List<HostTensor> tensors = new ArrayList<>();
    for (NetworkDescription.Parameter parameter : net.parameters()) {
      tensors.add(hollow(parameter.name(), parameter.shape()));
    }
    return new StateDict(tensors);
  }

  private static HostTensor hollow(String name, long... shape) {
    ByteBuffer one = ByteBuffer.allocate(4);
    return new HostTensor(
        name,
        new HostTensor.Storage(ElementType.FLOAT32, 1, Bytes.of(one)),
        0,
        shape,
        new long[shape.length]);
  }

  private static StateDict with(StateDict state, HostTensor... more) {
    List<HostTensor> tensors = new ArrayList<>();
    state.forEach(tensors::add);
    tensors.addAll(List.of(more));
    return new StateDict(tensors);
  }

  private static StateDict without(StateDict state, String part) {
    List<HostTensor> tensors = new ArrayList<>();
    state.forEach(
        tensor -> {
          if (!tensor.name().contains(part)) {
            tensors.add(tensor);
          }
        });
    return new StateDict(tensors);
  }

  /**
   * Parameters and GMAC of one image of the usual size: those of torchvision as it publishes them
   * ("GFLOPS"), the others counted on the modules of RobustBench's code.
   */
  @ParameterizedTest
  @CsvSource({
    "rn18, 10, 11173962, 0.555",
    "rn34, 10, 21282122, 1.159",
    "rn50, 10, 23520842, 1.298",
    "rn101, 10, 42512970, 2.510",
    "wrn-28-10, 10, 36479194, 5.243",
    "wrn-34-10, 10, 46160474, 6.659",
    "wrn-34-20, 10, 184531674, 26.582",
    "wrn-70-16, 10, 266796506, 38.764",
    "preact-rn18, 10, 11171146, 0.555",
    "dm-wrn-28-10, 10, 36479194, 5.243",
    "dm-wrn-70-16, 10, 266796506, 38.764",
    "dm-preact-rn18, 10, 12548426, 0.606",
    "imagenet-rn18, 1000, 11689512, 1.814",
    "imagenet-rn34, 1000, 21797672, 3.664",
    "imagenet-rn50, 1000, 25557032, 4.089",
    "imagenet-rn101, 1000, 44549160, 7.801",
    "imagenet-rn152, 1000, 60192808, 11.514",
    "imagenet-wrn50-2, 1000, 68883240, 11.398",
    "imagenet-wrn101-2, 1000, 126886696, 22.753",
    "resnext50-32x4d, 1000, 25028904, 4.230",
    "resnext101-32x8d, 1000, 88791336, 16.414"
  })
  void fullSizesAreThePublishedOnes(String name, int classes, long parameters, double gigaMacs) {
    NetworkDescription net = Networks.describe(name, 3, classes);
    assertThat(net.parameterCount()).isEqualTo(parameters);
    assertThat(net.macs() / 1e9).isCloseTo(gigaMacs, within(0.0006));
    StateDict state = hollow(net);
    assertThat(Networks.describe(name, state)).isEqualTo(net);
    assertThat(Networks.identify(state))
        .extracting(Networks.Candidate::architecture)
        .contains(name);
  }

  @ParameterizedTest
  @CsvSource({
    "rn18, layer1 64 layer2 128 layer3 256 layer4 512",
    "rn50, layer1 256 layer2 512 layer3 1024 layer4 2048",
    "wrn-34-10, block1 160 block2 320 block3 640",
    "preact-rn18, layer1 64 layer2 128 layer3 256 layer4 512",
    "dm-wrn-28-10, layer.0 160 layer.1 320 layer.2 640",
    "dm-preact-rn18, layer_0 64 layer_1 128 layer_2 256 layer_3 512",
    "imagenet-rn18, layer1 64 layer2 128 layer3 256 layer4 512",
    "resnext101-32x8d, layer1 256 layer2 512 layer3 1024 layer4 2048"
  })
  void layersAndUnitsAreThePublishedOnes(String name, String layers) {
    StringBuilder found = new StringBuilder();
    for (NetworkDescription.Stage stage : Networks.describe(name, 3, 10).stages()) {
      found.append(stage.name()).append(' ').append(stage.units()).append(' ');
    }
    assertThat(found.toString().strip()).isEqualTo(layers);
  }

  /** A file of ResNet-50 for ImageNet at full size, as the zoo stores it: prefix and buffers. */
  @Test
  void aFullSizeResNet50LoadsFromAFile() {
    NetworkDescription net = Networks.describe("imagenet-rn50", 3, 1000);
    List<HostTensor> tensors = new ArrayList<>();
    Networks.randomState(net, 3).forEach(t -> tensors.add(t.withName("model." + t.name())));
    tensors.add(HostTensor.of("normalize.mean", new float[] {0.5f, 0.25f, 0.125f}, 1, 3, 1, 1));
    tensors.add(HostTensor.of("normalize.std", new float[] {1f, 2f, 0.5f}, 1, 3, 1, 1));
    Path file = folder.resolve("rn50.safetensors");
    SafeTensors.write(file, new StateDict(tensors), Map.of());
    try (StagedNetwork network = Networks.open("auto", file, Dtype.FLOAT32);
        PointerScope scope = new PointerScope()) {
      assertThat(network.architecture()).isEqualTo("imagenet-rn50");
      assertThat(network.warnings()).isEmpty();
      assertThat(network.normalization())
          .contains(
              new InputNormalization(new double[] {0.5, 0.25, 0.125}, new double[] {1, 2, 0.5}));
      Tensor logits = network.logits(torch.zeros(1, 3, 224, 224));
      assertThat(Tensors.shape(logits)).containsExactly(1, 1000);
      assertThat(Tensors.toDoubles(logits)).doesNotContain(Double.NaN);
    }
  }

  /** WRN-34-10 at full size with the block that the TRADES code saves and never uses. */
  @Test
  void aFullSizeWideResNetLoadsWithItsStrayBlock() {
    NetworkDescription net = Networks.describe("wrn-34-10", 3, 10);
    StateDict state = Networks.randomState(net, 3);
    List<HostTensor> stray = new ArrayList<>();
    for (String name : state.names()) {
      if (name.startsWith("block1.")) {
        stray.add(hollow("sub_" + name, state.get(name).shape()));
      }
    }
    stray.add(hollow("bn1.num_batches_tracked"));
    StateDict published = with(state, stray.toArray(HostTensor[]::new));
    try (StagedNetwork network =
            Networks.build("wrn", published, "0123", NetworkOptions.of(Dtype.FLOAT32));
        PointerScope scope = new PointerScope()) {
      assertThat(network.architecture()).isEqualTo("wrn-34-10");
      assertThat(network.normalization()).isEmpty();
      assertThat(network.warnings()).isEmpty();
      assertThat(network.notes()).hasSize(1);
      assertThat(network.notes().get(0)).contains("51 tensors sub_block1.*");
      assertThat(network.penultimate()).isEqualTo(new MaskableLayer("block3", 640, 4, true));
      assertThat(Tensors.toDoubles(network.logits(torch.zeros(2, 3, 32, 32))))
          .hasSize(20)
          .doesNotContain(Double.NaN);
    }
  }

  /**
   * The other full sizes, each really built, from every tensor of its published names and shapes.
   */
  @ParameterizedTest
  @CsvSource({
    "rn18, 10",
    "rn34, 10",
    "rn50, 10",
    "preact-rn18, 10",
    "preact-rn34, 10",
    "dm-wrn-28-10, 100",
    "imagenet-rn18, 1000",
    "imagenet-rn101, 1000",
    "imagenet-wrn50-2, 1000",
    "resnext50-32x4d, 1000",
    "resnext101-32x8d, 1000"
  })
  void everyFullSizeLoadsAndAnswers(String name, int classes) {
    StateDict state = Networks.randomState(Networks.describe(name, 3, classes), 5);
    try (StagedNetwork network =
            Networks.build(name, state, "x", NetworkOptions.of(Dtype.FLOAT32));
        PointerScope scope = new PointerScope()) {
      int size = network.imageSizes().fixed() ? network.imageSize() : 64;
      Tensor logits = network.logits(torch.rand(2, 3, size, size));
      assertThat(Tensors.shape(logits)).containsExactly(2, classes);
      assertThat(Tensors.sum(logits)).isFinite();
      assertThat(Tensors.sum(logits.abs())).isPositive();
    }
  }

  @Test
  void tensorsWithoutUseAreNamedInOneWarning() {
    NetworkDescription net = Networks.describe("rn18", 3, 4, 10);
    HostTensor[] extra = new HostTensor[6];
    Arrays.setAll(extra, i -> hollow("projector." + i, 3));
    try (StagedNetwork network =
        Networks.build(
            "rn18",
            with(Networks.randomState(net, 0), extra),
            "x",
            NetworkOptions.of(Dtype.FLOAT32))) {
      assertThat(network.warnings()).hasSize(1);
      assertThat(network.warnings().get(0))
          .contains("6 tensors", "projector.0, projector.1, projector.2, projector.3 and 2 more");
      assertThat(network.notes()).isEmpty();
    }
  }

  @Test
  void missingTensorsAreCountedAndNamed() {
    StateDict state = hollow(Networks.describe("wrn-16-4", 3, 10));
    assertThatThrownBy(() -> Networks.describe("wrn", without(state, "block2.layer.1.bn")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("8 are missing")
        .hasMessageContaining("block2.layer.1.bn1.weight [128]")
        .hasMessageContaining("and 4 more");
    assertThatThrownBy(() -> Networks.describe("wrn", without(state, "fc.bias")))
        .hasMessageContaining("1 are missing: fc.bias [10]");
    assertThatThrownBy(() -> Networks.describe("wrn", without(state, "conv1.weight")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("'conv1.weight'");
  }

  @ParameterizedTest
  @CsvSource({
    "wrn-34-10, wrn-28-10, block1.layer.4.bn1.weight",
    "wrn-28-10, wrn-34-10, block1.layer.4",
    "wrn-28-10, wrn-28-4, 160 channels",
    "rn50, rn18, layer1.0.conv3.weight",
    "rn18, rn50, layer1.0.conv1.weight",
    "rn50, rn34, layer1.0.conv3.weight",
    "imagenet-rn50, imagenet-wrn50-2, 64 channels in 1 groups",
    "imagenet-wrn50-2, resnext50-32x4d, 32 groups",
    "resnext50-32x4d, imagenet-rn50, 128 channels in 32 groups",
    "rn18, imagenet-rn18, linear.weight",
    "imagenet-rn18, rn18, fc.weight",
    "preact-rn18, dm-preact-rn18, conv1.weight",
    "dm-wrn-28-10, wrn-28-10, init_conv.weight"
  })
  void anotherArchitectureIsToldFromTheOneAskedFor(String asked, String held, String part) {
    StateDict state = hollow(Networks.describe(held, 3, 10));
    assertThatThrownBy(() -> Networks.describe(asked, state))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(part);
  }

  @Test
  void theFileIsNamedWithWhatItFits() {
    Path file = folder.resolve("small.safetensors");
    SafeTensors.write(
        file, Networks.randomState(Networks.describe("wrn-10-1", 3, 10), 0), Map.of());
    assertThatThrownBy(() -> Networks.open("rn18", file, Dtype.FLOAT32))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("small.safetensors does not hold architecture rn18")
        .hasMessageContaining("its tensors fit wrn-10-1");
  }

  @Test
  void autoRefusesToChooseWhereTensorsCannotTell() {
    StateDict state = hollow(Networks.describe("dm-wrn-28-10", 3, 10));
    assertThatThrownBy(() -> Networks.describe("auto", state))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("dm-wrn-28-10 (")
        .hasMessageContaining("dm-wrn-28-10-relu (")
        .hasMessageContaining("--arch");
    assertThatThrownBy(
            () -> Networks.describe("auto", new StateDict(List.of(hollow("stem.weight", 3)))))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("stem.weight");
    StateDict cut = without(hollow(Networks.describe("rn18", 3, 10)), "layer3.1.bn2.bias");
    assertThatThrownBy(() -> Networks.describe("auto", cut))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("layer3.1.bn2.bias");
    assertThat(Networks.identify(cut)).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"resnet", "wrn-34-10-relu", "", "RN18", "wrn-99999-1", "dm-rn18"})
  void aWrongNameListsTheNames(String name) {
    assertThatThrownBy(() -> Networks.describe(name, 3, 10))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("rn18")
        .hasMessageContaining("wrn-DEPTH-WIDTH")
        .hasMessageContaining("resnext101-32x8d")
        .hasMessageContaining("auto")
        .hasMessageContaining("'" + name + "'");
  }

  @ParameterizedTest
  @ValueSource(strings = {"wrn-33-10", "wrn-4-1", "wrn-10-0", "dm-wrn-29-1"})
  void aWideResNetHasADepthOf6nPlus4(String name) {
    assertThatThrownBy(() -> Networks.describe(name, 3, 10))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("6n+4")
        .hasMessageContaining(name);
  }

  @ParameterizedTest
  @CsvSource({"wrn34_10,wrn-34-10", "wrn-34_10,wrn-34-10", "dm-wrn-70-16-relu,dm-wrn-70-16-relu"})
  void wideNamesHaveOtherSpellings(String spelling, String name) {
    assertThat(Networks.describe(spelling, 3, 10).architecture()).isEqualTo(name);
  }

  @Test
  void aGenericNameNeedsTensors() {
    assertThatThrownBy(() -> Networks.describe("wrn", 3, 10))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("with its depth");
  }

  @Test
  void normalisationComesFromTheUserElseTheFileElseTheFamily() {
    StateDict plain = Networks.randomState(Networks.describe("imagenet-rn18", 3, 2, 5), 0);
    InputNormalization own = new InputNormalization(new double[] {0.5}, new double[] {0.25});
    StateDict saved =
        with(
            plain,
            HostTensor.of("mean", new float[] {0.5f}, 1),
            HostTensor.of("std", new float[] {0.25f}, 1));
    assertThat(normalization(plain, "auto")).contains(InputNormalizations.IMAGENET);
    assertThat(normalization(saved, "auto")).contains(own);
    assertThat(normalization(saved, "none")).isEmpty();
    assertThat(normalization(saved, "cifar10")).contains(InputNormalizations.CIFAR_10);
    assertThat(normalization(plain, "0.5,0.25")).contains(own);
    assertThat(normalization(plain, "0,0,0,1,1,1")).isPresent();
    StateDict hundred = Networks.randomState(Networks.describe("dm-wrn-10-1", 3, 4, 100), 0);
    try (StagedNetwork network =
        Networks.build("dm-wrn", hundred, "x", NetworkOptions.of(Dtype.FLOAT32))) {
      assertThat(network.normalization()).contains(InputNormalizations.CIFAR_100);
      assertThat(network.notes()).hasSize(1);
      assertThat(network.notes().get(0)).contains("holds no input normalisation", "0.5071");
    }
  }

  private static Optional<InputNormalization> normalization(StateDict state, String text) {
    try (StagedNetwork network =
        Networks.build(
            "imagenet-rn18",
            state,
            "x",
            NetworkOptions.of(Dtype.FLOAT32).withInputNormalization(text))) {
      return network.normalization();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "cifar", "1", "0.5,0", "0.5,NaN", "0,0,1,1,1", "0,0,1,1", "a,b"})
  void aWrongNormalisationIsRefused(String text) {
    StateDict state = Networks.randomState(Networks.describe("rn18", 3, 2, 5), 0);
    assertThatThrownBy(
            () ->
                Networks.build(
                    "rn18",
                    state,
                    "x",
                    NetworkOptions.of(Dtype.FLOAT32).withInputNormalization(text)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("normalisation");
  }

  @Test
  void closingFreesWhatTheConvolutionsHold() {
    StagedNetwork network = Networks.random("rn18", 3, 4, 10, 1, Dtype.FLOAT32);
    Convolution first = network.opening(network.layer("layer1")).orElseThrow().first();
    assertThat(first.weight().referenceCount()).isEqualTo(1);
    assertThat(first.biasArgument().referenceCount()).isEqualTo(1);
    network.close();
    assertThat(first.weight().referenceCount()).isLessThan(1);
    assertThat(first.biasArgument().referenceCount()).isLessThan(1);
  }

  @Test
  void imageNetFamiliesTakeAnySizeFrom32() {
    try (StagedNetwork network = Networks.random("imagenet-rn18", 3, 4, 5, 1, Dtype.FLOAT32);
        PointerScope scope = new PointerScope()) {
      assertThat(network.imageSize()).isEqualTo(224);
      for (long[] size : new long[][] {{32, 32}, {33, 61}, {288, 288}}) {
        Tensor logits = network.logits(torch.ones(1, 3, size[0], size[1]));
        assertThat(Tensors.shape(logits)).containsExactly(1, 5);
      }
      assertThatThrownBy(() -> network.logits(torch.ones(1, 3, 31, 224)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("[N,3,H,W of at least 32]");
    }
  }

  @Test
  void unlikelyShapesAreRefusedAndNothingElseHappens() {
    Random random = new Random(5);
    List<String> names =
        List.of(
            "rn50", "wrn-16-4", "preact-rn18", "dm-wrn-10-1", "dm-preact-rn18", "resnext50-32x4d");
    long[] extents = {0, 1, 2, 3, 7, 63, 1 << 20, (1 << 20) + 1, 1L << 31, Long.MAX_VALUE / 4};
    for (int round = 0; round < 600; round++) {
      String name = names.get(round % names.size());
      List<HostTensor> tensors = new ArrayList<>();
      StateDict state = hollow(Networks.describe(name, 3, 10));
      int victim = random.nextInt(3) == 0 ? random.nextInt(state.size()) : random.nextInt(12);
      int index = 0;
      for (HostTensor tensor : state) {
        long[] shape = tensor.shape();
        boolean last = tensor.name().matches("(fc|linear|logits)\\.weight");
        if (index++ == victim || (last && random.nextInt(4) == 0)) {
          shape = random.nextInt(3) == 0 ? new long[random.nextInt(6)] : shape;
          for (int d = 0; d < shape.length; d++) {
            shape[d] = random.nextBoolean() ? extents[random.nextInt(extents.length)] : shape[d];
          }
        }
        tensors.add(hollow(tensor.name(), shape));
      }
      StateDict odd = new StateDict(tensors);
      for (String asked : List.of(name, "auto")) {
        Throwable thrown = catchThrowable(() -> Networks.describe(asked, odd));
        if (thrown != null) {
          assertThat(thrown).as("round %d", round).isInstanceOf(InputException.class);
        }
      }
      Networks.identify(odd);
    }
  }
}
