package io.github.igdefense.importance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.importance.NaiveLeaveOneOut.Repeat;
import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.NetworkDescription;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.model.StateDict;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Leave-one-out at interior layers against one mask at a time, on random networks. */
class InteriorLeaveOneOutTest {
  private static final int CLASSES = 7;

  @TempDir Path folder;

  /** Random weights, batch normalisations far from the identity, and some units that are dead. */
  static StagedNetwork network(String architecture, int width, long seed, Dtype dtype) {
    return network(architecture, width, seed, dtype, "");
  }

  /** The same with one scale so large that what follows overflows. */
  private static StagedNetwork network(
      String architecture, int width, long seed, Dtype dtype, String huge) {
    Random random = new Random(seed);
    NetworkDescription net = Networks.describe(architecture, 3, width, CLASSES);
    StateDict plain = Networks.randomState(net, seed);
    List<HostTensor> tensors = new ArrayList<>();
    for (NetworkDescription.Parameter parameter : net.parameters()) {
      HostTensor tensor = plain.get(parameter.name());
      float[] values = tensor.toFloats();
      for (int i = 0; i < values.length; i++) {
        switch (parameter.role()) {
          case SCALE, VARIANCE -> values[i] = (float) (0.5 + random.nextDouble());
          case SHIFT ->
              values[i] = (float) (random.nextInt(6) == 0 ? -5 : 0.2 * random.nextGaussian());
          case MEAN, BIAS -> values[i] = (float) (0.2 * random.nextGaussian());
          default -> {}
        }
      }
      if (tensor.name().equals(huge)) {
        java.util.Arrays.fill(values, 3e38f);
      }
      tensors.add(HostTensor.of(tensor.name(), values, tensor.shape()));
    }
    return Networks.build(
        architecture,
        new StateDict(tensors),
        "test",
        NetworkOptions.of(dtype).withInputNormalization("none"));
  }

