package io.github.igdefense.data;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Resizing and cropping against Pillow's bytes and torchvision's rules. */
class PreprocessingTest {
  private static final Npz GOLDEN = Npz.open(golden("preprocess.npz"));

  /** CHW bytes of an H×W×3 array of byte values. */
  private static byte[] planes(NpyArray array) {
    int plane = (int) (array.shape()[0] * array.shape()[1]);
    float[] values = array.asFloat();
    byte[] bytes = new byte[3 * plane];
    for (int i = 0; i < 3 * plane; i++) {
      bytes[i % 3 * plane + i / 3] = (byte) values[i];
    }
    return bytes;
  }

  @ParameterizedTest
  @CsvSource({
    "sq_rgb, BicubicRes40Crop40, sq_clip_n40_uint8",
    "down_rgb, BicubicRes22Crop22, down_clip_n22_uint8",
    "down_rgb, Res22Crop16, down_bilinear22_crop16_uint8",
    "wide_rgb, BicubicRes27Crop27, wide_clip_n27_uint8",
    "wide_rgb, Res27Crop21, wide_bilinear27_crop21_uint8",
  })
  void bytesAreThoseOfPillow(String input, String name, String expected) {
    NpyArray image = GOLDEN.get(input);
    Preprocessing preprocessing = Preprocessing.parse(name);
    byte[] result =
        preprocessing.apply(planes(image), (int) image.shape()[0], (int) image.shape()[1]);
    assertThat(result).isEqualTo(planes(GOLDEN.get(expected)));
    assertThat((long) preprocessing.side()).isEqualTo(GOLDEN.get(expected).shape()[0]);
  }

  @ParameterizedTest
  @CsvSource({"down_clip_n22, 22", "wide_clip_n27, 27"})
  void normalisedValuesFollow(String expected, int side) {
    float[] mean = {0.48145466f, 0.4578275f, 0.40821073f};
    float[] deviation = {0.26862954f, 0.26130258f, 0.27577711f};
    NpyArray image = GOLDEN.get(expected.substring(0, 4) + "_rgb");
    byte[] bytes =
        Preprocessing.parse("BicubicRes" + side + "Crop" + side)
            .apply(planes(image), (int) image.shape()[0], (int) image.shape()[1]);
    float[] unit = new float[bytes.length];
    ByteImages.toUnit(bytes, 0, unit, 0, unit.length);
    float[] values = GOLDEN.get(expected).asFloat();
    for (int i = 0; i < unit.length; i++) {
      int c = i / (side * side);
      assertThat((unit[i] - mean[c]) / deviation[c]).isEqualTo(values[i]);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "Crop",
        "Res0",
        "Crop0",
        "Bicubic",
        "BicubicCrop224",
        "res256",
        "Res99999",
        "Res-1",
        "Crop288 ",
        "None"
      })
  void otherNamesAreRefused(String name) {
    assertThatThrownBy(() -> Preprocessing.parse(name))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("Res256Crop224");
  }

  @Test
  void namesSayWhatTheyDo() {
    assertThat(Preprocessing.NAMES)
        .allSatisfy(name -> assertThat(Preprocessing.parse(name).name()).isEqualTo(name));
    assertThat(Preprocessing.parse("Res256Crop224"))
        .hasToString("Res256Crop224 (shorter side to 256, bilinear, centre crop 224x224)");
    assertThat(Preprocessing.parse("Res224")).hasToString("Res224 (both sides to 224, bilinear)");
    assertThat(Preprocessing.parse("Crop288").description()).isEqualTo("centre crop 288x288");
    assertThat(Preprocessing.NONE).hasToString("none").isEqualTo(Preprocessing.parse("none"));
  }

