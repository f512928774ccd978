package io.github.igdefense.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** ImageNet's layout: folders, lists, class maps, preprocessing, unreadable files. */
class ImageListingTest {
  @TempDir Path root;
  @TempDir Path other;

  @BeforeEach
  void threeClasses() throws IOException {
    int seed = 0;
    for (String folder : List.of("n01", "n02", "n03")) {
      for (int i = 0; i < 3; i++, seed++) {
        write(folder + "/v" + i + ".png", 20 + 3 * seed, 40 - seed, seed);
      }
    }
  }

  private Path write(String name, int width, int height, int seed) throws IOException {
    Path file = root.resolve("val").resolve(name);
    Files.createDirectories(file.getParent());
    FolderImagesTest.png(
        file, FolderImagesTest.color(BufferedImage.TYPE_INT_RGB, width, height, seed));
    return file;
  }

  private String file(String name, String content) throws IOException {
    return Files.writeString(other.resolve(name), content).toString();
  }

  @Test
  void imagesOfAllSizesBecomeOneSize() {
    ImageSet set = ImageSets.open("imagenet:" + root);
    assertThat(set.preprocessing()).startsWith("Res256Crop224 (");
    assertThat(new int[] {set.channels(), set.height(), set.width()}).containsExactly(3, 224, 224);
    assertThat(set.labels()).containsExactly(0, 0, 0, 1, 1, 1, 2, 2, 2);
    assertThat(set.classNames()).containsExactly("n01", "n02", "n03");
    ImageSet small = ImageSets.open("folder:" + root.resolve("val") + ":Res24Crop16");
    assertThat(new int[] {small.height(), small.width()}).containsExactly(16, 16);
    float[] image = new float[3 * 16 * 16];
    small.read(4, image, 0);
    ImageFiles.Pixels decoded = ImageFiles.decode(root.resolve("val/n02/v1.png"));
    byte[] expected =
        Preprocessing.parse("Res24Crop16")
            .apply(decoded.values(), decoded.size().height(), decoded.size().width());
    for (int i = 0; i < image.length; i++) {
      assertThat(image[i]).isEqualTo((expected[i] & 0xff) / 255f);
    }
    assertThat(small.sha256()).isNotEqualTo(set.sha256());
    assertThat(ImageSets.open("imagenet:" + root.resolve("val") + ":Crop8").width()).isEqualTo(8);
    assertThatThrownBy(() -> ImageSets.open("folder:" + root.resolve("val")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("20x40")
        .hasMessageContaining("23x39")
        .hasMessageContaining("Res256Crop224");
    assertThatThrownBy(() -> ImageSets.open("imagenet:" + root + ":train"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("train");
  }

  @Test
  void aListGivesImagesAndOrderAndFoldersGiveLabels() throws IOException {
    String list = file("ids.txt", "n03/v2.png\nn01/v0.png\nn03/v1.png");
    ImageSet set = ImageSets.open("imagenet:" + root + ":Crop8:list=" + list);
    assertThat(set.labels()).containsExactly(2, 0, 2);
    assertThat(set.classCount()).isEqualTo(3);
    ImageSet all = ImageSets.open("imagenet:" + root + ":Crop8");
    assertThat(ImageDifferences.between(set, all.select(new int[] {8, 0, 7})).different()).isZero();
    assertThat(set.sha256()).isNotEqualTo(all.sha256());
  }

  @Test
  void aListMayHaveLabelsAndAClassMapNamesThem() throws IOException {
    String list = file("ids.txt", "n03/v2.png 7\r\nn01/v0.png\t0\r\n");
    ImageSet set = ImageSets.open("imagenet:" + root + ":list=" + list);
    assertThat(set.labels()).containsExactly(7, 0);
    assertThat(set.classNames()).hasSize(8).endsWith("7");
    String map = file("map.json", "{\"n01\": 4, \"n02\": 0, \"n03\": 2}");
    ImageSet mapped = ImageSets.open("imagenet:" + root + ":map=" + map + ":Crop8");
    assertThat(mapped.labels()).containsExactly(4, 4, 4, 0, 0, 0, 2, 2, 2);
    assertThat(mapped.classNames()).containsExactly("n02", "1", "n03", "3", "n01");
    String names = file("pairs.json", "{\"0\": [\"n03\", \"tench\"], \"1\": [\"n01\", \"shark\"]}");
    String short2 = file("short.txt", "n01/v1.png\nn03/v0.png\n");
    ImageSet named =
        ImageSets.open(
            "imagenet:" + root,
            SourceOptions.DEFAULT.withList(Path.of(short2)).withClassMap(Path.of(names)));
    assertThat(named.labels()).containsExactly(1, 0);
    assertThat(named.classNames()).containsExactly("tench", "shark");
    refused("imagenet:" + root + ":map=" + names, "1 class folders", "n02");
    refused("imagenet:" + root + ":map=" + names + ":list=" + list, "2 classes", "7");
  }

  /** RobustBench's list has images of 997 classes; with their folders alone, labels would shift. */
  @Test
  void positionsAmongSomeOfTheFoldersAreRemarkedOn() throws IOException {
    String list = file("ids.txt", "n03/v2.png\n");
    String labelled = file("labelled.txt", "n03/v2.png 2\n");
    String map = file("map.json", "{\"n01\": 0, \"n02\": 1, \"n03\": 2}");
    for (String options : List.of("", ":list=" + list)) {
      assertThat(ImageSets.open("imagenet:" + root + options).remarks())
          .singleElement()
          .asString()
          .contains("3 class folders", "1000", "--class-map");
    }
    for (String options :
        List.of(":map=" + map, ":list=" + list + ":map=" + map, ":list=" + labelled)) {
      assertThat(ImageSets.open("imagenet:" + root + options).remarks()).isEmpty();
    }
    assertThat(ImageSets.open("folder:" + root.resolve("val") + ":Crop8").remarks()).isEmpty();
  }

  private static void refused(String spec, String... parts) {
    assertThatThrownBy(() -> ImageSets.open(spec))
        .isInstanceOf(InputException.class)
        .message()
        .contains(parts);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "n01/v0.png;n01/absent.png;n02/a;n02/b;n02/c | 4 images | absent.png, n02/a, n02/b, and 1"
            + " more",
        "n01/v0.png;../val/n01/v1.png | line 2 | within",
        "/etc/passwd | line 1 | within",
        "n01/../../x.png | line 1 | within",
        ". | line 1 | within",
        "n01/v0.png;n01/v0.png | line 2 | repeats",
        "n01/v0.png;./n01/v0.png | line 2 | repeats",
        "n01/v0.png 1;n01/v1.png | line 2 | label",
        "n01/v0.png;;n01/v1.png | line 2 | empty",
        "n01/v0.png 1234567 | do not exist | v0.png",
        "n01 | do not exist | n01",
      })
  void badListsAreRefused(String lines, String first, String second) throws IOException {
    String list = file("ids.txt", lines.replace(';', '\n'));
    refused("imagenet:" + root + ":list=" + list, first, second);
  }

  @Test
  void emptyOrBinaryListsAreRefused() throws IOException {
    refused("imagenet:" + root + ":list=" + file("ids.txt", ""), "empty");
    Files.write(other.resolve("b.txt"), new byte[] {'a', (byte) 0xff, '\n'});
    refused("imagenet:" + root + ":list=" + other.resolve("b.txt"), "UTF-8");
    refused("imagenet:" + root + ":list=" + other.resolve("none.txt"), "none.txt");
    assertThatThrownBy(
            () -> ImageSets.open("embedded", SourceOptions.DEFAULT.withSkipUnreadable(true)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected folder: or imagenet:");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "{}",
        "{\"n01\": -1}",
        "{\"n01\": 1.5}",
        "{\"n01\": \"0\"}",
        "{\"n01\": 0",
        "{\"n01\": 1000000}",
        "{\"n01\": 0, \"n02\": 0}",
        "{\"n01\": 0, \"n01\": 1}",
        "{\"x\": [\"n01\", \"tench\"]}",
        "{\"0\": [\"n01\"]}",
        "{\"n01\": 99999999999999999999}"
      })
  void badClassMapsAreRefused(String json) throws IOException {
    refused("imagenet:" + root + ":map=" + file("map.json", json), "map.json");
  }

  @Test
  void unreadableImagesAreCountedAndNamed() throws IOException {
    Path cutJpeg = root.resolve("val/n02/w.jpg");
    FolderImagesTest.jpeg(cutJpeg, FolderImagesTest.flat(3, 64, 200, 100, 50));
    byte[] jpeg = Files.readAllBytes(cutJpeg);
    String spec = "imagenet:" + root + ":Crop8";
    assertThat(ImageSets.open(spec).size()).isEqualTo(10);
    Files.write(cutJpeg, Arrays.copyOf(jpeg, jpeg.length - 20));
    Files.writeString(root.resolve("val/n03/zz.jpeg"), "<html>");
    Files.write(root.resolve("val/n01/a.png"), new byte[0]);
    refused(spec, "3 of 12 images", "n01/a.png, n02/w.jpg, n03/zz.jpeg", "--skip-unreadable");
    ImageSet set = ImageSets.open(spec + ":skip-unreadable");
    assertThat(set.labels()).containsExactly(0, 0, 0, 1, 1, 1, 2, 2, 2);
    assertThat(set.remarks()).hasSize(2);
    assertThat(set.remarks().get(1))
        .contains("skipped 3 of 12", "n01/a.png, n02/w.jpg, n03/zz.jpeg");
    assertThat(set.limit(2).remarks()).isEqualTo(set.remarks());
    Files.delete(root.resolve("val/n01/a.png"));
    Files.delete(root.resolve("val/n03/zz.jpeg"));
    Files.delete(cutJpeg);
    assertThat(ImageDifferences.between(set, ImageSets.open(spec)).different()).isZero();
  }

  /** The damage lies in the middle: the header and the end look sound. */
  @Test
  void damageInTheMiddleIsFoundWhenTheImageIsRead() throws IOException {
    Path file = root.resolve("val/n02/v1.png");
    byte[] png = Files.readAllBytes(file);
    for (int i = png.length / 2; i < png.length / 2 + 40; i++) {
      png[i] ^= 0x55;
    }
    Files.write(file, png);
    ImageSet set = ImageSets.open("imagenet:" + root + ":Crop8");
    try (ImageBatches batches = ImageBatches.of(set, 2)) {
      assertThatThrownBy(() -> batches.forEachRemaining(batch -> {}))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("v1.png");
    }
    ImageSet rest = ImageSets.open("imagenet:" + root + ":Crop8:skip-unreadable");
    assertThat(rest.size()).isEqualTo(8);
    assertThat(rest.remarks().get(1)).contains("1 of 9").contains("n02/v1.png");
  }

  /** Headers that promise more pixels than anyone has memory for. */
  @Test
  void imagesOfImpossibleSizesAreRefused() throws IOException {
    Path file = root.resolve("val/n02/v1.png");
    byte[] png = Files.readAllBytes(file);
    for (int size : new int[] {0, -1, Integer.MAX_VALUE, 60_000, 1 << 15}) {
      for (int i = 0; i < 4; i++) {
        png[16 + i] = (byte) (size >> 24 - 8 * i);
        png[20 + i] = (byte) (size >> 24 - 8 * i);
      }
      Files.write(file, png);
      refused("imagenet:" + root + ":Crop8", "1 of 9 images", "2^26 pixels", "v1.png");
    }
    Path jpeg = root.resolve("val/n02/w.jpg");
    FolderImagesTest.jpeg(jpeg, FolderImagesTest.flat(3, 16, 200, 100, 50));
    byte[] content = Files.readAllBytes(jpeg);
    for (int i = 2; i < content.length - 9; i++) {
      if ((content[i] & 0xff) == 0xff && (content[i + 1] & 0xff) == 0xc0) {
        java.util.Arrays.fill(content, i + 5, i + 9, (byte) 0xff);
        break;
      }
    }
    Files.write(jpeg, content);
    refused("imagenet:" + root + ":Crop8", "2 of 10 images", "v1.png, n02/w.jpg");
  }

  @Test
  void aFolderOfUnreadableImagesIsRefusedEvenThen() throws IOException {
    Path bad = Files.createDirectories(other.resolve("set/a"));
    Files.writeString(bad.resolve("x.jpg"), "nothing");
    refused("folder:" + other.resolve("set") + ":skip-unreadable", "1 of 1 images", "x.jpg");
  }

  @Test
  void classNamesAreAttached() throws IOException {
    String names = file("names.txt", "\uFEFFtench, Tinca tinca\ngoldfish\ngreat white shark\n");
    ImageSet set = ImageSets.open("imagenet:" + root + ":classes=" + names);
    assertThat(set.classNames())
        .containsExactly("tench, Tinca tinca", "goldfish", "great white shark");
    ImageSet digits = ImageSets.open("embedded:test:classes=" + tenNames());
    assertThat(digits.classNames()).startsWith("name 0").hasSize(10);
    refused("imagenet:" + root + ":classes=" + file("n.txt", "a\nb\n"), "3 classes", "2 names");
    refused("embedded:classes=" + file("n.txt", "a\n\nb\n"), "line 2 is empty");
    refused("embedded:classes=" + file("n.txt", "a\nb\na\n"), "lines 1 and 3", "'a'");
    refused("embedded:classes=" + file("n.txt", ""), "empty");
  }

  private String tenNames() throws IOException {
    StringBuilder names = new StringBuilder();
    for (int i = 0; i < 10; i++) {
      names.append("name ").append(i).append('\n');
    }
    return file("ten.txt", names.toString());
  }
}
