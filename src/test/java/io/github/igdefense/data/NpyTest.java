package io.github.igdefense.data;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Arrays of NumPy, read, written and damaged. */
class NpyTest {
  @TempDir Path directory;

  @Test
  void headerIsNumpys() {
    byte[] header = Npy.header(NpyArray.of(new float[] {1, 2, 3}, 3));
    String text = new String(header, StandardCharsets.ISO_8859_1);
    assertThat(header.length).isEqualTo(128);
    assertThat(text.substring(10).stripTrailing())
        .isEqualTo("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
    assertThat(text).endsWith(" \n");
    assertThat(
            new String(Npy.header(NpyArray.of(new long[] {1}, 1, 1)), StandardCharsets.ISO_8859_1))
        .contains("(1, 1)");
    assertThat(
            new String(Npy.header(NpyArray.of(new boolean[] {true})), StandardCharsets.ISO_8859_1))
        .contains("'|b1'")
        .contains("()");
  }

  @Test
  void everyTypeIsReadBack() throws Exception {
    assertSame(NpyArray.of(new float[] {1.5f, -0f, Float.NaN}, 3));
    assertSame(NpyArray.of(new double[] {Math.PI, 1e-300}, 1, 2));
    assertSame(NpyArray.of(new long[] {Long.MIN_VALUE, 3}, 2, 1));
    assertSame(NpyArray.of(new int[] {Integer.MAX_VALUE, -3}, 2));
    assertSame(NpyArray.of(new byte[] {-1, 127}, 2));
    assertSame(NpyArray.of(new boolean[] {true, false, true}, 3));
    assertSame(NpyArray.of(new float[0], 0, 4));
    assertSame(NpyArray.of(new double[] {7}));
  }

  private void assertSame(NpyArray array) {
    Path file = directory.resolve("a.npy");
    Npy.write(file, array);
    NpyArray copy = Npy.read(file);
    assertThat(copy.type()).isEqualTo(array.type());
    assertThat(copy.shape()).isEqualTo(array.shape());
    assertThat(copy.asDouble()).isEqualTo(array.asDouble());
    assertThat(copy.asFloat()).isEqualTo(array.asFloat());
    if (!array.type().isFloating()) {
      assertThat(copy.asLong()).isEqualTo(array.asLong());
      assertThat(copy.asBoolean()).isEqualTo(array.asBoolean());
    }
  }

  @Test
  void fortranOrderAndBigEndianAreRearranged() {
    // Column-major storage of [[1,2,3],[4,5,6]].
    ByteBuffer values = ByteBuffer.allocate(12).order(ByteOrder.BIG_ENDIAN);
    for (int v : new int[] {1, 4, 2, 5, 3, 6}) {
      values.putShort((short) v);
    }
    NpyArray array =
        parse("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }", 1, values.array());
    assertThat(array.asLong()).containsExactly(1, 2, 3, 4, 5, 6);
    assertThat(array.shape()).containsExactly(2, 3);
    NpyArray cube =
        parse(
            "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 1, 2)}",
            2,
            new byte[] {0, 2, 1, 3});
    assertThat(cube.asLong()).containsExactly(0, 1, 2, 3);
    NpyArray half =
        parse(
            "{\"descr\": \"<f2\", \"fortran_order\": False, \"shape\": (1L,)}",
            3,
            new byte[] {0, 0x3c});
    assertThat(half.asDouble()).containsExactly(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", // too few bytes
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", // too many
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': 1, 'shape': (2,), }",
        "__import__('os').system('touch /tmp/igd_pwned')",
        "{",
        "",
      })
  void headersThatDoNotFitAreRefused(String header) {
    assertThatThrownBy(() -> parse(header, 1, new byte[8]))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("made");
  }

  private static NpyArray parse(String header, int version, byte[] values) {
    byte[] text = header.getBytes(StandardCharsets.ISO_8859_1);
    ByteBuffer file =
        ByteBuffer.allocate((version == 1 ? 10 : 12) + text.length + values.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    file.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.ISO_8859_1));
    file.put((byte) version).put((byte) 0);
    if (version == 1) {
      file.putShort((short) text.length);
    } else {
      file.putInt(text.length);
    }
    file.put(text).put(values);
    return Npy.parse(Bytes.of(file.array()), "made");
  }

