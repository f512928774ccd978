package io.github.igdefense.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** CIFAR's Python version, as published, as Python 3 writes it again, and damaged. */
class CifarPickleTest {
  @TempDir Path folder;

  private static Path resource(String name) throws URISyntaxException {
    return Path.of(CifarPickleTest.class.getResource("/cifar/" + name).toURI());
  }

  /** Files that Python 3 wrote; the pixels repeat after 600. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "python3-protocol0",
        "python3-protocol2",
        "python3-protocol4",
        "python3-protocol5",
        "fortran-protocol4"
      })
  void whatPythonWritesIsRead(String name) throws Exception {
    Files.copy(resource(name + ".pickle"), folder.resolve("test_batch"));
    NpyArray pixels = Npy.read(resource("pixels.npy"));
    ImageSet set = ImageSets.open("cifar10:" + folder);
    assertThat(set.labels()).containsExactly(3, 9);
    assertThat(set.classNames()).startsWith("airplane").hasSize(10);
    float[] image = new float[3072];
    for (int i = 0; i < 2; i++) {
      set.read(i, image, 0);
      for (int j = 0; j < 3072; j++) {
        assertThat(image[j]).isEqualTo(pixels.getLong(i * 600L + j % 600) / 255f);
      }
    }
  }

  /** Class folders of PNG files with {@code perClass} random images each. */
  private static void images(Path root, int perClass) throws IOException {
    for (int c = 0; c < 10; c++) {
      Path inner = Files.createDirectories(root.resolve("class" + c));
      for (int i = 0; i < perClass; i++) {
        FolderImagesTest.png(
            inner.resolve(i + ".png"),
            FolderImagesTest.color(java.awt.image.BufferedImage.TYPE_INT_RGB, 32, 32, c * 50 + i));
      }
    }
  }

