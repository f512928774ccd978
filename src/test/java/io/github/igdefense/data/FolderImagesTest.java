package io.github.igdefense.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Class folders with images of every kind that occurs. */
class FolderImagesTest {
  @TempDir Path root;

  @BeforeEach
  void twoClasses() throws IOException {
    Files.createDirectories(root.resolve("cat"));
    Files.createDirectories(root.resolve("ant"));
    png(root.resolve("cat/b.png"), color(BufferedImage.TYPE_INT_RGB, 8, 6, 1));
    png(root.resolve("cat/a.png"), color(BufferedImage.TYPE_INT_RGB, 8, 6, 2));
    png(root.resolve("ant/x.PNG"), color(BufferedImage.TYPE_INT_RGB, 8, 6, 3));
    Files.writeString(root.resolve("ant/.hidden.png"), "no image");
    Files.writeString(root.resolve("ant/readme.txt"), "no image");
  }

  @Test
  void namesAreSortedAndPixelsExact() {
    try (ImageSet set = ImageSets.open("folder:" + root)) {
      assertThat(set.classNames()).containsExactly("ant", "cat");
      assertThat(set.labels()).containsExactly(0, 1, 1);
      assertThat(new int[] {set.channels(), set.height(), set.width()}).containsExactly(3, 6, 8);
      assertThat(set.isLazy()).isTrue();
      assertPixels(set, 0, color(BufferedImage.TYPE_INT_RGB, 8, 6, 3));
      assertPixels(set, 1, color(BufferedImage.TYPE_INT_RGB, 8, 6, 2));
      ImageSet memory = set.inMemory();
      assertThat(memory.isLazy()).isFalse();
      assertThat(memory.inMemory()).isSameAs(memory);
      assertPixels(memory, 2, color(BufferedImage.TYPE_INT_RGB, 8, 6, 1));
      assertThat(memory.sha256()).isEqualTo(set.sha256());
      assertThat(set.limit(1).inMemory().labels()).containsExactly(0);
    }
  }

  @Test
  void hashSeesNamesAndContent() throws IOException {
    String before = ImageSets.open("folder:" + root).sha256();
    Files.move(root.resolve("cat/a.png"), root.resolve("cat/c.png"));
    String renamed = ImageSets.open("folder:" + root).sha256();
    assertThat(renamed).isNotEqualTo(before);
    png(root.resolve("cat/c.png"), color(BufferedImage.TYPE_INT_RGB, 8, 6, 9));
    assertThat(ImageSets.open("folder:" + root).sha256()).isNotEqualTo(renamed);
  }

  @Test
  void greyAlphaPaletteAndDeepPngsBecomeRgb() throws IOException {
    png(root.resolve("ant/a.png"), color(BufferedImage.TYPE_BYTE_GRAY, 8, 6, 4));
    png(root.resolve("ant/b.png"), color(BufferedImage.TYPE_INT_ARGB, 8, 6, 5));
    png(root.resolve("ant/c.png"), color(BufferedImage.TYPE_BYTE_INDEXED, 8, 6, 6));
    png(root.resolve("ant/d.png"), color(BufferedImage.TYPE_USHORT_GRAY, 8, 6, 7));
    png(root.resolve("ant/e.png"), color(BufferedImage.TYPE_BYTE_BINARY, 8, 6, 8));
    ImageSet set = ImageSets.open("folder:" + root);
    float[] image = new float[144];
    set.read(0, image, 0);
    Raster grey = color(BufferedImage.TYPE_BYTE_GRAY, 8, 6, 4).getRaster();
    for (int i = 0; i < 48; i++) {
      assertThat(image[i])
          .isEqualTo(grey.getSample(i % 8, i / 8, 0) / 255f)
          .isEqualTo(image[48 + i])
          .isEqualTo(image[96 + i]);
    }
    assertPixels(set, 1, color(BufferedImage.TYPE_INT_ARGB, 8, 6, 5));
    assertPixels(set, 2, color(BufferedImage.TYPE_BYTE_INDEXED, 8, 6, 6));
    set.read(3, image, 0);
    Raster deep = color(BufferedImage.TYPE_USHORT_GRAY, 8, 6, 7).getRaster();
    assertThat(image[0]).isEqualTo((deep.getSample(0, 0, 0) >> 8) / 255f);
    assertPixels(set, 4, color(BufferedImage.TYPE_BYTE_BINARY, 8, 6, 8));
  }

