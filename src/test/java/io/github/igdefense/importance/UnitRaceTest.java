package io.github.igdefense.importance;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Early stopping: the promised probabilities, by repeated random trials on known populations. */
class UnitRaceTest {

  /** Values of one class, [unit][image]: skewed, with means that come close at the boundary. */
  private static double[][] population(Random random, int units, int images, String kind) {
    double[][] values = new double[units][images];
    for (int u = 0; u < units; u++) {
      double mean = Math.exp(-3.0 * u / units);
      for (int n = 0; n < images; n++) {
        values[u][n] =
            switch (kind) {
              case "uniform" -> mean * 2 * random.nextDouble();
              case "exponential" -> -mean * Math.log(1 - random.nextDouble());
              case "halfNormal" -> mean * Math.abs(random.nextGaussian());
              case "coin" -> random.nextDouble() < 0.3 ? mean : 0;
              default -> throw new IllegalArgumentException(kind);
            };
      }
    }
    return values;
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElseThrow();
  }

  private static int[] topOf(double[][] values, int k) {
    return IntStream.range(0, values.length)
        .boxed()
        .sorted((a, b) -> Double.compare(mean(values[b]), mean(values[a])))
        .limit(k)
        .mapToInt(i -> i)
        .sorted()
        .toArray();
  }

  private record Outcome(int[] top, UnitRace race) {}

  private static Outcome race(double[][] values, int k, double confidence, long seed) {
    int images = values[0].length;
    int[] order = IntStream.range(0, images).toArray();
    Random random = new Random(seed);
    for (int i = images - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int kept = order[i];
      order[i] = order[j];
      order[j] = kept;
    }
    UnitRace race = new UnitRace(values.length, new int[] {images}, k, confidence, 2);
    int from = 0;
    int to = 16;
    while (race.racing(0) && from < images) {
      for (int i = from; i < Math.min(to, images); i++) {
        for (int u = 0; u < values.length; u++) {
          if (race.racing(0, u)) {
            race.draw(0, u, values[u][order[i]]);
          }
        }
      }
      race.endRound();
      from = to;
      to = (int) Math.ceil(to * 1.3);
    }
    int[] top =
        IntStream.range(0, values.length)
            .boxed()
            .sorted((a, b) -> Double.compare(race.estimate(0, b), race.estimate(0, a)))
            .limit(k)
            .mapToInt(i -> i)
            .sorted()
            .toArray();
    return new Outcome(top, race);
  }

  @ParameterizedTest
  @ValueSource(strings = {"uniform", "exponential", "halfNormal", "coin"})
  void theSetsAreTheExactOnesAsOftenAsPromised(String kind) {
    int trials = 60;
    double confidence = 0.9;
    int wrong = 0;
    double work = 0;
    double[][] values = population(new Random(kind.hashCode()), 24, 600, kind);
    int[] expected = topOf(values, 5);
    for (int trial = 0; trial < trials; trial++) {
      Outcome outcome = race(values, 5, confidence, trial);
      wrong += Arrays.equals(outcome.top(), expected) ? 0 : 1;
      work += (double) outcome.race().evaluations() / (24 * 600) / trials;
    }
    // 6 wrong sets are allowed in the mean; a union bound leaves far fewer.
    assertThat(wrong).as("wrong sets of %d, work %.2f", trials, work).isLessThanOrEqualTo(6);
    assertThat(work).as("share of the work").isLessThan(0.9);
  }

  @ParameterizedTest
  @CsvSource({"0.05", "0.2"})
  void intervalsMissTheMeanAtAnyTimeNoMoreOftenThanAlpha(double alpha) {
    int trials = 200;
    int images = 150;
    int lowMissed = 0;
    int highMissed = 0;
    Random random = new Random(5);
    for (int trial = 0; trial < trials; trial++) {
      float[] drawn = new float[images];
      double total = 0;
      for (int i = 0; i < images; i++) {
        // A Bernoulli population is the hardest of its range.
        drawn[i] = random.nextDouble() < 0.1 ? 1 : 0;
        total += drawn[i];
      }
      float[] bounds = new float[images];
      Arrays.fill(bounds, 1);
      double mean = total / images;
      boolean low = false;
      boolean high = false;
      for (int n = 1; n < images; n += 10) {
        low |= BettingInterval.lower(drawn, n, images, alpha, 0) > mean + 1e-9;
        high |=
            BettingInterval.upper(drawn, bounds, n, images, 1, alpha, Double.POSITIVE_INFINITY)
                < mean - 1e-9;
      }
      lowMissed += low ? 1 : 0;
      highMissed += high ? 1 : 0;
    }
    double allowed = trials * alpha + 3 * Math.sqrt(trials * alpha * (1 - alpha));
    assertThat((double) lowMissed).isLessThanOrEqualTo(allowed);
    assertThat((double) highMissed).isLessThanOrEqualTo(allowed);
  }

  @Test
  void intervalsCloseInOnTheMean() {
    int images = 1000;
    float[] drawn = new float[images];
    float[] bounds = new float[images];
    Random random = new Random(3);
    for (int i = 0; i < images; i++) {
      drawn[i] = random.nextFloat();
      bounds[i] = 1;
    }
    double width = Double.POSITIVE_INFINITY;
    for (int n : new int[] {50, 200, 600, 990}) {
      double now =
          BettingInterval.upper(drawn, bounds, n, images, 1, 0.01, Double.POSITIVE_INFINITY)
              - BettingInterval.lower(drawn, n, images, 0.01, 0);
      assertThat(now).isPositive().isLessThan(width);
      width = now;
    }
    assertThat(width).isLessThan(0.02);
  }

  @Test
  void equalUnitsNeedEveryImageAndTheIndexDecides() {
    double[][] values = new double[3][100];
    Random random = new Random(1);
    for (int n = 0; n < 100; n++) {
      values[0][n] = random.nextDouble();
      values[1][n] = values[0][n];
      values[2][n] = 0.001 * random.nextDouble();
    }
    Outcome outcome = race(values, 1, 0.99, 4);
    assertThat(outcome.race().tied(0)).isTrue();
    assertThat(outcome.race().count(0, 0)).isEqualTo(100);
    assertThat(outcome.race().count(0, 1)).isEqualTo(100);
    assertThat(outcome.race().count(0, 2)).isLessThan(100);
    assertThat(outcome.race().exhausted(0)).isEqualTo(2);
    assertThat(outcome.top()).containsExactly(0);
  }

  @Test
  void aBrokenAssumptionIsCounted() {
    double[][] values = new double[4][400];
    for (int u = 0; u < 4; u++) {
      Arrays.fill(values[u], 1 + u * 1e-3);
      values[u][399] = 50;
    }
    long most =
        IntStream.range(0, 20)
            .mapToLong(seed -> race(values, 2, 0.99, seed).race().violations())
            .max()
            .orElseThrow();
    assertThat(most).isPositive();
  }

  @Test
  void allUnitsAreInWhereAllAreWanted() {
    UnitRace race = new UnitRace(5, new int[] {10, 10}, 5, 0.99, 2);
    assertThat(race.racing(0)).isFalse();
    assertThat(race.racing(1)).isFalse();
  }
}
