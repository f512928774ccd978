package io.github.igdefense.importance;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.importance.PooledActivations.Pool;
import io.github.igdefense.model.CheckpointReader;
import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.SafeTensors;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.model.StateDict;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pooled activations of several layers from one pass. */
class PooledActivationsTest {
  @TempDir Path folder;

  private static ImageSet images() {
    return ImageSets.open("npz:" + golden("images32.npz"));
  }

  @Test
  void allLayersFromOnePassEqualTheReference() {
    Npz expected = Npz.open(golden("a1_forward.npz"));
    List<Integer> progress = new ArrayList<>();
    try (PointerScope scope = new PointerScope();
        StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64)) {
      List<String> layers = List.of("layer3", "layer1", "layer4", "layer2");
      Map<String, Tensor> q =
          new PooledActivations(network, Pool.AVG, 5, null)
              .collect(images(), layers, progress::add);
      assertThat(q.keySet()).containsExactlyElementsOf(layers);
      for (String layer : layers) {
        double[] numbers = expected.get("pooled_" + layer + "_f64").asDouble();
        double[] actual = Tensors.toDoubles(q.get(layer));
        assertThat(actual).hasSameSizeAs(numbers);
        for (int i = 0; i < actual.length; i++) {
          assertThat(actual[i]).isCloseTo(numbers[i], within(1e-10));
        }
      }
    }
    assertThat(progress).containsExactly(5, 10, 15, 16);
  }

  @Test
  void theLargestOfAChannelIsNotBelowItsMean() {
    try (PointerScope scope = new PointerScope();
        StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32)) {
      double[] map = Npz.open(golden("a1_forward.npz")).get("map_layer2_img0_f32").asDouble();
      Tensor q =
          new PooledActivations(network, Pool.MAX, 16, null)
              .collect(images(), List.of("layer2"), done -> {})
              .get("layer2");
      double[] actual = Tensors.toDoubles(q);
      for (int u = 0; u < 16; u++) {
        double largest = Double.NEGATIVE_INFINITY;
        for (int s = 0; s < map.length / 16; s++) {
          largest = Math.max(largest, map[u * (map.length / 16) + s]);
        }
        assertThat(actual[u]).isCloseTo(largest, within(1e-4));
      }
    }
  }

  @Test
  void cachedActivationsAreReadBackAndBelongToTheirModelAndData() throws Exception {
    try (PointerScope scope = new PointerScope();
        StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32)) {
      PooledActivations pooled = new PooledActivations(network, Pool.AVG, 16, folder);
      Tensor first = pooled.collect(images(), List.of("layer4"), done -> {}).get("layer4");
      Tensor again =
          pooled
              .collect(
                  images(),
                  List.of("layer4"),
                  done -> {
                    throw new AssertionError("computed again");
                  })
              .get("layer4");
      assertThat(Tensors.toDoubles(again)).isEqualTo(Tensors.toDoubles(first));
      List<Integer> progress = new ArrayList<>();
      pooled.collect(images().limit(8), List.of("layer4"), progress::add);
      assertThat(progress).containsExactly(8);
      // A damaged file of another shape is made again.
      try (var files = Files.list(folder)) {
        for (Path file : files.toList()) {
          io.github.igdefense.data.Npy.write(file, NpyArray.of(new float[6], 2, 3));
        }
      }
      assertThat(
              Tensors.toDoubles(
                  pooled.collect(images(), List.of("layer4"), done -> {}).get("layer4")))
          .isEqualTo(Tensors.toDoubles(first));
    }
  }

  @Test
  void aNanIsNamedWithLayerAndImage() {
    // A first convolution that overflows wherever there is light.
    List<HostTensor> tensors = new ArrayList<>();
    StateDict state = CheckpointReader.read(golden("a1.pt")).state();
    for (HostTensor tensor : state) {
      if (tensor.name().equals("conv1.weight")) {
        float[] weight = tensor.toFloats();
        for (int i = 0; i < weight.length; i++) {
          weight[i] *= 3e38f;
        }
        tensors.add(HostTensor.of(tensor.name(), weight, tensor.shape()));
      } else {
        tensors.add(tensor);
      }
    }
    Path file = folder.resolve("overflow.safetensors");
    SafeTensors.write(file, new StateDict(tensors), Map.of());
    float[] x = Npz.open(golden("images32.npz")).get("x").asFloat();
    java.util.Arrays.fill(x, 0, 11 * 3 * 32 * 32, 0);
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("x", NpyArray.of(x, 16, 3, 32, 32));
    arrays.put("y", Npz.open(golden("images32.npz")).get("y"));
    Npz.write(folder.resolve("x.npz"), arrays);
    try (PointerScope scope = new PointerScope();
        StagedNetwork network = Networks.open("rn18", file, Dtype.FLOAT32)) {
      PooledActivations pooled = new PooledActivations(network, Pool.AVG, 4, null);
      ImageSet set = ImageSets.open("npz:" + folder.resolve("x.npz"));
      assertThatThrownBy(() -> pooled.collect(set, List.of("layer2", "layer4"), done -> {}))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("finite activations of layer2")
          .hasMessageContaining("for image 11;");
    }
  }

  @Test
  void unknownLayersAreRefusedWithTheList() {
    try (PointerScope scope = new PointerScope();
        StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32)) {
      assertThatThrownBy(
              () ->
                  new PooledActivations(network, Pool.AVG, 4, null)
                      .collect(images(), List.of("layer5"), done -> {}))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("layer4")
          .hasMessageContaining("got 'layer5'");
      assertThatThrownBy(() -> Pool.parse("sum")).isInstanceOf(InputException.class);
    }
  }
}
