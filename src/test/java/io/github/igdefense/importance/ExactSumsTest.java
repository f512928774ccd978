package io.github.igdefense.importance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sums that do not depend on the order of their terms, against exact decimal arithmetic. */
class ExactSumsTest {

  private static double[] terms(long seed, int count) {
    Random random = new Random(seed);
    double[] terms = new double[count];
    for (int i = 0; i < count; i++) {
      // Differences of float32 logits, of all signs and of sizes from 2^-20 to 2^20.
      float value = (float) (random.nextGaussian() * Math.pow(2, random.nextInt(41) - 20));
      terms[i] = value - (double) (float) (value * random.nextDouble());
    }
    return terms;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void theSumIsExactThenRoundedOnce(long seed) {
    double[] terms = terms(seed, 2000);
    BigDecimal exact = BigDecimal.ZERO;
    ExactSums sums = new ExactSums(3);
    for (double term : terms) {
      exact = exact.add(new BigDecimal(term));
      sums.add(1, term);
    }
    assertThat(sums.get(1)).isEqualTo(exact.doubleValue());
    assertThat(sums.get(0)).isZero();
    assertThat(sums.get(2)).isZero();
  }

  @Test
  void orderAndGroupingDoNotMatter() {
    double[] terms = terms(9, 500);
    ExactSums forward = new ExactSums(1);
    Arrays.stream(terms).forEach(term -> forward.add(0, term));
    ExactSums first = new ExactSums(1);
    ExactSums second = new ExactSums(1);
    for (int i = terms.length - 1; i >= 0; i--) {
      (i % 3 == 0 ? first : second).add(0, terms[i]);
    }
    second.add(ExactSums.of(first.words()));
    assertThat(second.words()).isEqualTo(forward.words());
  }

  @ParameterizedTest
  @ValueSource(
      doubles = {
        0,
        -0.0,
        1,
        -1,
        0.1,
        -0.1,
        0x1p-72,
        -0x1p-72,
        0x1.fffffffffffffp29,
        -0x1.fffffffffffffp29,
        0x1.0000000000001p-19,
        0x1p-20
      })
  void oneTermComesBack(double term) {
    ExactSums sums = new ExactSums(1);
    sums.add(0, term);
    assertThat(sums.get(0)).isEqualTo(term + 0.0);
  }

  @Test
  void whatIsSmallerThanThePlacesIsRoundedToThem() {
    ExactSums sums = new ExactSums(1);
    sums.add(0, 0x1.8p-72); // between 1 and 2: to the even 2
    assertThat(sums.get(0)).isEqualTo(0x1p-71);
    sums.add(0, -0x1p-73); // a tie between 0 and 1: to the even 0
    sums.add(0, 0x1p-200);
    sums.add(0, Double.MIN_VALUE);
    assertThat(sums.get(0)).isEqualTo(0x1p-71);
  }

  @ParameterizedTest
  @ValueSource(
      doubles = {0x1p30, -0x1p31, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void whatDoesNotFitIsRefused(double term) {
    ExactSums sums = new ExactSums(1);
    assertThatThrownBy(() -> sums.add(0, term))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("2^30");
    assertThat(sums.get(0)).isZero();
  }
}
