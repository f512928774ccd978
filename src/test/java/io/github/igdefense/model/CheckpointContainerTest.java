package io.github.igdefense.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.InputException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Containers that lie about what they hold, and the ways published checkpoints are wrapped. */
class CheckpointContainerTest {
  private static final int CENTRAL = 0x02014b50;
  private static final byte[] PICKLE = "\u0080\u0002}.".getBytes(StandardCharsets.ISO_8859_1);

  @TempDir Path directory;

  private static byte[] zip(Map<String, byte[]> entries) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream out = new ZipOutputStream(bytes)) {
      for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
        out.putNextEntry(new ZipEntry(entry.getKey()));
        out.write(entry.getValue());
        out.closeEntry();
      }
    }
    return bytes.toByteArray();
  }

  private static void assertRefused(byte[] content, String message) {
    assertThatThrownBy(() -> CheckpointReader.read(Path.of("made.pt"), Bytes.of(content), null))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("made.pt")
        .hasMessageContaining(message);
  }

  /** Overwrites a field of the first directory entry. */
  private static byte[] patched(byte[] zip, int field, int size, long value) {
    ByteBuffer buffer = ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN);
    int at = 0;
    while (buffer.getInt(at) != CENTRAL) {
      at++;
    }
    if (size == 2) {
      buffer.putShort(at + field, (short) value);
    } else {
      buffer.putInt(at + field, (int) value);
    }
    return zip;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"../a/data.pkl", "/a/data.pkl", "a/../../data.pkl", "a\\..\\data.pkl", ".."})
  void namesThatClimbOutAreRefused(String name) throws Exception {
    assertRefused(zip(Map.of(name, PICKLE)), "outside the archive");
  }

  @ParameterizedTest
  @CsvSource({
    "8, 2, 1, encrypted", // flags
    "10, 2, 12, compression method", // bzip2
    "24, 4, 2000000000, claims to unpack", // unpacked size: a bomb
    "20, 4, 2000000000, outside the file", // packed size
    "42, 4, 2000000000, out of place", // place of the entry
    "28, 2, 60000, runs over the end", // length of the name
    "16, 4, 1, checksum"
  })
  void liesInTheDirectoryAreRefused(int field, int size, long value, String message)
      throws Exception {
    assertRefused(patched(zip(Map.of("a/data.pkl", PICKLE)), field, size, value), message);
  }

  /** Deflate at its best: 1 MB on disk, 1 GB unpacked. The limit on pickles holds before that. */
  @Test
  void aRealBombIsRefusedWithoutUnpacking() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream out = new ZipOutputStream(bytes)) {
      out.putNextEntry(new ZipEntry("a/data.pkl"));
      byte[] zeros = new byte[1 << 20];
      for (int i = 0; i < 100; i++) {
        out.write(zeros);
      }
      out.closeEntry();
    }
    assertThat(bytes.size()).isLessThan(1 << 20);
    assertRefused(bytes.toByteArray(), "64 MiB");
  }

  @Test
  void equalNamesAreRefused() throws Exception {
    String text =
        new String(
            zip(Map.of("a/data.pkl", PICKLE, "b/data.pkl", PICKLE)), StandardCharsets.ISO_8859_1);
    assertRefused(
        text.replace("b/data.pkl", "a/data.pkl").getBytes(StandardCharsets.ISO_8859_1),
        "two entries named a/data.pkl");
    assertRefused(text.getBytes(StandardCharsets.ISO_8859_1), "found two");
  }

  @Test
  void namesOfTensorsStandOnceAfterPrefixesAreGone() {
    List<HostTensor> tensors =
        List.of(
            HostTensor.of("mean", new float[] {1}, 1),
            HostTensor.of("module.mean", new float[] {1}, 1),
            HostTensor.of("module.w", new float[] {1}, 1));
    Path file = directory.resolve("twice.safetensors");
    SafeTensors.write(file, new StateDict(tensors), Map.of());
    assertThatThrownBy(() -> CheckpointReader.read(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("twice");
  }

  /** As the robustness library saves: the model twice, its normalisation three times. */
  @Test
  void copiesOfTheAttackerAreLeftOut() {
    List<HostTensor> tensors =
        List.of(
            HostTensor.of("module.normalizer.new_mean", new float[] {0.5f, 0.5f, 0.5f}, 3, 1, 1),
            HostTensor.of("module.normalizer.new_std", new float[] {0.25f, 0.25f, 0.25f}, 3, 1, 1),
            HostTensor.of("module.model.fc.weight", new float[] {1, 2}, 2),
            HostTensor.of("module.attacker.normalize.new_mean", new float[] {0.5f}, 1),
            HostTensor.of("module.attacker.normalize.new_std", new float[] {0.25f}, 1),
            HostTensor.of("module.attacker.model.fc.weight", new float[] {1, 2}, 2));
    Path file = directory.resolve("robustness.safetensors");
    SafeTensors.write(file, new StateDict(tensors), Map.of());
    Checkpoint checkpoint = CheckpointReader.read(file);
    assertThat(checkpoint.state().names())
        .containsExactly("normalizer.new_mean", "normalizer.new_std", "fc.weight");
    assertThat(checkpoint.state().normalization().orElseThrow().mean()).containsOnly(0.5);
    assertThat(checkpoint.notes()).anyMatch(note -> note.startsWith("3 copies under 'attacker.'"));
  }

  /** Without originals nothing is a copy. */
  @Test
  void aNetworkThatIsNamedAttackerStays() {
    List<HostTensor> tensors =
        List.of(
            HostTensor.of("attacker.w", new float[] {1}, 1),
            HostTensor.of("v", new float[] {1}, 1));
    Path file = directory.resolve("named.safetensors");
    SafeTensors.write(file, new StateDict(tensors), Map.of());
    assertThat(CheckpointReader.read(file).state().names()).containsExactly("attacker.w", "v");
  }
}