  @Test
  void jpegsOfOneThreeAndFourComponentsBecomeRgb() throws IOException {
    for (Path old : java.util.List.of(root.resolve("cat/a.png"), root.resolve("cat/b.png"))) {
      Files.delete(old);
    }
    Files.delete(root.resolve("ant/x.PNG"));
    jpeg(root.resolve("ant/grey.jpg"), flat(1, 16, 90));
    jpeg(root.resolve("ant/rgb.jpeg"), flat(3, 16, 200, 100, 50));
    jpeg(root.resolve("cat/cmyk.JPG"), flat(4, 16, 255, 100, 0, 200));
    Path ycck = root.resolve("cat/ycck.jpg");
    jpeg(ycck, flat(4, 16, 100, 200, 50, 30));
    Files.write(ycck, withAdobeMarker(Files.readAllBytes(ycck), 2));
    ImageSet set = ImageSets.open("folder:" + root);
    float[] image = new float[3 * 256];
    set.read(0, image, 0);
    for (float value : image) {
      assertThat(value * 255).isBetween(88f, 92f);
    }
    set.read(1, image, 0);
    assertThat(image[100] * 255).isBetween(196f, 204f);
    assertThat(image[256 + 100] * 255).isBetween(96f, 104f);
    assertThat(image[512 + 100] * 255).isBetween(46f, 54f);
    set.read(2, image, 0);
    // Inverted ink times inverted black.
    assertColor(image, 200, 100 * 200 / 255, 0);
    set.read(3, image, 0);
    // R = 100 + 1.402 (50 - 128) < 0, G = 100 - 0.344 (200 - 128) - 0.714 (50 - 128) = 131, B =
    // 228; all
    // inverted.
    assertColor(image, 30, 124 * 30 / 255, 27 * 30 / 255);
  }

  private static void assertColor(float[] image, int... rgb) {
    for (int c = 0; c < 3; c++) {
      for (int i = 0; i < 256; i++) {
        assertThat(image[256 * c + i] * 255).isBetween(rgb[c] - 2f, rgb[c] + 2f);
      }
    }
  }

  private static byte[] withAdobeMarker(byte[] jpeg, int transform) {
    byte[] marker = {
      (byte) 0xff, (byte) 0xee, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, (byte) transform
    };
    byte[] result = new byte[jpeg.length + marker.length];
    System.arraycopy(jpeg, 0, result, 0, 2);
    System.arraycopy(marker, 0, result, 2, marker.length);
    System.arraycopy(jpeg, 2, result, 2 + marker.length, jpeg.length - 2);
    return result;
  }

  @Test
  void whatDoesNotFitIsNamed() throws IOException {
    png(root.resolve("cat/aa.png"), color(BufferedImage.TYPE_INT_RGB, 7, 6, 1));
    png(root.resolve("cat/zz.png"), color(BufferedImage.TYPE_INT_RGB, 5, 6, 1));
    refuses("aa.png", "8x6", "7x6");
    Files.delete(root.resolve("cat/aa.png"));
    Files.delete(root.resolve("cat/zz.png"));
    Files.createDirectories(root.resolve("empty"));
    refuses("empty");
    Files.writeString(root.resolve("empty/broken.jpg"), "this is no JPEG");
    refuses("broken.jpg");
    Files.delete(root.resolve("empty/broken.jpg"));
    byte[] cut = Files.readAllBytes(root.resolve("cat/a.png"));
    Files.write(root.resolve("empty/cut.png"), Arrays.copyOf(cut, cut.length / 2));
    refuses("cut.png", "1 of 4 images");
  }

  private void refuses(String... parts) {
    assertThatThrownBy(() -> ImageSets.open("folder:" + root))
        .isInstanceOf(InputException.class)
        .message()
        .contains(parts);
  }

