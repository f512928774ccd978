package io.github.igdefense.importance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RankingFilesTest {
  @TempDir Path root;
  private Ranking ranking;
  private Path single;
  private Path units;

  @BeforeEach
  void write() {
    double[] values = new double[12 * 3];
    for (int i = 0; i < values.length; i++) {
      values[i] = Math.sin(i + 1) + 1.0 / 3;
    }
    ranking =
        new Ranking(
            "layer4",
            12,
            3,
            values,
            RankingProvenance.of("loir", "layer4")
                .model("rn18", "ab")
                .data("data", "cd", 9, new long[] {3, 3, 3})
                .sums("class-mean", false)
                .computed("float64", "1")
                .build());
    single = RankingFiles.write(root, "model", ranking);
    units = root.resolve("model/layer4");
  }

  @Test
  void everyFormReadsBackToTheLastBit() throws IOException {
    assertThat(single).isEqualTo(root.resolve("model/layer4.npz"));
    for (Path path : new Path[] {single, units, root.resolve("model"), root}) {
      Ranking read = RankingFiles.read(path, "layer4", 12, 3);
      assertThat(read.toArray()).as(path.toString()).isEqualTo(ranking.toArray());
    }
    assertThat(RankingFiles.read(root, "layer4", 12, 3).provenance())
        .usingRecursiveComparison()
        .isEqualTo(ranking.provenance());
    Files.delete(single);
    assertThat(RankingFiles.read(root, "layer4", 12, 3).toArray()).isEqualTo(ranking.toArray());
  }

  @Test
  void unitFilesAreReadInNumericOrder() {
    // Alphabetically unit10 comes before unit2.
    double[] ten = Npy.read(units.resolve("unit10.npy")).asDouble();
    assertThat(ten)
        .containsExactly(
            ranking.importance(10, 0), ranking.importance(10, 1), ranking.importance(10, 2));
    assertThat(RankingFiles.read(units, "layer4", 12, 3).importance(10, 1)).isEqualTo(ten[1]);
  }

  @Test
  void missingUnitsAreListed() throws IOException {
    Files.delete(units.resolve("unit5.npy"));
    Files.delete(units.resolve("unit11.npy"));
    assertThatThrownBy(() -> RankingFiles.read(units, "layer4", 12, 3))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("2 units missing (5, 11)");
  }

  @Test
  void unitsOfAWiderLayerAreRefused() {
    assertThatThrownBy(() -> RankingFiles.read(units, "layer4", 10, 3))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("2 units too many (10, 11)");
  }

  @Test
  void wrongLengthsAndValuesAreNamed() {
    Npy.write(units.resolve("unit4.npy"), NpyArray.of(new double[] {1, 2}, 2));
    assertThatThrownBy(() -> RankingFiles.read(units, "layer4", 12, 3))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("unit4.npy has 2 values, not 3");
    Npy.write(units.resolve("unit4.npy"), NpyArray.of(new double[] {1, Double.NaN, 2}, 3));
    assertThatThrownBy(() -> RankingFiles.read(units, "layer4", 12, 3))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("unit 4, class 1");
  }

  @Test
  void anotherLayerOrShapeOrNothingIsRefused() {
    assertThatThrownBy(() -> RankingFiles.read(single, "layer3", 12, 3))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("layer4");
    assertThatThrownBy(() -> RankingFiles.read(single, "layer4", 12, 4))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("[12, 3]");
    assertThatThrownBy(() -> RankingFiles.read(root, "layer2", 12, 3))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("layer2");
    assertThatThrownBy(() -> RankingFiles.read(root.resolve("none"), "layer4", 12, 3))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("found nothing");
  }

  @Test
  void aNarrowerRankingReplacesAWiderOne() {
    Ranking narrow =
        new Ranking("layer4", 2, 2, new double[] {1, 2, 3, 4}, RankingProvenance.unknown("layer4"));
    RankingFiles.write(root, "model", narrow);
    assertThat(RankingFiles.read(units, "layer4", 2, 2).toArray()).containsExactly(1, 2, 3, 4);
  }

  @Test
  void tiesGoToTheLowerUnit() {
    Ranking tied =
        new Ranking(
            "l", 4, 2, new double[] {1, 0, 2, 0, 2, 0, 1, 0}, RankingProvenance.unknown("l"));
    assertThat(tied.order(0)).containsExactly(1, 2, 0, 3);
    assertThat(tied.topK(1, 3)).containsExactly(0, 1, 2);
    assertThatThrownBy(() -> tied.topK(0, 5))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("between 1 and 4");
  }

  @Test
  void aRankingThatIsTheSameForAllClassesIsDegenerate() {
    Ranking same =
        new Ranking("l", 3, 2, new double[] {3, 9, 2, 1, 1, 5}, RankingProvenance.unknown("l"));
    assertThat(same.degenerate(1)).isTrue();
    assertThat(same.degenerate(2)).isFalse();
    assertThat(ranking.degenerate(4)).isFalse();
  }
}
