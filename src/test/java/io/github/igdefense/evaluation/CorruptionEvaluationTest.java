package io.github.igdefense.evaluation;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.CorruptedImages;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CorruptionEvaluationTest {
  @TempDir Path folder;

  /** A benchmark folder of the golden images: severity s darkens by s times a factor. */
  private void write(int count) {
    try (ImageSet images = ImageSets.open("npz:" + golden("images32.npz"))) {
      float[] x = new float[images.imageLength()];
      byte[] labels = new byte[5 * count];
      for (int c = 0; c < CorruptedImages.NAMES.size(); c++) {
        byte[] all = new byte[5 * count * x.length];
        for (int s = 0; s < 5; s++) {
          for (int i = 0; i < count; i++) {
            images.read(i, x, 0);
            labels[s * count + i] = (byte) images.label(i);
            for (int p = 0; p < 1024; p++) {
              for (int ch = 0; ch < 3; ch++) {
                double dark = Math.max(0, 1 - 0.015 * (s + 1) * c);
                all[((s * count + i) * 1024 + p) * 3 + ch] =
                    (byte) Math.round(255 * x[ch * 1024 + p] * dark);
              }
            }
          }
        }
        Npy.write(
            folder.resolve(CorruptedImages.NAMES.get(c) + ".npy"),
            NpyArray.of(all, 5L * count, 32, 32, 3));
      }
      Npy.write(folder.resolve("labels.npy"), NpyArray.of(labels, 5L * count));
    }
  }

  @Test
  void meansAreOverCorruptionsAndSeverities() {
    write(16);
    try (StagedNetwork network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32)) {
      CorruptionEvaluation all =
          CorruptionEvaluation.of(
              network, folder, 0, 8, RepeatedEvaluation.DEFAULT, EvaluationListener.NONE);
      assertThat(all.accuracies().keySet()).containsExactlyElementsOf(CorruptedImages.NAMES);
      // The first "corruption" changes nothing.
      assertThat(all.accuracies().get("gaussian_noise")).containsOnly(13 / 16.0).hasSize(5);
      assertThat(all.accuracy("jpeg_compression")).isLessThan(13 / 16.0);
      double sum = 0;
      for (List<Double> row : all.accuracies().values()) {
        for (double accuracy : row) {
          sum += accuracy;
        }
      }
      assertThat(all.meanAccuracy()).isCloseTo(sum / 75, within(1e-12));
      assertThat(all.meanError()).isCloseTo(1 - sum / 75, within(1e-12));
      assertThat(all.relativeTo(all)).isCloseTo(1, within(1e-12));
      CorruptionEvaluation few =
          CorruptionEvaluation.of(
              network, folder, 5, 8, RepeatedEvaluation.DEFAULT, EvaluationListener.NONE);
      assertThat(few.images()).isEqualTo(5);
      assertThatThrownBy(
              () ->
                  CorruptionEvaluation.of(
                      network,
                      folder.resolve("none"),
                      0,
                      8,
                      RepeatedEvaluation.DEFAULT,
                      EvaluationListener.NONE))
          .isInstanceOf(InputException.class);
    }
  }

  @Test
  void theMeanCorruptionErrorIsRelativeToABaseline() {
    CorruptionEvaluation base =
        new CorruptionEvaluation(
            "base", Map.of("fog", List.of(.8, .6), "snow", List.of(.5, .5)), 10);
    CorruptionEvaluation better =
        new CorruptionEvaluation(
            "better", Map.of("fog", List.of(.9, .8), "snow", List.of(.5, .5)), 10);
    // fog: (.1 + .2) / (.2 + .4) = 1/2; snow: 1.
    assertThat(better.relativeTo(base)).isCloseTo(.75, within(1e-12));
    CorruptionEvaluation perfect =
        new CorruptionEvaluation("perfect", Map.of("fog", List.of(1., 1.)), 10);
    assertThatThrownBy(() -> perfect.relativeTo(perfect))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("got 0");
    assertThatThrownBy(() -> base.relativeTo(perfect))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("baseline");
  }
}