  @Test
  void otherLayoutsAreExplained(@TempDir Path other) throws IOException {
    assertThatThrownBy(() -> ImageSets.open("folder:" + other.resolve("absent")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("absent");
    assertThatThrownBy(() -> ImageSets.open("folder:" + other))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("no folders");
    png(other.resolve("a.png"), color(BufferedImage.TYPE_INT_RGB, 8, 6, 1));
    assertThatThrownBy(() -> ImageSets.open("folder:" + other))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("images without folders");
    Files.createDirectories(other.resolve("train/cat"));
    Files.createDirectories(other.resolve("test/cat"));
    assertThatThrownBy(() -> ImageSets.open("folder:" + other))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("folder:" + other.resolve("test"));
  }

  @Test
  void mutatedImagesAreDecodedOrRefused() throws IOException {
    Path jpeg = root.resolve("one.jpg");
    jpeg(jpeg, flat(3, 16, 10, 200, 30));
    Path cmyk = root.resolve("four.jpg");
    jpeg(cmyk, flat(4, 16, 10, 200, 30, 40));
    Random random = new Random(8);
    for (Path file : java.util.List.of(jpeg, cmyk, root.resolve("cat/a.png"))) {
      byte[] original = Files.readAllBytes(file);
      ImageFiles.Size size = ImageFiles.size(file);
      for (int i = 0; i < 1500; i++) {
        byte[] content = GoldenFiles.mutate(original, random);
        NpyTest.check(
            () -> {
              byte[] pixels = ImageFiles.decode(content, file, size);
              assertThat(pixels).hasSize(3 * size.height() * size.width());
            },
            i);
      }
    }
  }

  private static void assertPixels(ImageSet set, int index, BufferedImage expected) {
    float[] image = new float[set.imageLength()];
    set.read(index, image, 0);
    int plane = set.height() * set.width();
    for (int i = 0; i < plane; i++) {
      int rgb = expected.getRGB(i % set.width(), i / set.width());
      assertThat(image[i]).isEqualTo((rgb >> 16 & 0xff) / 255f);
      assertThat(image[plane + i]).isEqualTo((rgb >> 8 & 0xff) / 255f);
      assertThat(image[2 * plane + i]).isEqualTo((rgb & 0xff) / 255f);
    }
  }

  static BufferedImage color(int type, int width, int height, int seed) {
    BufferedImage image = new BufferedImage(width, height, type);
    Random random = new Random(seed);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        image.setRGB(x, y, random.nextInt() | 0x80000000);
      }
    }
    return image;
  }

  static void png(Path file, BufferedImage image) throws IOException {
    assertThat(ImageIO.write(image, "png", file.toFile())).isTrue();
  }

  static WritableRaster flat(int bands, int side, int... color) {
    WritableRaster raster =
        Raster.createInterleavedRaster(
            java.awt.image.DataBuffer.TYPE_BYTE, side, side, bands, null);
    for (int i = 0; i < side * side; i++) {
      raster.setPixel(i % side, i / side, color);
    }
    return raster;
  }

  static void jpeg(Path file, WritableRaster raster) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ImageOutputStream out = ImageIO.createImageOutputStream(bytes)) {
      java.util.Iterator<ImageWriter> writers = ImageIO.getImageWritersByFormatName("jpeg");
      ImageWriter writer = writers.next();
      while (!writer.getClass().getName().startsWith("com.sun.")) {
        writer = writers.next();
      }
      writer.setOutput(out);
      if (raster.getNumBands() == 4) {
        writer.write(null, new IIOImage(raster, null, null), null);
      } else {
        int type =
            raster.getNumBands() == 1 ? BufferedImage.TYPE_BYTE_GRAY : BufferedImage.TYPE_INT_RGB;
        BufferedImage image = new BufferedImage(raster.getWidth(), raster.getHeight(), type);
        image.getRaster().setRect(raster);
        writer.write(new IIOImage(image, null, null));
      }
      writer.dispose();
    }
    Files.write(file, bytes.toByteArray());
  }
}