  @Test
  void bothPublishedFormsAndTheFoldersGiveTheSameArrays() throws Exception {
    images(folder.resolve("train"), 4);
    images(folder.resolve("test"), 2);
    for (boolean train : new boolean[] {true, false}) {
      String part = train ? "train" : "test";
      ImageSet images = ImageSets.open("folder:" + folder.resolve(part));
      for (boolean python : new boolean[] {true, false}) {
        Path out =
            folder.resolve(python ? "python/cifar-10-batches-py" : "binary/cifar-10-batches-bin");
        CifarWriter.write(images, python, train, out);
        for (Path path : List.of(out, out.getParent(), archive(out))) {
          ImageSet read = ImageSets.open("cifar10:" + path + ":" + part);
          assertThat(ImageDifferences.between(images, read))
              .isEqualTo(new ImageDifferences(images.size(), 0, -1, 0));
          assertThat(read.classNames()).isEqualTo(images.classNames());
          assertThat(read.labels()).isEqualTo(images.labels());
        }
      }
    }
    assertThatThrownBy(
            () ->
                CifarWriter.write(
                    ImageSets.open("folder:" + folder.resolve("test")).limit(7),
                    true,
                    true,
                    folder.resolve("x")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("7");
    assertThat(folder.resolve("x")).doesNotExist();
  }

  private Path archive(Path directory) throws IOException {
    ByteArrayOutputStream tar = new ByteArrayOutputStream();
    tar.write(Tars.header(directory.getFileName() + "/", 0, '5'));
    try (var entries = Files.list(directory)) {
      for (Path entry : entries.sorted().toList()) {
        Tars.entry(
            tar, directory.getFileName() + "/" + entry.getFileName(), Files.readAllBytes(entry));
      }
    }
    tar.write(new byte[1024]);
    Path file = folder.resolve(directory.getFileName() + ".tar.gz");
    try (GZIPOutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write(tar.toByteArray());
    }
    return file;
  }

  @Test
  void differencesAreFound() throws Exception {
    images(folder.resolve("a"), 1);
    ImageSet a = ImageSets.open("folder:" + folder.resolve("a"));
    FolderImagesTest.png(
        folder.resolve("a/class3/0.png"),
        FolderImagesTest.color(java.awt.image.BufferedImage.TYPE_INT_RGB, 32, 32, 999));
    ImageSet before = a.inMemory();
    images(folder.resolve("a"), 1);
    ImageDifferences found = ImageDifferences.between(before, a);
    assertThat(found.different()).isEqualTo(1);
    assertThat(found.first()).isEqualTo(3);
    assertThat(found.largest()).isGreaterThan(0.5);
    assertThatThrownBy(() -> ImageDifferences.between(a, a.limit(3)))
        .isInstanceOf(InputException.class);
  }

  /** Pickles by hand: protocol 2, as Python 2 writes them. */
  private static byte[] python2(String body) {
    return ("\u0080\u0002" + body + ".").getBytes(StandardCharsets.ISO_8859_1);
  }

  private static String text(String text) {
    return "U" + (char) text.length() + text;
  }

  private static String array(int rows, int columns, String type, String order, String values) {
    return "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\u0000\u0085U\u0001b\u0087R"
        + "(K\u0001"
        + integer(rows)
        + integer(columns)
        + "\u0086cnumpy\ndtype\n"
        + text(type)
        + "K\u0000K\u0001\u0087R(K\u0003"
        + text(order)
        + "NNNJ\u00ff\u00ff\u00ff\u00ffJ\u00ff\u00ff\u00ff\u00ffK\u0000tb\u0089"
        + "T"
        + (char) (values.length() & 0xff)
        + (char) (values.length() >> 8 & 0xff)
        + "\u0000\u0000"
        + values
        + "tb";
  }

  private static String integer(int value) {
    StringBuilder text = new StringBuilder("J");
    for (int i = 0; i < 4; i++) {
      text.append((char) (value >> 8 * i & 0xff));
    }
    return text.toString();
  }

  private static final String PIXELS = "\u0001\u0080\u00ff".repeat(1024);

  @Test
  void cifar100HasFineLabelsUnlessCoarseOnesAreAskedFor() throws Exception {
    Path inner = Files.createDirectories(folder.resolve("cifar-100-python"));
    Files.write(
        inner.resolve("test"),
        python2(
            "}("
                + text("data")
                + array(1, 3072, "u1", "|", PIXELS)
                + text("fine_labels")
                + "](K\u0063e"
                + text("coarse_labels")
                + "](K\u0013eu"));
    StringBuilder coarse = new StringBuilder();
    for (int i = 0; i < 20; i++) {
      coarse.append(text("super" + i));
    }
    Files.write(
        inner.resolve("meta"), python2("}(" + text("coarse_label_names") + "](" + coarse + "eu"));
    ImageSet fine = ImageSets.open("cifar100:" + folder);
    assertThat(fine.labels()).containsExactly(99);
    assertThat(fine.classNames()).hasSize(100).endsWith("99");
    ImageSet grouped = ImageSets.open("cifar100:" + inner + ":test:coarse");
    assertThat(grouped.labels()).containsExactly(19);
    assertThat(grouped.classNames()).hasSize(20).endsWith("super19");
    assertThat(grouped.sha256()).isNotEqualTo(fine.sha256());
    float[] image = new float[3072];
    fine.read(0, image, 0);
    assertThat(image).startsWith(1 / 255f, 128 / 255f, 1f);
  }

  private void refuses(String body, String... parts) throws IOException {
    Files.write(folder.resolve("test_batch"), python2(body));
    assertThatThrownBy(() -> ImageSets.open("cifar10:" + folder))
        .isInstanceOf(InputException.class)
        .message()
        .contains(parts);
  }

  @Test
  void whatIsNoBatchIsRefused() throws Exception {
    String labels = text("labels") + "](K\u0003e";
    String data = text("data");
    String good = array(1, 3072, "u1", "|", PIXELS);
    refuses("](K\u0003e", "dictionary");
    refuses("}(" + labels + "u", "'data'", "labels");
    refuses("}(" + data + good + "u", "'labels'", "data");
    refuses("}(" + data + good + text("labels") + "](K\u0003K\u0003eu", "1 labels", "2 labels");
    refuses("}(" + data + good + text("labels") + "](K\neu", "got 10 at index 0");
    refuses("}(" + data + good + text("labels") + "](" + text("x") + "eu", "whole numbers");
    refuses("}(" + labels + data + array(2, 3072, "u1", "|", PIXELS) + "u", "6144", "3072");
    refuses("}(" + labels + data + array(-1, 3072, "u1", "|", PIXELS) + "u", "extents");
    refuses("}(" + labels + data + array(3072, 1, "u1", "|", PIXELS) + "u", "uint8[3072, 1]");
    refuses("}(" + labels + data + array(1, 768, "f4", "<", PIXELS) + "u", "float32[1, 768]");
    refuses("}(" + labels + data + array(1, 3072, "O8", "|", PIXELS) + "u", "'O8'");
    refuses("}(" + labels + data + "cos\nsystem\n" + text("true") + "\u0085Ru", "os.system");
    refuses("}(" + labels + data + "cnumpy\nndarray\n)Ru", "no values");
    refuses("}(" + labels + data + good + data + good + "u", "twice");
    Files.write(folder.resolve("test_batch"), new byte[0]);
    assertThatThrownBy(() -> ImageSets.open("cifar10:" + folder))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("too early");
  }

  @Test
  void mutatedBatchesAreReadOrRefused() throws Exception {
    for (String name : List.of("python3-protocol2", "python3-protocol4", "python3-protocol5")) {
      byte[] original = Files.readAllBytes(resource(name + ".pickle"));
      Random random = new Random(11);
      for (int i = 0; i < 3000; i++) {
        byte[] content = GoldenFiles.mutate(original, random);
        NpyTest.check(() -> CifarPickle.read(Bytes.of(content), "mutation", 10, false), i);
      }
    }
  }
}