  /** torchvision rounds half the difference to even, so 1 left over is cut at the end. */
  @ParameterizedTest
  @CsvSource({
    "5, 4, 0",
    "7, 4, 2",
    "9, 4, 2",
    "11, 4, 4",
    "6, 4, 1",
    "4, 4, 0",
    "3, 4, -0",
    "2, 4, -1",
    "1, 4, -1"
  })
  void cropsStartWhereTorchvisionStartsThem(int side, int crop, int start) {
    byte[] image = new byte[3 * side * side];
    for (int i = 0; i < image.length; i++) {
      image[i] = (byte) (1 + i);
    }
    byte[] result = Preprocessing.parse("Crop" + crop).apply(image, side, side);
    for (int c = 0; c < 3; c++) {
      for (int y = 0; y < crop; y++) {
        for (int x = 0; x < crop; x++) {
          int sy = y + start;
          int sx = x + start;
          boolean inside = sy >= 0 && sx >= 0 && sy < side && sx < side;
          assertThat(result[(c * crop + y) * crop + x])
              .isEqualTo(inside ? image[(c * side + sy) * side + sx] : 0);
        }
      }
    }
  }

  @Test
  void aConstantImageStaysConstantAndEqualSizesStayEqual() {
    Random random = new Random(4);
    for (int round = 0; round < 200; round++) {
      int height = 1 + random.nextInt(90);
      int width = 1 + random.nextInt(90);
      byte value = (byte) random.nextInt(256);
      byte[] image = new byte[3 * height * width];
      Arrays.fill(image, value);
      String cubic = random.nextBoolean() ? "Bicubic" : "";
      int size = 1 + random.nextInt(70);
      byte[] result = Preprocessing.parse(cubic + "Res" + size).apply(image, height, width);
      assertThat(result).hasSize(3 * size * size).containsOnly(value);
      random.nextBytes(image);
      int side = Math.min(height, width);
      byte[] square = Arrays.copyOf(image, 3 * side * side);
      assertThat(Preprocessing.parse(cubic + "Res" + side).apply(square, side, side))
          .isEqualTo(square);
    }
  }

  /** The longer side would be 8 million pixels; only the crop is computed. */
  @Test
  void aVeryLongImageNeedsLittleMemory() {
    byte[] image = new byte[3 * 32768];
    Arrays.fill(image, (byte) 77);
    Preprocessing preprocessing = Preprocessing.parse("Res256Crop224");
    assertThat(preprocessing.apply(image, 1, 32768)).hasSize(3 * 224 * 224).containsOnly(77);
    assertThat(preprocessing.apply(image, 32768, 1)).hasSize(3 * 224 * 224).containsOnly(77);
    assertThatThrownBy(() -> preprocessing.apply(image, 2, 32768))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void anySetOfBytesCanBePreprocessed(@TempDir java.nio.file.Path folder) {
    SourceOptions resized =
        SourceOptions.DEFAULT.withPreprocessing(Preprocessing.parse("BicubicRes48Crop40"));
    try (ImageSet plain = ImageSets.open("embedded:test");
        ImageSet set = ImageSets.open("embedded:test", resized)) {
      assertThat(set.preprocessing())
          .contains("28x28 to 32x32")
          .endsWith("then BicubicRes48Crop40 (shorter side to 48, bicubic, centre crop 40x40)");
      assertThat(new int[] {set.height(), set.width()}).containsOnly(40);
      assertThat(set.sha256()).isNotEqualTo(plain.sha256());
      float[] image = new float[set.imageLength()];
      set.read(7, image, 0);
      float[] source = new float[plain.imageLength()];
      plain.read(7, source, 0);
      byte[] bytes = new byte[source.length];
      ByteImages.exact(source, 0, bytes, 0, bytes.length, 7, plain);
      byte[] expected = resized.preprocessing().apply(bytes, 32, 32);
      for (int i = 0; i < image.length; i++) {
        assertThat(image[i]).isEqualTo((expected[i] & 0xff) / 255f);
      }
      assertThat(set.select(new int[] {7}).inMemory().isLazy()).isFalse();
    }
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("x", NpyArray.of(new float[] {0.5f, 0, 1}, 1, 3, 1, 1));
    arrays.put("y", NpyArray.of(new int[1], 1));
    Npz.write(folder.resolve("f.npz"), arrays);
    ImageSet floats = ImageSets.open("npz:" + folder.resolve("f.npz"), resized);
    assertThatThrownBy(() -> floats.read(0, new float[4800], 0))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("0.5");
  }
}
