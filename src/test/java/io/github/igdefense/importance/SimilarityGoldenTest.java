package io.github.igdefense.importance;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every similarity against the reference's values. */
class SimilarityGoldenTest {
  private static final Npz GOLDEN = Npz.open(golden("similarity.npz"));
  private static final int UNITS = 64;
  private static final int CONCEPTS = 10;

  private static Tensor f64(String name) {
    NpyArray array = GOLDEN.get(name);
    return Tensors.of(array.asDouble(), array.shape());
  }

  private static Tensor f32(String name) {
    NpyArray array = GOLDEN.get(name);
    return Tensors.of(array.asFloat(), array.shape());
  }

  private static Tensor labels() {
    return Tensors.of(GOLDEN.get("gt_labels").asLong(), 200);
  }

  static Stream<Arguments> similarities() {
    return Stream.of(
        Arguments.of("soft_wpmi", SoftWpmi.DEFAULT),
        Arguments.of("soft_wpmi_alt", new SoftWpmi(50, 2, 0.6, 0.95, 0.5, 1e-7, false)),
        Arguments.of("wpmi", Wpmi.DEFAULT),
        Arguments.of("cos_similarity", Similarities.parse("cos_similarity")),
        Arguments.of("cos_similarity_cubed", Similarities.parse("cos_similarity_cubed")),
        Arguments.of("cos_similarity_gt", Similarities.parse("cos_similarity_gt")),
        Arguments.of("cos_similarity_cubed_gt", Similarities.parse("cos_similarity_cubed_gt")),
        Arguments.of("majority_vote_gt", MajorityVote.DEFAULT),
        Arguments.of("soft_wpmi_gt_all", SoftWpmi.BY_LABEL),
        Arguments.of("soft_wpmi_gt_top", SoftWpmi.BY_LABEL.withTopK(100)),
        Arguments.of("rank_reorder", RankReorder.DEFAULT),
        Arguments.of("rank_reorder_p2_frac4", new RankReorder(2, 0.04, 1, 0)));
  }

  @ParameterizedTest
  @MethodSource("similarities")
  void equalsTheReferenceInFloat64(String name, Similarity similarity) {
    try (PointerScope scope = new PointerScope()) {
      Tensor scores = similarity.score(f64("clip_feats"), f64("target_feats"), labels());
      assertThat(Tensors.shape(scores)).containsExactly(UNITS, CONCEPTS);
      double[] expected = GOLDEN.get(name).asDouble();
      assertClose(Tensors.toDoubles(scores), expected, 1e-9);
      assertSameTopUnits(Tensors.toDoubles(scores), expected, 12);
    }
  }

  @ParameterizedTest
  @MethodSource("similarities")
  void float32IsWithinItsTolerance(String name, Similarity similarity) {
    try (PointerScope scope = new PointerScope()) {
      double[] actual =
          Tensors.toDoubles(similarity.score(f32("clip_feats"), f32("target_feats"), labels()));
      assertClose(actual, GOLDEN.get(name).asDouble(), 2e-4);
    }
  }

  @Test
  void fromFeaturesToScores() {
    try (PointerScope scope = new PointerScope()) {
      Tensor wide = Cosines.of(f64("e2e_image_features"), f64("e2e_text_features"));
      assertClose(Tensors.toDoubles(wide), GOLDEN.get("e2e_clip_feats_f64").asDouble(), 1e-12);
      assertClose(
          Tensors.toDoubles(SoftWpmi.DEFAULT.score(wide, f64("target_feats"), null)),
          GOLDEN.get("e2e_soft_wpmi_f64").asDouble(),
          1e-9);
      Tensor narrow = Cosines.of(f32("e2e_image_features"), f32("e2e_text_features"));
      assertClose(Tensors.toDoubles(narrow), GOLDEN.get("e2e_clip_feats_f32").asDouble(), 1e-6);
      assertClose(
          Tensors.toDoubles(SoftWpmi.DEFAULT.score(narrow, f32("target_feats"), null)),
          GOLDEN.get("e2e_soft_wpmi_f32").asDouble(),
          2e-4);
    }
  }

  @Test
  void permutationsAreTheReferences() {
    try (Rng rng = new Rng(RankReorder.DEFAULT.seed())) {
      long[] expected = GOLDEN.get("rank_reorder_perms").asLong();
      for (int i = 0; i < expected.length / 10; i++) {
        long[] one = Arrays.stream(rng.permutation(10)).asLongStream().toArray();
        assertThat(one).isEqualTo(Arrays.copyOfRange(expected, i * 10, i * 10 + 10));
      }
    }
  }

  @Test
  void moreImagesThanThereAreAreRefused() {
    try (PointerScope scope = new PointerScope()) {
      Tensor p = f64("clip_feats");
      Tensor q = f64("target_feats");
      for (Similarity similarity :
          new Similarity[] {SoftWpmi.DEFAULT, Wpmi.DEFAULT, MajorityVote.DEFAULT}) {
        assertThatThrownBy(() -> similarity.withTopK(201).score(p, q, labels()))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("between 1 and the 200 probe images, got 201");
      }
    }
  }

  @Test
  void unknownNamesAreRefusedWithTheList() {
    assertThatThrownBy(() -> Similarities.parse("softwpmi"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("soft_wpmi, wpmi, rank_reorder")
        .hasMessageContaining("'softwpmi'");
  }

  private static void assertClose(double[] actual, double[] expected, double tolerance) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).as("entry %d", i).isCloseTo(expected[i], within(tolerance));
    }
  }

  private static void assertSameTopUnits(double[] actual, double[] expected, int k) {
    Ranking one = new Ranking("layer", UNITS, CONCEPTS, actual, RankingProvenance.unknown("layer"));
    Ranking two =
        new Ranking("layer", UNITS, CONCEPTS, expected, RankingProvenance.unknown("layer"));
    for (int c = 0; c < CONCEPTS; c++) {
      assertThat(one.topK(c, k)).as("class %d", c).containsExactlyInAnyOrder(two.topK(c, k));
    }
  }
}
