package io.github.igdefense.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Class-balanced subsets. */
class SubsetTest {
  @TempDir Path folder;

  private ImageSet folders() throws IOException {
    for (int c = 0; c < 3; c++) {
      for (int i = 0; i < 5 + c; i++) {
        Path file = folder.resolve("all/c" + c + "/i" + i + ".png");
        Files.createDirectories(file.getParent());
        FolderImagesTest.png(
            file, FolderImagesTest.color(BufferedImage.TYPE_INT_RGB, 4, 4, c * 10 + i));
      }
    }
    return ImageSets.open("folder:" + folder.resolve("all"));
  }

  @Test
  void everyClassHasTheSameNumberAndTheSeedDecides() {
    ImageSet set = ImageSets.open("embedded:train");
    int[] chosen = Subset.choose(set, 128, 5);
    assertThat(chosen).hasSize(1280).isSorted().doesNotHaveDuplicates();
    int[] counts = new int[10];
    for (int index : chosen) {
      counts[set.label(index)]++;
    }
    assertThat(counts).containsOnly(128);
    assertThat(Subset.choose(set, 128, 5)).isEqualTo(chosen);
    assertThat(Subset.choose(set, 128, 6)).isNotEqualTo(chosen);
    // Fixed for good, the same on every machine and in every version; from another implementation.
    assertThat(Arrays.copyOf(Subset.choose(set, 2, 0), 4)).containsExactly(378, 776, 1512, 1600);
    // Spread over the whole class, not its beginning.
    assertThat(Arrays.stream(chosen).filter(i -> i >= 3000).count()).isBetween(500L, 780L);
    assertThat(Subset.choose(set, 600, 1)).hasSize(6000);
  }

  @Test
  void tooFewImagesAreNamed() throws IOException {
    ImageSet set = folders();
    assertThatThrownBy(() -> Subset.choose(set, 7, 0))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("7 images of every class")
        .hasMessageContaining("2 of 3 classes have fewer: c0 has 5, c1 has 6");
    assertThatThrownBy(() -> Subset.choose(set, 0, 0)).isInstanceOf(InputException.class);
  }

  @Test
  void linksAndListsGiveTheChosenImages() throws IOException {
    ImageSet set = folders();
    int[] chosen = Subset.choose(set, 3, 9);
    ImageSet expected = set.select(chosen);
    Path links = folder.resolve("new/links");
    Subset.writeLinks(set, chosen, links);
    ImageSet linked = ImageSets.open("folder:" + links);
    assertThat(ImageDifferences.between(linked, expected).different()).isZero();
    assertThat(linked.classNames()).isEqualTo(set.classNames());
    assertThat(Files.isSymbolicLink(links.resolve("c0").resolve(first(links.resolve("c0")))))
        .isTrue();
    Path list = folder.resolve("lists/chosen.txt");
    Subset.writeList(ClassNames.attach(set, java.util.List.of("x", "y", "z")), chosen, list);
    ImageSet listed = ImageSets.open("folder:" + folder.resolve("all") + ":list=" + list);
    assertThat(ImageDifferences.between(listed, expected).different()).isZero();
    assertThat(Files.readString(list)).startsWith("c0/i").endsWith(" 2\n");
    ImageArrays.write(folder.resolve("chosen.npz"), expected);
    assertThat(
            ImageDifferences.between(
                    ImageSets.open("npz:" + folder.resolve("chosen.npz")), expected)
                .different())
        .isZero();
  }

  private static Path first(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.findFirst().orElseThrow().getFileName();
    }
  }

  @Test
  void nothingIsHalfWrittenOrOverwritten() throws IOException {
    ImageSet set = folders();
    int[] chosen = Subset.choose(set, 1, 0);
    Path taken = Files.createDirectories(folder.resolve("taken"));
    Subset.writeLinks(set, chosen, taken); // empty: fine
    assertThatThrownBy(() -> Subset.writeLinks(set, chosen, taken))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("empty");
    Path file = Files.writeString(folder.resolve("file"), "x");
    assertThatThrownBy(() -> Subset.writeLinks(set, chosen, file))
        .isInstanceOf(InputException.class);
    assertThatThrownBy(() -> Subset.writeLinks(set, chosen, file.resolve("below")))
        .isInstanceOf(UncheckedIOException.class);
    assertThatThrownBy(
            () -> Subset.writeLinks(ImageSets.open("embedded"), chosen, folder.resolve("n")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(".npz");
    try (Stream<Path> entries = Files.list(folder)) {
      assertThat(entries.map(p -> p.getFileName().toString()))
          .containsExactlyInAnyOrder("all", "taken", "file");
    }
  }
}