  @Test
  void npzOfNumpyIsRead() {
    Npz images = Npz.open(golden("images32.npz"));
    assertThat(images.names()).containsExactlyInAnyOrder("x", "y");
    assertThat(images.get("x").shape()).containsExactly(16, 3, 32, 32);
    assertThat(images.get("x").type()).isEqualTo(ElementType.FLOAT32);
    float[] values = images.get("x").asFloat();
    for (float value : values) {
      assertThat(Math.round(value * 255) / 255f).isEqualTo(value);
    }
    assertThat(images.get("y").asLong()).hasSize(16);
    assertThatThrownBy(() -> images.get("z"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("'z'")
        .hasMessageContaining("[x, y]");
  }

  @Test
  void npzIsWrittenDeterministicallyWithTexts() throws Exception {
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("b", NpyArray.of(new double[] {1, 2}, 2));
    arrays.put("a", NpyArray.of(new long[] {3}, 1));
    Map<String, String> texts = Map.of("provenance.json", "{\"é\":1}");
    Path one = directory.resolve("one.npz");
    Path two = directory.resolve("two.npz");
    Npz.write(one, arrays, texts);
    Npz.write(two, arrays, texts);
    assertThat(one).hasSameBinaryContentAs(two);
    Npz read = Npz.open(one);
    assertThat(read.names()).containsExactly("b", "a");
    assertThat(read.get("b").asDouble()).containsExactly(1, 2);
    assertThat(read.containsText("provenance.json")).isTrue();
    assertThat(read.text("provenance.json")).isEqualTo("{\"é\":1}");
    assertThat(read.sha256()).isEqualTo(Hashes.sha256(two));
    assertThatThrownBy(() -> read.text("absent")).isInstanceOf(InputException.class);
  }

  @Test
  void compressedNpzIsRead() throws Exception {
    byte[] npz = deflated(NpyArray.of(new double[10_000], 10_000));
    assertThat(npz.length).isLessThan(1000);
    Path file = directory.resolve("deflated.npz");
    Files.write(file, npz);
    assertThat(Npz.open(file).get("x").size()).isEqualTo(10_000);
  }

  @Test
  void archiveThatClaimsTooMuchIsRefused() throws Exception {
    byte[] npz = deflated(NpyArray.of(new double[100], 100));
    ByteBuffer file = ByteBuffer.wrap(npz).order(ByteOrder.LITTLE_ENDIAN);
    int directoryAt = file.getInt(npz.length - 6);
    file.putInt(directoryAt + 24, 0x7fffffff); // unpacked size
    assertThatThrownBy(() -> ZipArchive.of(Bytes.of(npz), "bomb"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("2147483647");
    file.putInt(directoryAt + 24, 900);
    assertThatThrownBy(() -> ZipArchive.of(Bytes.of(npz), "short").read("x.npy"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("longer");
  }

  private static byte[] deflated(NpyArray array) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.putNextEntry(new ZipEntry("x.npy"));
      Npy.write(zip, array);
      zip.closeEntry();
    }
    return bytes.toByteArray();
  }

  @Test
  void mutatedNpyIsReadOrRefused() throws Exception {
    ByteArrayOutputStream original = new ByteArrayOutputStream();
    Npy.write(original, NpyArray.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3));
    Random random = new Random(5);
    for (int i = 0; i < 20_000; i++) {
      byte[] content = GoldenFiles.mutate(original.toByteArray(), random);
      check(() -> Npy.parse(Bytes.of(content), "mutation").asDouble(), i);
    }
  }

  @Test
  void mutatedNpzIsReadOrRefused() throws Exception {
    Path file = directory.resolve("x.npz");
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("x", NpyArray.of(new byte[12], 1, 3, 2, 2));
    arrays.put("y", NpyArray.of(new long[] {3}, 1));
    Npz.write(file, arrays);
    for (byte[] original :
        List.of(Files.readAllBytes(file), deflated(NpyArray.of(new double[500], 500)))) {
      Random random = new Random(6);
      for (int i = 0; i < 10_000; i++) {
        byte[] content = GoldenFiles.mutate(original, random);
        check(
            () -> {
              ZipArchive zip = ZipArchive.of(Bytes.of(content), "mutation");
              for (String name : zip.names()) {
                Npy.parse(zip.read(name), name).asDouble();
              }
            },
            i);
      }
    }
  }

  static void check(Runnable reading, int i) {
    try {
      reading.run();
    } catch (InputException expected) {
      assertThat(expected.getMessage()).isNotEmpty();
    } catch (Throwable e) {
      throw new AssertionError("mutation " + i, e);
    }
  }

  @Test
  void bytesAcrossSegmentsKeepTheirOrder() {
    // Slices of any offset see the same bytes.
    byte[] content = new byte[1000];
    new Random(1).nextBytes(content);
    Bytes bytes = Bytes.of(content).slice(3, 900).slice(4, 800);
    assertThat(bytes.length()).isEqualTo(800);
    assertThat(bytes.getLong(1))
        .isEqualTo(ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).getLong(8));
    assertThat(bytes.get(0, 5)).isEqualTo(java.util.Arrays.copyOfRange(content, 7, 12));
    assertThat(bytes.slice(800, 0).length()).isZero();
    assertThatThrownBy(() -> bytes.getInt(797)).isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> bytes.slice(1, 800)).isInstanceOf(IndexOutOfBoundsException.class);
  }

  @Test
  void valuesAcrossTheBorderOfAMappingAreWhole() throws Exception {
    Path file = directory.resolve("sparse");
    long border = 1L << 30;
    byte[] content = new byte[64];
    new Random(2).nextBytes(content);
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.seek(border - 30);
      sparse.write(content);
      sparse.setLength(border + 1000);
    }
    Bytes bytes = Bytes.ofFile(file);
    ByteBuffer expected = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 56; i++) {
      assertThat(bytes.getLong(border - 30 + i)).isEqualTo(expected.getLong(i));
      assertThat(bytes.getShort(border - 30 + i)).isEqualTo(expected.getShort(i));
      Bytes slice = bytes.slice(border - 30 + i, 8);
      assertThat(slice.getInt(4)).isEqualTo(expected.getInt(i + 4));
      assertThat(slice.asBuffer().getLong()).isEqualTo(expected.getLong(i));
      assertThat(slice.sha256())
          .isEqualTo(Hashes.sha256(java.util.Arrays.copyOfRange(content, i, i + 8)));
    }
    assertThat(bytes.buffers()).hasSize(2);
    NpyArray floats =
        new NpyArray(ElementType.FLOAT32, new long[] {13}, bytes.slice(border - 29, 52));
    float[] values = floats.asFloat();
    for (int i = 0; i < 13; i++) {
      assertThat(values[i]).isEqualTo(expected.getFloat(1 + 4 * i));
    }
  }
}
