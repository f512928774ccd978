package io.github.igdefense.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** CIFAR-10-C and CIFAR-100-C in small. */
class CorruptedImagesTest {
  private static final int N = 4;
  @TempDir Path folder;

  private byte[] write(String name) {
    byte[] pixels = new byte[5 * N * 3072];
    new Random(name.hashCode()).nextBytes(pixels);
    Npy.write(folder.resolve(name + ".npy"), NpyArray.of(pixels, 5 * N, 32, 32, 3));
    return pixels;
  }

  private void labels(int... labels) {
    Npy.write(folder.resolve("labels.npy"), NpyArray.of(labels, labels.length));
  }

  @Test
  void aSeverityIsABlockAndChannelsComeFirst() {
    byte[] pixels = write("fog");
    write("spatter");
    labels(9, 0, 1, 2);
    assertThat(CorruptedImages.available(folder)).containsExactly("fog", "spatter");
    assertThat(CorruptedImages.NAMES).hasSize(15).doesNotHaveDuplicates();
    float[] image = new float[3072];
    for (int severity = 1; severity <= 5; severity++) {
      ImageSet set = CorruptedImages.open(folder, 10, "fog", severity);
      ImageSet bySpec = ImageSets.open("cifar10c:" + folder + ":fog:" + severity);
      assertThat(ImageDifferences.between(set, bySpec).different()).isZero();
      assertThat(set.name()).isEqualTo(bySpec.name());
      assertThat(set.labels()).containsExactly(9, 0, 1, 2);
      assertThat(set.classNames()).startsWith("airplane");
      set.read(2, image, 0);
      for (int i = 0; i < 3072; i++) {
        int at = ((severity - 1) * N + 2) * 3072 + i % 1024 * 3 + i / 1024;
        assertThat(image[i]).isEqualTo((pixels[at] & 0xff) / 255f);
      }
      assertThat(set.sha256()).hasSize(64).isEqualTo(bySpec.sha256());
    }
    assertThat(CorruptedImages.open(folder, 10, "fog", 1).sha256())
        .isNotEqualTo(CorruptedImages.open(folder, 10, "fog", 2).sha256());
  }

  @Test
  void labelsMayBeRepeatedForEverySeverity() {
    write("snow");
    int[] repeated = new int[5 * N];
    for (int i = 0; i < repeated.length; i++) {
      repeated[i] = 90 + i % N;
    }
    labels(repeated);
    ImageSet set = ImageSets.open("cifar100c:" + folder + ":snow:3");
    assertThat(set.labels()).containsExactly(90, 91, 92, 93);
    assertThat(set.classCount()).isEqualTo(100);
    refused("cifar10c:" + folder + ":snow:3", "below 10", "90");
  }

  private static void refused(String spec, String... parts) {
    assertThatThrownBy(() -> ImageSets.open(spec))
        .isInstanceOf(InputException.class)
        .message()
        .contains(parts);
  }

  @Test
  void whatDoesNotFitIsRefused() throws Exception {
    write("fog");
    refused("cifar10c:" + folder + ":fog:1", "labels.npy");
    labels(1, 2, 3);
    refused("cifar10c:" + folder + ":fog:1", "4 or 20", "int32[3]");
    labels(1, 2, 3, 4);
    refused("cifar10c:" + folder + ":fog:6", "1 to 5");
    refused("cifar10c:" + folder + ":fog", "CORRUPTION:SEVERITY");
    refused("cifar10c:" + folder + ":rain:1", "gaussian_noise", "'rain'");
    refused("cifar10c:" + folder + ":../fog:1", "'../fog'");
    refused("cifar10c:" + folder + ":frost:1", "frost.npy");
    Npy.write(folder.resolve("frost.npy"), NpyArray.of(new byte[6 * 3072], 6, 32, 32, 3));
    refused("cifar10c:" + folder + ":frost:1", "uint8[6, 32, 32, 3]");
    Npy.write(folder.resolve("frost.npy"), NpyArray.of(new byte[5 * 3072], 5, 3, 32, 32));
    refused("cifar10c:" + folder + ":frost:1", "uint8[5, 3, 32, 32]");
    byte[] whole = Files.readAllBytes(folder.resolve("fog.npy"));
    Files.write(folder.resolve("fog.npy"), java.util.Arrays.copyOf(whole, whole.length - 1));
    refused("cifar10c:" + folder + ":fog:1", "cut off");
    assertThatThrownBy(() -> CorruptedImages.open(folder, 10, "fog", 0))
        .isInstanceOf(InputException.class);
  }
}
