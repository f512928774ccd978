package io.github.igdefense.model;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.InputException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafeTensorsTest {
  @TempDir Path directory;

  @ParameterizedTest
  @ValueSource(
      strings = {"a1n.pt", "odd_dtypes.pt", "odd_noncontiguous.pt", "odd_shared_storage_legacy.pt"})
  void whatIsWrittenIsReadBack(String name) {
    StateDict state = CheckpointReader.read(golden(name)).state();
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("trained.on", "embedded:train");
    metadata.put("quoted", "\"ä\"\n");
    Path file = directory.resolve("copy.safetensors");
    SafeTensors.write(file, state, metadata);

    Checkpoint copy = CheckpointReader.read(file);
    assertThat(copy.format()).isEqualTo("safetensors");
    assertThat(copy.metadata()).isEqualTo(metadata);
    assertThat(copy.state().names()).containsExactlyElementsOf(state.names());
    for (HostTensor tensor : state) {
      HostTensor other = copy.state().get(tensor.name());
      assertThat(other.type()).isEqualTo(tensor.type());
      assertThat(other.shape()).isEqualTo(tensor.shape());
      assertThat(other.toDoubles()).isEqualTo(tensor.toDoubles());
    }
  }

  @Test
  void sameContentGivesTheSameBytesAlignedTo8() throws Exception {
    StateDict state = CheckpointReader.read(golden("a1n.pt")).state();
    Path one = directory.resolve("one.safetensors");
    Path two = directory.resolve("sub/two.safetensors");
    SafeTensors.write(one, state, Map.of("seed", "1"));
    SafeTensors.write(two, state, Map.of("seed", "1"));
    assertThat(one).hasSameBinaryContentAs(two);
    long header = ByteBuffer.wrap(Files.readAllBytes(one)).order(ByteOrder.LITTLE_ENDIAN).getLong();
    assertThat(header % 8).isZero();
    assertThat(directory.toFile().list()).containsExactlyInAnyOrder("one.safetensors", "sub");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", // wrong size
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", // gap, outside
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", // gap
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", // does not fill the
        // file
        "{\"w\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}", // unknown type
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
            + "\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", // a name twice
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
            + "\"v\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", // overlap
        "{\"w\":3}",
        "{\"w\":",
        "{}",
      })
  void brokenHeaderIsRefused(String header) throws Exception {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer content = ByteBuffer.allocate(16 + text.length).order(ByteOrder.LITTLE_ENDIAN);
    content.putLong(text.length).put(text).putLong(0);
    Path file = directory.resolve("broken.safetensors");
    Files.write(file, content.array());
    assertThatThrownBy(() -> CheckpointReader.read(file)).isInstanceOf(InputException.class);
  }

  @Test
  void tensorsKnowTheirPlace() {
    HostTensor tensor = HostTensor.of("w", new double[] {1, 2, 3, 4, 5, 6}, 2, 3);
    assertThat(tensor.shape()).containsExactly(2, 3);
    assertThat(tensor.strides()).containsExactly(3, 1);
    assertThat(tensor.toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
    assertThat(HostTensor.of("n", new long[] {Long.MAX_VALUE}).toLongs())
        .containsExactly(Long.MAX_VALUE);
    assertThatThrownBy(() -> HostTensor.of("w", new float[] {1}, 2))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(tensor::toLongs).isInstanceOf(InputException.class);
    StateDict dict = new StateDict(List.of(tensor));
    assertThatThrownBy(() -> dict.get("v"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("[w]");
    assertThatThrownBy(() -> new StateDict(List.of(tensor, tensor)))
        .isInstanceOf(InputException.class);
  }
}
