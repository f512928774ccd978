package io.github.igdefense.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.InputException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The normalisation that travels with a checkpoint becomes part of its state. */
class InputNormalizationTest {
  private static final float[] MEAN = {0.5f, 0.25f, 0.125f};
  private static final float[] STD = {0.25f, 0.5f, 0.75f};

  private static StateDict state(Object... namesAndValues) {
    List<HostTensor> tensors = new ArrayList<>();
    tensors.add(HostTensor.of("conv1.weight", new float[2], 2));
    for (int i = 0; i < namesAndValues.length; i += 2) {
      float[] values = (float[]) namesAndValues[i + 1];
      tensors.add(HostTensor.of((String) namesAndValues[i], values, 1, values.length, 1, 1));
    }
    return new StateDict(tensors);
  }

  @ParameterizedTest
  @CsvSource({
    "mean, std",
    "mu, sigma",
    "normalize.mean, normalize.std",
    "normalizer.new_mean, normalizer.new_std",
    "normalization.mu, normalization.sigma",
    "norm.mean, norm.std"
  })
  void publishedNamesAreFound(String mean, String std) {
    InputNormalization found = state(mean, MEAN, std, STD).normalization().orElseThrow();
    assertThat(found.mean()).containsExactly(0.5, 0.25, 0.125);
    assertThat(found.std()).containsExactly(0.25, 0.5, 0.75);
    assertThat(InputNormalization.isName(mean)).isTrue();
  }

  @Test
  void otherNamesAreNot() {
    assertThat(state("norm.weight", MEAN, "bn1.running_mean", STD).normalization()).isEmpty();
  }

  @Test
  void sameValuesTwiceAreOneAndDifferentOnesAnError() {
    assertThat(
            state("mean", MEAN, "std", STD, "normalize.mean", MEAN, "normalize.std", STD)
                .normalization())
        .contains(
            new InputNormalization(
                new double[] {0.5, 0.25, 0.125}, new double[] {0.25, 0.5, 0.75}));
    assertThatThrownBy(
            () -> state("mean", MEAN, "std", STD, "mu", STD, "sigma", STD).normalization())
        .isInstanceOf(InputException.class)
        .hasMessageContaining("two different");
  }

  @ParameterizedTest
  @ValueSource(strings = {"mean", "normalize.std", "sigma"})
  void halfIsAnError(String name) {
    assertThatThrownBy(() -> state(name, MEAN).normalization())
        .isInstanceOf(InputException.class)
        .hasMessageContaining(name);
  }

  @Test
  void valuesThatCannotBeAreErrors() {
    for (float bad : new float[] {0, -1, Float.NaN, Float.POSITIVE_INFINITY}) {
      assertThatThrownBy(() -> state("mean", MEAN, "std", new float[] {1, bad, 1}).normalization())
          .isInstanceOf(InputException.class);
    }
    assertThatThrownBy(() -> state("mean", MEAN, "std", new float[2]).normalization())
        .isInstanceOf(InputException.class);
    assertThatThrownBy(() -> state("mean", new float[50], "std", new float[50]).normalization())
        .isInstanceOf(InputException.class)
        .hasMessageContaining("[1, 50, 1, 1]");
  }
}
