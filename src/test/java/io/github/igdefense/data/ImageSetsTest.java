package io.github.igdefense.data;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Arrays, IDX, CIFAR and the embedded sample; folders have a test of their own. */
class ImageSetsTest {
  @TempDir Path directory;

  @ParameterizedTest
  @ValueSource(strings = {"", "npz", "npz:", "nonsense:x", "embedded:valid", "idx::test", "folder"})
  void unknownFormListsTheForms(String spec) {
    assertThatThrownBy(() -> ImageSets.open(spec))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("npz:FILE")
        .hasMessageContaining("embedded[:train|test]");
  }

  @Test
  void embeddedSampleIsBalancedFashionMnist() {
    for (String spec : List.of("embedded", "embedded:test", "embedded:train")) {
      ImageSet set = ImageSets.open(spec);
      boolean train = spec.endsWith("train");
      assertThat(set.size()).isEqualTo(train ? 6000 : 1000);
      assertThat(set.classNames()).startsWith("T-shirt/top").endsWith("Ankle boot").hasSize(10);
      int[] counts = new int[10];
      for (int label : set.labels()) {
        counts[label]++;
      }
      assertThat(counts).containsOnly(train ? 600 : 100);
      assertThat(Arrays.copyOf(set.labels(), 10)).containsExactly(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
      assertThat(new int[] {set.channels(), set.height(), set.width()}).containsExactly(3, 32, 32);
      assertThat(set.preprocessing()).contains("28x28 to 32x32").contains("3 channels");
      float[] image = new float[set.imageLength()];
      set.read(set.size() - 1, image, 0);
      float sum = 0;
      for (int i = 0; i < 1024; i++) {
        assertThat(image[i])
            .isBetween(0f, 1f)
            .isEqualTo(image[1024 + i])
            .isEqualTo(image[2048 + i]);
        boolean border = i / 32 < 2 || i / 32 > 29 || i % 32 < 2 || i % 32 > 29;
        assertThat(border && image[i] != 0).isFalse();
        sum += image[i];
      }
      assertThat(sum).isGreaterThan(10);
      assertThat(set.sha256()).hasSize(64).isEqualTo(ImageSets.open(spec).sha256());
    }
  }

  @Test
  void arraysOfPythonAreReadExactly() {
    ImageSet set = ImageSets.open("npz:" + golden("images32.npz"));
    NpyArray x = Npz.open(golden("images32.npz")).get("x");
    assertThat(set.size()).isEqualTo(16);
    assertThat(set.isDouble()).isFalse();
    float[] all = x.asFloat();
    float[] image = new float[3072 + 5];
    double[] wide = new double[3072];
    for (int i = 0; i < 16; i++) {
      set.read(i, image, 5);
      set.read(i, wide, 0);
      for (int j = 0; j < 3072; j++) {
        assertThat(image[5 + j]).isEqualTo(all[i * 3072 + j]);
        assertThat(wide[j]).isEqualTo((double) all[i * 3072 + j]);
      }
    }
    assertThat(set.sha256()).isEqualTo(Hashes.sha256(golden("images32.npz")));
    assertThat(set.name()).startsWith("npz:");
    assertThat(set.preprocessing()).isEqualTo("none");
  }

  @Test
  void doublesStayDoublesAndBytesAreDivided() {
    double[] values = {0.1, 1.0 / 3, 0, 1};
    ImageSet set = npz(NpyArray.of(values, 2, 1, 1, 2), NpyArray.of(new int[] {0, 4}, 2));
    assertThat(set.isDouble()).isTrue();
    double[] image = new double[2];
    set.read(0, image, 0);
    assertThat(image).containsExactly(0.1, 1.0 / 3);
    assertThat(set.classNames()).containsExactly("0", "1", "2", "3", "4");

    byte[] bytes = {0, 51, -1, 127};
    ImageSet small = npz(NpyArray.of(bytes, 1, 1, 2, 2), NpyArray.of(new byte[] {2}, 1));
    float[] target = new float[4];
    small.read(0, target, 0);
    assertThat(target).containsExactly(0, 51 / 255f, 1, 127 / 255f);
  }

  private ImageSet npz(NpyArray x, NpyArray y) {
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    if (x != null) {
      arrays.put("x", x);
    }
    if (y != null) {
      arrays.put("y", y);
    }
    Path file = directory.resolve("made.npz");
    Npz.write(file, arrays);
    return ImageSets.open("npz:" + file);
  }

  private void refuses(NpyArray x, NpyArray y, String... parts) {
    assertThatThrownBy(() -> npz(x, y))
        .isInstanceOf(InputException.class)
        .message()
        .contains(parts);
  }

  @Test
  void arraysThatDoNotFitAreRefused() {
    NpyArray x = NpyArray.of(new float[12], 1, 3, 2, 2);
    NpyArray y = NpyArray.of(new long[1], 1);
    float[] bad = new float[24];
    bad[17] = 1.0001f;
    refuses(NpyArray.of(bad, 2, 3, 2, 2), NpyArray.of(new long[2], 2), "1.0001", "[1,1,0,1]");
    bad[17] = Float.NaN;
    refuses(NpyArray.of(bad, 2, 3, 2, 2), NpyArray.of(new long[2], 2), "NaN", "[1,1,0,1]");
    refuses(NpyArray.of(new double[] {-1e-9}, 1, 1, 1, 1), y, "-1.0E-9", "[0,0,0,0]");
    refuses(NpyArray.of(new float[12], 1, 12), y, "[N,C,H,W]", "[1, 12]");
    refuses(NpyArray.of(new float[0], 0, 3, 2, 2), NpyArray.of(new long[0], 0), "at least 1");
    refuses(NpyArray.of(new int[12], 1, 3, 2, 2), y, "int32");
    refuses(x, NpyArray.of(new long[2], 2), "[1]", "int64[2]");
    refuses(x, NpyArray.of(new long[] {-1}, 1), "-1", "index 0");
    refuses(x, NpyArray.of(new float[1], 1), "float32");
    refuses(x, null, "'y'", "[x]");
    refuses(null, y, "'x'", "[y]");
    assertThatThrownBy(() -> ImageSets.open("npz:" + directory.resolve("absent.npz")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("absent.npz");
    assertThatThrownBy(() -> ImageSets.open("npz:" + golden("a1n_keys.txt")))
        .isInstanceOf(InputException.class);
  }

  @Test
  void viewsKeepOrderAndCheckClasses() {
    ImageSet set = ImageSets.open("embedded", 30);
    assertThat(set.size()).isEqualTo(30);
    assertThat(set.name()).contains("first 30 of 1000");
    assertThat(ImageSets.open("embedded", 5000).size()).isEqualTo(1000);
    assertThatThrownBy(() -> ImageSets.open("embedded", 0)).isInstanceOf(InputException.class);
    ImageSet chosen = set.select(new int[] {7, 3, 7});
    assertThat(chosen.labels()).containsExactly(7, 3, 7);
    float[] first = new float[3072];
    float[] third = new float[3072];
    set.read(7, first, 0);
    chosen.read(2, third, 0);
    assertThat(third).isEqualTo(first);
    assertThat(chosen.sha256())
        .isNotEqualTo(set.sha256())
        .isNotEqualTo(set.select(new int[] {3, 7, 7}).sha256());
    assertThat(set.withClassCount(12).classNames()).hasSize(12).endsWith("11");
    assertThatThrownBy(() -> set.withClassCount(7))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("label 7 at index 7");
    assertThatThrownBy(() -> set.select(new int[] {30}))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> set.select(new int[0])).isInstanceOf(InputException.class);
  }

  @Test
  void balancedLimitsGiveNoMoreThanWasAskedFor() {
    int[] labels = {0, 0, 0, 2, 2, 2, 3, 5, 5, 5};
    ImageSet set = npz(NpyArray.of(new byte[10], 10, 1, 1, 1), NpyArray.of(labels, labels.length));
    assertThat(set.isSortedByClass()).isTrue();
    assertThat(set.balanced(8).labels()).containsExactly(0, 0, 2, 2, 3, 5, 5);
    assertThat(set.balanced(4).labels()).containsExactly(0, 2, 3, 5);
    assertThat(set.balanced(3).labels()).containsExactly(2, 3, 5);
    assertThat(set.balanced(1).labels()).containsExactly(5);
    assertThat(set.balanced(100)).isSameAs(set);
    assertThat(ImageSets.open("embedded").isSortedByClass()).isFalse();
    assertThat(set.limit(3).isSortedByClass()).isFalse();
  }

  @Test
  void idxIsReadPlainAndCompressed() throws Exception {
    Path dir = Files.createDirectories(directory.resolve("mnist"));
    byte[] pixels = new byte[3 * 28 * 28];
    new Random(1).nextBytes(pixels);
    write(dir.resolve("t10k-images-idx3-ubyte"), idx(pixels, 3, 28, 28), false);
    write(dir.resolve("t10k-labels-idx1-ubyte.gz"), idx(new byte[] {9, 0, 4}, 3), true);
    ImageSet set = ImageSets.open("idx:" + dir);
    assertThat(set.labels()).containsExactly(9, 0, 4);
    assertThat(set.classNames()).containsExactly("0", "1", "2", "3", "4", "5", "6", "7", "8", "9");
    float[] image = new float[3 * 32 * 32];
    set.read(2, image, 0);
    assertThat(image[1024 + (2 + 5) * 32 + 2 + 9])
        .isEqualTo((pixels[(2 * 28 + 5) * 28 + 9] & 0xff) / 255f);
    assertThatThrownBy(() -> ImageSets.open("idx:" + dir + ":train"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("train-images-idx3-ubyte");
  }

  @Test
  void largerIdxIsNotPadded() throws Exception {
    byte[] pixels = new byte[40 * 31];
    pixels[0] = 51;
    write(directory.resolve("train-images-idx3-ubyte"), idx(pixels, 1, 40, 31), false);
    write(directory.resolve("train-labels-idx1-ubyte"), idx(new byte[] {1}, 1), false);
    ImageSet set = ImageSets.open("idx:" + directory + ":train");
    assertThat(new int[] {set.height(), set.width()}).containsExactly(40, 32);
    float[] image = new float[set.imageLength()];
    set.read(0, image, 0);
    assertThat(image[0]).isEqualTo(51 / 255f);
  }

  @Test
  void damagedIdxIsRefused() throws Exception {
    byte[] images = idx(new byte[2 * 9], 2, 3, 3);
    byte[] labels = idx(new byte[2], 2);
    refusesIdx(Arrays.copyOf(images, images.length - 1), labels, "cut off");
    refusesIdx(Arrays.copyOf(images, images.length + 1), labels, "more");
    refusesIdx(labels, labels, "magic number 2051", "2049");
    refusesIdx(images, idx(new byte[3], 3), "2 images", "3 labels");
    refusesIdx(new byte[0], labels, "cut off");
    byte[] huge = images.clone();
    huge[4] = 0x7f;
    refusesIdx(huge, labels, "extents");
    assertThatThrownBy(() -> ImageSets.open("idx:" + directory.resolve("nowhere")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("nowhere");
  }

  private void refusesIdx(byte[] images, byte[] labels, String... parts) throws IOException {
    write(directory.resolve("t10k-images-idx3-ubyte"), images, false);
    write(directory.resolve("t10k-labels-idx1-ubyte"), labels, false);
    assertThatThrownBy(() -> ImageSets.open("idx:" + directory))
        .isInstanceOf(InputException.class)
        .message()
        .contains(parts);
  }

  @Test
  void mutatedIdxIsReadOrRefused() throws Exception {
    ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    try (OutputStream gzip = new GZIPOutputStream(compressed)) {
      gzip.write(idx(new byte[64], 4, 4, 4));
    }
    for (byte[] original : List.of(idx(new byte[64], 4, 4, 4), compressed.toByteArray())) {
      Random random = new Random(7);
      for (int i = 0; i < 10_000; i++) {
        byte[] content = GoldenFiles.mutate(original, random);
        NpyTest.check(() -> Idx.read(Bytes.of(content), "mutation", 3), i);
      }
    }
  }

  private static byte[] idx(byte[] values, int... shape) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.writeInt(0x0800 | shape.length);
    for (int extent : shape) {
      out.writeInt(extent);
    }
    out.write(values);
    return bytes.toByteArray();
  }

  private static void write(Path file, byte[] content, boolean gzip) throws IOException {
    try (OutputStream raw = Files.newOutputStream(file);
        OutputStream out = gzip ? new GZIPOutputStream(raw) : raw) {
      out.write(content);
    }
  }

  @Test
  void cifarIsReadFromDirectoryAndArchive() throws Exception {
    Path inner = Files.createDirectories(directory.resolve("cifar-10-batches-bin"));
    ByteArrayOutputStream tar = new ByteArrayOutputStream();
    Random random = new Random(3);
    byte[][] contents = new byte[6][];
    for (int f = 0; f < 6; f++) {
      contents[f] = new byte[2 * 3073];
      random.nextBytes(contents[f]);
      contents[f][0] = (byte) f;
      contents[f][3073] = 9;
      String name = f < 5 ? "data_batch_" + (f + 1) + ".bin" : "test_batch.bin";
      Files.write(inner.resolve(name), contents[f]);
      Tars.entry(tar, "cifar-10-batches-bin/" + name, contents[f]);
    }
    tar.write(new byte[1024]);
    Path archive = directory.resolve("cifar-10-binary.tar.gz");
    write(archive, tar.toByteArray(), true);
    for (Path path : List.of(directory, inner, archive)) {
      ImageSet train = ImageSets.open("cifar10:" + path + ":train");
      assertThat(train.labels()).containsExactly(0, 9, 1, 9, 2, 9, 3, 9, 4, 9);
      assertThat(train.classNames()).startsWith("airplane").endsWith("truck");
      float[] image = new float[3072];
      train.read(5, image, 0);
      for (int i = 0; i < 3072; i++) {
        assertThat(image[i]).isEqualTo((contents[2][3073 + 1 + i] & 0xff) / 255f);
      }
      assertThat(ImageSets.open("cifar10:" + path).labels()).containsExactly(5, 9);
    }
    assertThat(ImageSets.open("cifar10:" + archive).sha256())
        .isEqualTo(ImageSets.open("cifar10:" + inner).sha256());
    Files.write(inner.resolve("test_batch.bin"), new byte[3072]);
    assertThatThrownBy(() -> ImageSets.open("cifar10:" + inner))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("3073");
    contents[5][0] = 10;
    Files.write(inner.resolve("test_batch.bin"), contents[5]);
    assertThatThrownBy(() -> ImageSets.open("cifar10:" + inner))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("got 10 at index 0");
    assertThatThrownBy(() -> ImageSets.open("cifar100:" + inner))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("test.bin");
    assertThatThrownBy(() -> ImageSets.open("cifar10:" + golden("a1n.pt")))
        .isInstanceOf(InputException.class);
  }
}
