package io.github.igdefense.model;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.ElementType;
import io.github.igdefense.data.Npz;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The values that Python wrote are the values that we read. */
class CheckpointGoldenTest {
  private static final double[] NONE = {};

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a1n.pt",
        "a1n_legacy.pt",
        "a1n_wrapped_module.pt",
        "a1n_prefix_model.pt",
        "a1n_double.pt"
      })
  void everyFormOfOneNetworkHasTheSameTensors(String name) throws Exception {
    StateDict state = CheckpointReader.read(golden(name)).state();
    Npz digest = Npz.open(golden("a1n_digest.npz"));
    double[] sum = digest.get("sum_f64").asDouble();
    double[] absolute = digest.get("abs_sum_f64").asDouble();
    double[] first = digest.get("first_f64").asDouble();
    double[] last = digest.get("last_f64").asDouble();
    long[] numel = digest.get("numel").asLong();
    List<String> keys = Files.readAllLines(golden("a1n_keys.txt"));

    assertThat(state.names())
        .containsExactlyElementsOf(keys.stream().map(k -> k.split("\t")[0]).toList());
    int row = 0;
    for (HostTensor tensor : state) {
      String[] expected = keys.get(row).split("\t");
      String shape =
          String.join("x", Arrays.stream(tensor.shape()).mapToObj(Long::toString).toList());
      assertThat(shape.isEmpty() ? "scalar" : shape).as(tensor.name()).isEqualTo(expected[1]);
      boolean widened = name.equals("a1n_double.pt") && expected[2].equals("float32");
      assertThat(tensor.type().label()).isEqualTo(widened ? "float64" : expected[2]);
      double[] values = tensor.toDoubles();
      assertThat(values.length).isEqualTo((int) numel[row]);
      assertThat(values[0]).isEqualTo(first[row]);
      assertThat(values[values.length - 1]).isEqualTo(last[row]);
      assertThat(Arrays.stream(values).sum())
          .as(tensor.name())
          .isCloseTo(sum[row], within(absolute[row]));
      assertThat(Arrays.stream(values).map(Math::abs).sum())
          .isCloseTo(absolute[row], within(absolute[row]));
      row++;
    }
  }

  private static org.assertj.core.data.Offset<Double> within(double scale) {
    return org.assertj.core.data.Offset.offset(1e-12 * (1 + scale));
  }

  @Test
  void halfPrecisionRoundsTheSameTensors() {
    StateDict full = CheckpointReader.read(golden("a1n.pt")).state();
    StateDict half = CheckpointReader.read(golden("a1n_half.pt")).state();
    assertThat(half.names()).containsExactlyElementsOf(full.names());
    for (HostTensor tensor : full) {
      HostTensor rounded = half.get(tensor.name());
      if (tensor.type().isFloating()) {
        assertThat(rounded.type()).isEqualTo(ElementType.FLOAT16);
      }
      double[] expected = tensor.toDoubles();
      double[] values = rounded.toDoubles();
      for (int i = 0; i < values.length; i++) {
        double ulp = Math.max(Math.abs(expected[i]) * 0x1p-11, 0x1p-25);
        assertThat(Math.abs(values[i] - expected[i])).as(tensor.name()).isLessThanOrEqualTo(ulp);
      }
    }
  }

  @Test
  void wrapperPrefixAndOtherValuesAreReported() {
    Checkpoint wrapped = CheckpointReader.read(golden("a1n_wrapped_module.pt"));
    assertThat(wrapped.format()).isEqualTo("PyTorch zip");
    assertThat(wrapped.metadata()).containsEntry("epoch", 3L).containsEntry("best", 0.5);
    assertThat(wrapped.notes())
        .containsExactly(
            "tensors taken from key 'state_dict'",
            "prefix 'module.' removed from the tensor names");
    assertThat(CheckpointReader.read(golden("a1n_prefix_model.pt")).notes())
        .containsExactly("prefix 'model.' removed from the tensor names");
    assertThat(CheckpointReader.read(golden("a1n.pt")).notes()).isEmpty();
    assertThat(CheckpointReader.read(golden("a1n_legacy.pt")).format()).isEqualTo("PyTorch legacy");
  }

  @Test
  void hashIsThatOfTheFile() throws Exception {
    Checkpoint checkpoint = CheckpointReader.read(golden("a1n.pt"));
    byte[] content = Files.readAllBytes(golden("a1n.pt"));
    byte[] digest = java.security.MessageDigest.getInstance("SHA-256").digest(content);
    assertThat(checkpoint.sha256()).isEqualTo(java.util.HexFormat.of().formatHex(digest));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "shared_storage",
        "shared_storage_legacy",
        "noncontiguous",
        "noncontiguous_legacy",
        "dtypes",
        "dtypes_legacy"
      })
  void oddTensorsHaveTheirValues(String name) {
    StateDict state = CheckpointReader.read(golden("odd_" + name + ".pt")).state();
    Npz expected = Npz.open(golden("odd_expected.npz"));
    String prefix = name.replace("_legacy", "") + ".";
    int compared = 0;
    for (String key : expected.names()) {
      if (!key.startsWith(prefix)) {
        continue;
      }
      HostTensor tensor = state.get(key.substring(prefix.length()));
      assertThat(tensor.toDoubles()).as(key).isEqualTo(expected.get(key).asDouble());
      long[] shape = expected.get(key).shape();
      boolean scalar = key.endsWith(".scalar");
      assertThat(tensor.shape()).as(key).isEqualTo(scalar ? new long[0] : shape);
      compared++;
    }
    assertThat(compared).isEqualTo(state.size());
  }

  @Test
  void allElementTypesAreKept() {
    StateDict state = CheckpointReader.read(golden("odd_dtypes.pt")).state();
    Map<String, ElementType> types =
        Map.of(
            "f32",
            ElementType.FLOAT32,
            "f64",
            ElementType.FLOAT64,
            "f16",
            ElementType.FLOAT16,
            "bf16",
            ElementType.BFLOAT16,
            "i64",
            ElementType.INT64,
            "i32",
            ElementType.INT32,
            "i16",
            ElementType.INT16,
            "i8",
            ElementType.INT8,
            "u8",
            ElementType.UINT8,
            "boolean",
            ElementType.BOOL);
    types.forEach((key, type) -> assertThat(state.get(key).type()).as(key).isEqualTo(type));
    double[] special = state.get("f16_special").toDoubles();
    assertThat(special).contains(Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY);
    assertThat(Arrays.stream(special).filter(v -> v == 0 && 1 / v < 0).count()).isEqualTo(1);
    assertThat(state.get("empty").toFloats()).isEmpty();
  }

  @Test
  void bytesOfAStridedTensorAreRowMajor() {
    HostTensor tensor =
        CheckpointReader.read(golden("odd_noncontiguous.pt")).state().get("transposed");
    assertThat(tensor.isContiguous()).isFalse();
    ByteBuffer bytes = tensor.bytes();
    HostTensor dense = HostTensor.dense("dense", tensor.type(), Bytes.of(bytes), tensor.shape());
    assertThat(dense.isContiguous()).isTrue();
    assertThat(dense.toDoubles()).isEqualTo(tensor.toDoubles());
    assertThat(dense.toFloats()).isEqualTo(tensor.toFloats());
  }

  @ParameterizedTest
  @ValueSource(strings = {"odd_nested.pt", "odd_nested_legacy.pt"})
  void trainingCheckpointKeepsItsOtherValues(String name) {
    Checkpoint checkpoint = CheckpointReader.read(golden(name));
    Npz expected = Npz.open(golden("odd_nested_expected.npz"));
    assertThat(checkpoint.state().names()).containsExactlyInAnyOrder("w", "b");
    assertThat(checkpoint.state().get("w").toFloats()).isEqualTo(expected.get("net.w").asFloat());
    assertThat(checkpoint.state().get("b").toFloats()).isEqualTo(expected.get("net.b").asFloat());
    Map<String, Object> metadata = checkpoint.metadata();
    assertThat(metadata)
        .containsEntry("epoch", 12L)
        .containsEntry("lr", 0.125)
        .containsEntry("name", "golden")
        .containsEntry("flag", true)
        .containsEntry("none", null)
        .containsEntry("hist", List.of(1L, 2.5, "x"))
        .containsEntry("tup", List.of(1L, 2L));
    Map<?, ?> optimizer = (Map<?, ?>) metadata.get("optimizer");
    Map<?, ?> slot = (Map<?, ?>) ((Map<?, ?>) optimizer.get("state")).get(0L);
    assertThat(slot.get("step")).isEqualTo(5L);
    assertThat(((HostTensor) slot.get("exp_avg")).toFloats())
        .isEqualTo(expected.get("optimizer.state.0.exp_avg").asFloat());
    assertThat(optimizer.get("param_groups"))
        .isEqualTo(List.of(Map.of("lr", 0.1, "params", List.of(0L, 1L))));
  }
}
