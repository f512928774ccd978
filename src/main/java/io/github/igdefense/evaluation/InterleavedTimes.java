package io.github.igdefense.evaluation;

import io.github.igdefense.data.InputException;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;

/**
 * Times of several pieces of work measured in turns, so that a machine that becomes slower does so
 * for all: every round runs each once, and the order rotates from round to round.
 *
 * <p>Immutable.
 */
public final class InterleavedTimes {
  private static final int LEAST_ROUNDS = 3;
  private static final int WARM_UP = 3;
  private static final double WARM_UP_SHARE = 0.3;

  private final double[][] seconds;

  private InterleavedTimes(double[][] seconds) {
    this.seconds = seconds;
  }

  /**
   * Measures. One unmeasured round comes first, and two more if they are short.
   *
   * @param works each runs in a native scope of its own
   * @param mostRounds at least 3
   * @param budgetSeconds no round begins after it, but for the first three
   */
  public static InterleavedTimes measure(
      List<Runnable> works, int mostRounds, double budgetSeconds) {
    if (mostRounds < LEAST_ROUNDS) {
      throw new InputException(
          "expected at least " + LEAST_ROUNDS + " repetitions of a measurement, got " + mostRounds);
    }
    double began = System.nanoTime() / 1e9;
    for (int i = 0; i < WARM_UP; i++) {
      works.forEach(InterleavedTimes::seconds);
      if (System.nanoTime() / 1e9 - began > WARM_UP_SHARE * budgetSeconds) {
        break;
      }
    }
    double start = System.nanoTime() / 1e9;
    double[][] times = new double[works.size()][mostRounds];
    int done = 0;
    while (done < mostRounds
        && (done < LEAST_ROUNDS || System.nanoTime() / 1e9 - start < budgetSeconds)) {
      for (int i = 0; i < works.size(); i++) {
        int which = (i + done) % works.size();
        times[which][done] = seconds(works.get(which));
      }
      done++;
    }
    for (int i = 0; i < times.length; i++) {
      times[i] = Arrays.copyOf(times[i], done);
    }
    return new InterleavedTimes(times);
  }

  private static double seconds(Runnable work) {
    try (PointerScope scope = new PointerScope()) {
      long start = System.nanoTime();
      work.run();
      return (System.nanoTime() - start) / 1e9;
    }
  }

  /** Rounds measured, at least 3. */
  public int rounds() {
    return seconds[0].length;
  }

  /** Median seconds of work {@code i}. */
  public double median(int i) {
    return Timing.median(seconds[i].clone());
  }

  /** Median over the rounds of (time of work {@code i} / time of work {@code reference}). */
  public double ratio(int i, int reference) {
    double[] ratios = new double[rounds()];
    Arrays.setAll(ratios, round -> seconds[i][round] / seconds[reference][round]);
    return Timing.median(ratios);
  }
}
