package io.github.igdefense.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class WorstCaseTest {
  @Test
  void anImageCountsOnlyIfItSurvivesEverything() {
    Map<String, boolean[]> columns = new LinkedHashMap<>();
    columns.put("a", new boolean[] {true, true, false, true, true});
    columns.put("b", new boolean[] {true, false, true, true, true});
    WorstCase worst = WorstCase.of(new boolean[] {true, true, true, true, false}, columns);
    assertThat(worst.robust()).containsExactly(true, false, false, true, false);
    assertThat(worst.accuracy()).isEqualTo(0.4);
    assertThat(worst.accuracies()).containsEntry("a", 0.8).containsEntry("b", 0.8);
    assertThat(worst.names()).containsExactly("a", "b");
  }

  @Test
  void itNeverExceedsAColumn() {
    Random random = new Random(1);
    for (int trial = 0; trial < 200; trial++) {
      int n = 1 + random.nextInt(30);
      Map<String, boolean[]> columns = new LinkedHashMap<>();
      for (int c = 0; c < random.nextInt(5); c++) {
        columns.put("c" + c, flags(random, n));
      }
      WorstCase worst = WorstCase.of(flags(random, n), columns);
      assertThat(worst.accuracy()).isLessThanOrEqualTo(Accuracy.of(worst.cleanCorrect()));
      for (double column : worst.accuracies().values()) {
        assertThat(worst.accuracy()).isLessThanOrEqualTo(column);
      }
      assertThat(worst.accuracy()).isBetween(worst.interval().low(), worst.interval().high());
    }
  }

  private static boolean[] flags(Random random, int n) {
    boolean[] flags = new boolean[n];
    for (int i = 0; i < n; i++) {
      flags[i] = random.nextInt(4) > 0;
    }
    return flags;
  }

  @Test
  void columnsOfAnotherLengthAreRefused() {
    assertThatThrownBy(() -> WorstCase.of(new boolean[3], Map.of("a", new boolean[2])))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("3 images in column a, got 2");
  }

  @Test
  void theIntervalIsWilsons() {
    // Values of the closed formula, computed independently to ten digits.
    assertInterval(5, 10, 0.2365930905, 0.7634069095);
    assertInterval(0, 10, 0, 0.2775327999);
    assertInterval(10, 10, 0.7224672001, 1);
    assertInterval(365, 1000, 0.3357304774, 0.3953027474);
  }

  private static void assertInterval(int successes, int count, double low, double high) {
    Interval interval = Interval.wilson(successes, count);
    assertThat(interval.low()).isCloseTo(low, within(1e-8));
    assertThat(interval.high()).isCloseTo(high, within(1e-8));
  }

  @Test
  void accuraciesPerClassLeaveEmptyClassesOpen() {
    double[] shares = Accuracy.perClass(new boolean[] {true, false, true}, new int[] {0, 0, 2}, 3);
    assertThat(shares).containsExactly(0.5, Double.NaN, 1);
  }
}