  /**
   * Basic blocks and bottlenecks, before and after the activation, strides 1 and 2, identity and
   * convolution shortcuts, grouped convolutions, padding on one side, ReLU and SiLU.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "rn18",
        "rn50",
        "wrn-10-2",
        "wrn-16-1",
        "preact-rn18",
        "preact-rn50",
        "preact-rn18-raw-shortcut",
        "dm-wrn-10-2",
        "dm-wrn-16-1-relu",
        "dm-preact-rn18",
        "imagenet-rn18",
        "imagenet-rn50",
        "resnext50-32x4d"
      })
  void everyLayerEqualsOneMaskAtATime(String architecture) {
    Random random = new Random(architecture.hashCode());
    int width = architecture.startsWith("resnext") ? 16 : 4;
    try (StagedNetwork network = network(architecture, width, 3, Dtype.FLOAT64)) {
      for (MaskableLayer layer : network.layers()) {
        if (layer.penultimate()) {
          continue;
        }
        int n = 1 + random.nextInt(3);
        int blockSize = new int[] {1, 3, 8, 50}[random.nextInt(4)];
        check(network, layer, n, blockSize, random);
      }
    }
  }

  private static void check(
      StagedNetwork network, MaskableLayer layer, int n, int blockSize, Random random) {
    int size =
        network.name().contains("imagenet") || network.name().startsWith("resnext") ? 64 : 32;
    boolean signed = random.nextBoolean();
    long[] classes = random.longs(n, 0, CLASSES).toArray();
    int[] units = random.ints(6, 0, layer.units()).distinct().toArray();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false);
        Ablation ablation = new Ablation(network, layer, signed)) {
      Tensor x = Tensors.of(random.doubles((long) n * 3 * size * size).toArray(), n, 3, size, size);
      Tensor labels = Tensors.of(classes, n);
      double[][] naive =
          NaiveLeaveOneOut.differences(network, layer, x, labels, units, signed, Repeat.FORWARD);
      int[] unit = new int[units.length * n];
      int[] image = new int[unit.length];
      for (int i = 0; i < unit.length; i++) {
        unit[i] = units[i / n];
        image[i] = i % n;
      }
      // Where the shortcut takes another input than the first convolution, the whole suffix runs.
      assertThat(ablation.corrected())
          .as("%s is opened", layer.name())
          .isEqualTo(network.opening(layer).isPresent());
      try (Ablation.Batch batch = ablation.batch(network.prefix(x, layer), labels, new int[n])) {
        double[] fast = batch.differences(unit, image, unit.length, blockSize);
        for (int i = 0; i < unit.length; i++) {
          double expected = naive[i / n][i % n];
          assertThat(fast[i])
              .as("%s %s unit %d image %d", network.name(), layer, unit[i], image[i])
              .isCloseTo(expected, within(1e-9 * Math.max(1, Math.abs(expected))));
          if (!batch.active(unit[i], image[i])) {
            assertThat(expected).as("a unit that is zero all over").isZero();
          }
        }
      }
    }
  }

  @Test
  void suffixAndForwardGiveTheSameWhenRepeated() {
    try (StagedNetwork network = network("rn18", 4, 5, Dtype.FLOAT64);
        PointerScope scope = new PointerScope()) {
      MaskableLayer layer = network.layer("layer2");
      Tensor x = Tensors.of(new Random(1).doubles(2 * 3 * 32 * 32).toArray(), 2, 3, 32, 32);
      Tensor labels = Tensors.of(new long[] {1, 4}, 2);
      int[] units = {0, 3, 7};
      assertThat(
              NaiveLeaveOneOut.differences(network, layer, x, labels, units, false, Repeat.SUFFIX))
          .isDeepEqualTo(
              NaiveLeaveOneOut.differences(
                  network, layer, x, labels, units, false, Repeat.FORWARD));
    }
  }

  private ImageSet images(int count, long seed) {
    Random random = new Random(seed);
    float[] x = new float[count * 3 * 32 * 32];
    for (int i = 0; i < x.length; i++) {
      x[i] = random.nextFloat();
    }
    long[] y = new long[count];
    for (int i = 0; i < count; i++) {
      y[i] = i < CLASSES ? i : random.nextInt(CLASSES);
    }
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("x", NpyArray.of(x, count, 3, 32, 32));
    arrays.put("y", NpyArray.of(y, count));
    Path file = folder.resolve("images" + count + ".npz");
    Npz.write(file, arrays);
    return ImageSets.open("npz:" + file);
  }

  private static LeaveOneOutOptions options(int batchSize, int blockSize) {
    return LeaveOneOutOptions.of(batchSize).withBlockSize(blockSize);
  }

  @ParameterizedTest
  @ValueSource(strings = {"layer1", "layer3"})
  void zeroUnitsAreSkippedAndDeadOnesRankLast(String name) {
    try (StagedNetwork network = network("rn18", 8, 11, Dtype.FLOAT32);
        PointerScope scope = new PointerScope()) {
      MaskableLayer layer = network.layer(name);
      ImageSet set = images(24, 2);
      Ranking ranking = new LeaveOneOut(network, layer, options(8, 16)).rank(set, done -> {});
      assertThat(ranking.provenance().parameters()).containsEntry("block_size", 16);
      for (double value : ranking.toArray()) {
        assertThat(value).isNotNegative();
      }
    }
  }

  @Test
  void shardsOfUnitsOrImagesMergeToTheWholeToTheLastBit() {
    for (String name : List.of("layer2", "layer4")) {
      try (StagedNetwork network = network("rn18", 8, 7, Dtype.FLOAT32)) {
        MaskableLayer layer = network.layer(name);
        ImageSet set = images(33, 3);
        LeaveOneOut whole = new LeaveOneOut(network, layer, options(4, 8));
        Path expected =
            RankingFiles.write(folder.resolve("whole"), "m", whole.rank(set, done -> {}));
        for (String by : List.of("units", "images")) {
          int of = by.equals("units") ? (layer.penultimate() ? 1 : 2) : 3;
          List<Path> files = new ArrayList<>();
          for (int i = of; i >= 1; i--) {
            Path file = folder.resolve(name + by + i + ".npz");
            whole.sum(set, new Shard(by, i, of), null, sums -> {}, done -> {}).save(file);
            files.add(file);
          }
          Path merged =
              RankingFiles.write(folder.resolve(by), "m", LeaveOneOutSums.merge(files).ranking());
          assertThat(merged).hasSameBinaryContentAs(expected);
        }
      }
    }
  }

  @Test
  void shardsThatDoNotFitAreRefused() {
    try (StagedNetwork network = network("rn18", 8, 7, Dtype.FLOAT32);
        StagedNetwork other = network("rn18", 8, 8, Dtype.FLOAT32)) {
      MaskableLayer layer = network.layer("layer3");
      ImageSet set = images(16, 4);
      Path one = shard(network, layer, set, 8, new Shard("units", 1, 2));
      Path two = shard(network, layer, set, 8, new Shard("units", 2, 2));
      assertThat(LeaveOneOutSums.merge(List.of(one, two)).ranking().units()).isEqualTo(32);
      refuse(List.of(one), "shard 2/2 is missing");
      refuse(List.of(one, two, one), "twice");
      refuse(List.of(one, shard(network, layer, set, 16, new Shard("units", 2, 2))), "block_size");
      refuse(
          List.of(one, shard(network, layer, set, 8, new Shard("images", 2, 2))), "of the images");
      refuse(List.of(one, shard(network, layer, set, 8, new Shard("units", 2, 3))), "i/2");
      refuse(
          List.of(one, shard(network, layer, images(17, 4), 8, new Shard("units", 2, 2))),
          "data_sha256");
      refuse(
          List.of(one, shard(network, network.layer("layer2"), set, 8, new Shard("units", 2, 2))),
          "layer: expected layer3, got layer2");
      Path unfinished = folder.resolve("unfinished.npz");
      new LeaveOneOut(network, layer, options(4, 8))
          .sum(
              set,
              new Shard("units", 2, 2),
              null,
              sums -> {
                if (sums.done() == 1) {
                  sums.save(unfinished);
                }
              },
              done -> {});
      refuse(List.of(one, unfinished), "not finished");
      Path foreign = folder.resolve("foreign.npz");
      Npz.write(foreign, Map.of("x", NpyArray.of(new float[1], 1)));
      refuse(List.of(foreign), "got something else");
      assertThatThrownBy(
              () ->
                  new LeaveOneOut(network, layer, options(4, 8))
                      .sum(set, new Shard("units", 1, 5), null, sums -> {}, done -> {}))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("at most 4 shards");
      assertThat(other.sha256()).isEqualTo(network.sha256());
    }
  }

  private Path shard(
      StagedNetwork network, MaskableLayer layer, ImageSet set, int blockSize, Shard shard) {
    Path file =
        folder.resolve(
            layer.name()
                + set.size()
                + "-"
                + blockSize
                + shard.by()
                + shard.index()
                + shard.of()
                + ".npz");
    new LeaveOneOut(network, layer, options(4, blockSize))
        .sum(set, shard, null, sums -> {}, done -> {})
        .save(file);
    return file;
  }

  private static void refuse(List<Path> files, String message) {
    assertThatThrownBy(() -> LeaveOneOutSums.merge(files))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
  }

  @Test
  void anInterruptedRunGoesOnToTheSameBytes() {
    try (StagedNetwork network = network("rn18", 8, 7, Dtype.FLOAT32)) {
      MaskableLayer layer = network.layer("layer3");
      ImageSet set = images(21, 6);
      LeaveOneOut run = new LeaveOneOut(network, layer, options(4, 8));
      Path expected = RankingFiles.write(folder.resolve("whole"), "m", run.rank(set, done -> {}));
      Path state = folder.resolve("state.npz");
      LeaveOneOutSums sums = null;
      Random random = new Random(3);
      int interruptions = 0;
      while (sums == null || !sums.complete()) {
        long stop = (sums == null ? 0 : sums.done()) + 1 + random.nextInt(5);
        try {
          sums =
              run.sum(
                  set,
                  Shard.WHOLE,
                  sums,
                  now -> {
                    if (now.done() == stop && !now.complete()) {
                      now.save(state);
                      throw new IllegalStateException("interrupted");
                    }
                  },
                  done -> {});
        } catch (IllegalStateException e) {
          interruptions++;
          sums = LeaveOneOutSums.load(state);
        }
      }
      assertThat(interruptions).isGreaterThan(4);
      assertThat(RankingFiles.write(folder.resolve("resumed"), "m", sums.ranking()))
          .hasSameBinaryContentAs(expected);
      assertThatThrownBy(
              () ->
                  new LeaveOneOut(network, layer, options(5, 8))
                      .sum(set, Shard.WHOLE, LeaveOneOutSums.load(state), now -> {}, done -> {}))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("batch_size: expected 5, got 4");
      assertThatThrownBy(
              () ->
                  run.sum(
                      set,
                      new Shard("units", 1, 2),
                      LeaveOneOutSums.load(state),
                      now -> {},
                      done -> {}))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("shard");
    }
  }

  @Test
  void theRaceFindsTheExactSets() {
    try (StagedNetwork network = network("rn18", 8, 7, Dtype.FLOAT32)) {
      MaskableLayer layer = network.layer("layer3");
      ImageSet set = images(400, 8);
      LeaveOneOutOptions options = options(32, 64);
      Ranking exact = new LeaveOneOut(network, layer, options).rank(set, done -> {});
      TopKRace.Result result =
          new TopKRace(network, layer, options, 5, 0.99, 2, 1).run(set, done -> {});
      for (int c = 0; c < CLASSES; c++) {
        assertThat(result.ranking().topK(c, 5)).containsExactlyInAnyOrder(exact.topK(c, 5));
      }
      assertThat(result.work()).isLessThan(1).isPositive();
      assertThat(result.total()).isEqualTo(400L * 32);
      assertThat(result.ranking().provenance().parameters()).containsEntry("top_k", 5);
      // Units that needed every image have their exact importance.
      assertThatThrownBy(() -> new TopKRace(network, network.penultimate(), options, 5, 0.99, 2, 1))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("one pass");
      assertThatThrownBy(() -> new TopKRace(network, layer, options, 33, 0.99, 2, 1))
          .hasMessageContaining("between 1 and 32");
      assertThatThrownBy(() -> new TopKRace(network, layer, options, 3, 1.0, 2, 1))
          .hasMessageContaining("--confidence");
    }
  }

  @Test
  void activationsAndLogitsThatAreNotFiniteAreNamed() {
    ImageSet set = images(8, 5);
    for (String[] broken :
        new String[][] {
          {"layer1.0.bn1.weight", "activations of layer2"},
          {"layer3.1.bn2.weight", "logits after layer2 without unit"}
        }) {
      try (StagedNetwork network = network("rn18", 8, 7, Dtype.FLOAT32, broken[0])) {
        assertThatThrownBy(
                () ->
                    new LeaveOneOut(network, network.layer("layer2"), options(4, 8))
                        .rank(set, done -> {}))
            .isInstanceOf(InputException.class)
            .hasMessageContaining(broken[1])
            .hasMessageContaining("for image 0");
      }
    }
  }

  @Test
  void bfloat16AgreesMostlyWithFloat32() {
    try (StagedNetwork half = network("rn18", 8, 7, Dtype.BFLOAT16);
        StagedNetwork full = network("rn18", 8, 7, Dtype.FLOAT32)) {
      ImageSet set = images(70, 9);
      DtypeAgreement agreement =
          DtypeAgreement.measure(half, full, "layer3", set, options(16, 32), 8);
      assertThat(agreement.units()).isEqualTo(32);
      assertThat(agreement.top()).isEqualTo(8);
      assertThat(agreement.overlap()).isBetween(0.5, 1.0);
      DtypeAgreement same = DtypeAgreement.measure(full, full, "layer3", set, options(16, 32), 8);
      assertThat(same.overlap()).isEqualTo(1);
      assertThat(same.worst()).isEqualTo(1);
    }
  }
}
