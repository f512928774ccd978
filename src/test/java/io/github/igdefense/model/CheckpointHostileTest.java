package io.github.igdefense.model;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.GoldenFiles;
import io.github.igdefense.data.InputException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Damaged and hostile files are refused with a message, and nothing in them runs. */
class CheckpointHostileTest {
  private static final Path PWNED = Path.of("/tmp/igd_pwned");
  private static final String START = "\u0080\u0002";

  /**
   * {@code 'w': _rebuild_tensor_v2(storage 0 of 4 floats, OFFSET, SHAPE, STRIDES, False,
   * OrderedDict())}.
   */
  private static final String TENSOR =
      "}U\u0001wctorch._utils\n_rebuild_tensor_v2\n((U\u0007storagectorch\nFloatStorage\n"
          + "U\u00010U\u0003cpuI4\ntQ%s\u0089ccollections\nOrderedDict\n)RtRs.";

  @TempDir Path directory;

  @AfterEach
  void nothingWasExecuted() {
    assertThat(PWNED).doesNotExist();
  }

  @ParameterizedTest
  @ValueSource(strings = {"malicious_reduce.pt", "malicious_nested.pt", "malicious_legacy.pt"})
  void foreignImportIsRefusedByName(String name) {
    assertThatThrownBy(() -> CheckpointReader.read(golden(name)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("os.system")
        .hasMessageContaining(name);
  }

  @ParameterizedTest
  @ValueSource(strings = {"truncated.pt", "truncated_legacy.pt"})
  void truncatedFileIsRefused(String name) {
    assertThatThrownBy(() -> CheckpointReader.read(golden(name)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(name)
        .hasMessageContaining("cut off");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'\u0080\u0004\u008c\u0002os\u008c\u0006system\u0093\u008c\u0001x\u0085R.' | os.system",
        "'(Vtouch /tmp/igd_pwned\nios\nsystem\n.' | os.system",
        "'c__builtin__\neval\n(V1\ntR.' | __builtin__.eval",
        "'ctorch.storage\n_load_from_bytes\n(V1\ntR.' | torch.storage._load_from_bytes",
        "'cposix\nsystem\n(V1\nt\u0081.' | posix.system",
        "'ctorch\nComplexFloatStorage\n.' | torch.ComplexFloatStorage",
        "'cmodels.resnet\nResNet\n)\u0081}b.' | models.resnet.ResNet",
      })
  void everyWayToImportIsGuarded(String pickle, String name) throws Exception {
    assertThatThrownBy(() -> read(pickle.replace("\\n", "\n")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("'" + name + "'");
  }

  @Test
  void aTensorOfThisFormIsRead() throws Exception {
    Checkpoint checkpoint = read(String.format(TENSOR, "I0\n(I2\nI2\nt(I2\nI1\nt"));
    assertThat(checkpoint.state().get("w").toFloats()).containsExactly(1, 2, 3, 4);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "I0\n(I2\nI3\nt(I3\nI1\nt", // too large
        "I1\n(I2\nI2\nt(I2\nI1\nt", // offset runs over the end
        "I-1\n(I2\nI1\nt(I2\nI1\nt", // negative offset
        "I0\n(I2\nI2\nt(I-2\nI1\nt", // negative stride
        "I0\n(I-2\nI2\nt(I2\nI1\nt", // negative extent
        "I0\n(I2\nt(I2\nI1\nt", // unequal ranks
        "I0\n(I4611686018427387904\nI4\nt(I1\nI1\nt", // overflow of the count
        "I0\n(I3\nt(I9223372036854775807\nt", // overflow of the place
        "I0\n(I1000000000000\nt(I0\nt", // expanded beyond reason
        "N(I2\nt(I1\nt",
      })
  void tensorOutsideItsStorageIsRefused(String geometry) {
    assertThatThrownBy(() -> read(String.format(TENSOR, geometry)))
        .isInstanceOf(InputException.class);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        ".", // no value
        "I5\n.", // no dictionary
        "}.", // no tensors
        "(l(lR.", // call of a list
        "}]I1\ns.", // a list as a key
        "}U\u0001aI1\nsU\u0001aI2\ns.", // a key twice
        "h\u0005.", // memo never set
        "t.", // no mark
        "]b.",
        "N]b.",
        "X\u00ff\u00ff\u00ff\u007f.",
        "\u008b\u00ff\u00ff\u00ff\u007f.",
        "L99999x\n.",
        "Fx\n.",
        "\u0080\u0009.",
        "\u00ff."
      })
  void brokenPickleIsRefused(String pickle) {
    assertThatThrownBy(() -> read(pickle)).isInstanceOf(InputException.class);
  }

  @Test
  void exponentialStructureCostsLittle() {
    StringBuilder pickle = new StringBuilder("}(U\u0001x]q\u0000");
    for (int i = 0; i < 100; i++) {
      pickle.append("0(h\u0000h\u0000lq\u0000");
    }
    assertThatThrownBy(() -> read(pickle + "u.")).hasMessageContaining("expected tensors");
  }

  @Test
  void listContainingItselfDoesNoHarm() {

    assertThatThrownBy(() -> read("}(U\u0001x]q\u0001h\u0001au."))
        .isInstanceOf(InputException.class);
  }

  @Test
  void bigEndianFileIsRefused() throws Exception {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    entries.put("a/data.pkl", latin1(START + "}."));
    entries.put("a/byteorder", latin1("big"));
    Path file = directory.resolve("big.pt");
    Files.write(file, zip(entries));
    assertThatThrownBy(() -> CheckpointReader.read(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("big");
  }

  @Test
  void otherKindsOfFilesAreNamed() throws Exception {
    assertKind("<!DOCTYPE html><html><head>", "HTML page");
    assertKind("\n  <html lang=en>", "HTML page");
    assertKind(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull");
    assertKind("", "empty file");
    assertKind("\u001f\u008b\u0008\u0000", "gzip");
    assertKind("just text", "something else");
    assertThatThrownBy(() -> CheckpointReader.read(golden("images32.npz")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(".npz");
    assertThatThrownBy(() -> CheckpointReader.read(directory.resolve("absent.pt")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("absent.pt");
    assertThatThrownBy(() -> CheckpointReader.read(directory)).isInstanceOf(InputException.class);
  }

  private void assertKind(String content, String expected) throws IOException {
    Path file = directory.resolve("file.pt");
    Files.write(file, latin1(content));
    assertThatThrownBy(() -> CheckpointReader.read(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(expected);
  }

  @Test
  void wrongStorageSizeAndChecksumAreRefused() throws Exception {
    String pickle = START + String.format(TENSOR, "I0\n(I2\nI2\nt(I2\nI1\nt");
    Map<String, byte[]> entries = new LinkedHashMap<>();
    entries.put("a/data.pkl", latin1(pickle));
    entries.put("a/data/0", new byte[12]);
    Path file = directory.resolve("short.pt");
    Files.write(file, zip(entries));
    assertThatThrownBy(() -> CheckpointReader.read(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("storage 0");
    entries.put("a/data/0", new byte[] {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 11, 22, 33, 44, 55, 66});
    byte[] content = zip(entries);
    int at =
        new String(content, StandardCharsets.ISO_8859_1).indexOf("\u0009\u0008\u0007\u0006\u0005");
    content[at + 3]++;
    Files.write(file, content);
    assertThatThrownBy(() -> CheckpointReader.read(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("checksum");
  }

  @Test
  void wrapperMayBeNamedAndNormalisationStandsBesideThePrefix() throws Exception {
    HostTensor one = HostTensor.of("module.model.fc.weight", new float[] {1, 2}, 2);
    HostTensor mean = HostTensor.of("module.normalize.mean", new float[] {3}, 1);
    Path file = directory.resolve("a.safetensors");
    SafeTensors.write(file, new StateDict(java.util.List.of(one, mean)), Map.of());
    assertThat(CheckpointReader.read(file).state().names())
        .containsExactly("fc.weight", "normalize.mean");
    assertThatThrownBy(() -> CheckpointReader.read(golden("odd_nested.pt"), "absent"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("absent")
        .hasMessageContaining("optimizer");
    assertThat(CheckpointReader.read(golden("odd_nested.pt"), "net").state().names())
        .containsExactlyInAnyOrder("w", "b");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a1n.pt",
        "a1n_legacy.pt",
        "odd_nested.pt",
        "odd_nested_legacy.pt",
        "odd_noncontiguous.pt",
        "odd_noncontiguous_legacy.pt",
        "odd_dtypes_legacy.pt",
        "malicious_legacy.pt",
        "malicious_nested.pt"
      })
  void mutatedFilesAreReadOrRefused(String name) throws Exception {
    fuzz(Files.readAllBytes(golden(name)), 1500);
  }

  @Test
  void mutatedPicklesAreReadOrRefused() throws Exception {
    // Without the zip around it, so that checksums do not shield the pickle.
    byte[] pickle = latin1(START + String.format(TENSOR, "I0\n(I2\nI2\nt(I2\nI1\nt"));
    Random random = new Random(17);
    Map<String, byte[]> entries = new LinkedHashMap<>();
    for (int i = 0; i < 5000; i++) {
      entries.put("a/data.pkl", GoldenFiles.mutate(pickle, random));
      entries.put("a/data/0", new byte[16]);
      check(zip(entries), i);
    }
  }

  @Test
  void mutatedSafetensorsAreReadOrRefused() throws Exception {
    Path file = directory.resolve("odd.safetensors");
    SafeTensors.write(
        file, CheckpointReader.read(golden("odd_dtypes.pt")).state(), Map.of("epoch", "3"));
    fuzz(Files.readAllBytes(file), 4000);
  }

  private static void fuzz(byte[] original, int count) {
    Random random = new Random(4711);
    for (int i = 0; i < count; i++) {
      check(GoldenFiles.mutate(original, random), i);
    }
  }

  private static void check(byte[] content, int i) {
    try {
      Checkpoint checkpoint =
          CheckpointReader.read(Path.of("mutation" + i), Bytes.of(content), null);
      for (HostTensor tensor : checkpoint.state()) {
        assertThat(tensor.toDoubles().length).isEqualTo((int) tensor.numel());
      }
    } catch (InputException expected) {
      assertThat(expected.getMessage()).isNotEmpty();
    } catch (Throwable e) {
      throw new AssertionError("mutation " + i, e);
    }
  }

  private Checkpoint read(String pickle) throws IOException {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    entries.put("a/data.pkl", latin1(START + pickle));
    ByteBuffer values = ByteBuffer.allocate(16).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    values.putFloat(1).putFloat(2).putFloat(3).putFloat(4);
    entries.put("a/data/0", values.array());
    entries.put("a/version", latin1("3\n"));
    Path file = directory.resolve("made.pt");
    Files.write(file, zip(entries));
    return CheckpointReader.read(file);
  }

  private static byte[] latin1(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static byte[] zip(Map<String, byte[]> entries) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.setMethod(ZipOutputStream.STORED);
      for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
        CRC32 crc = new CRC32();
        crc.update(entry.getValue());
        ZipEntry header = new ZipEntry(entry.getKey());
        header.setSize(entry.getValue().length);
        header.setCrc(crc.getValue());
        zip.putNextEntry(header);
        zip.write(entry.getValue());
        zip.closeEntry();
      }
    }
    return bytes.toByteArray();
  }
}
