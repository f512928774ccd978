package io.github.igdefense.evaluation;

import java.util.Arrays;

/** Shares of images, in total and per class. Stateless and thread-safe. */
public final class Accuracy {
  private Accuracy() {}

  /** Share of flags that are set, in [0,1]; NaN of none. */
  public static double of(boolean[] flags) {
    return (double) count(flags) / flags.length;
  }

  /** Number of flags that are set. */
  public static int count(boolean[] flags) {
    int count = 0;
    for (boolean flag : flags) {
      count += flag ? 1 : 0;
    }
    return count;
  }

  /**
   * Share of flags that are set, per class; NaN for classes without images.
   *
   * @param flags [N]
   * @param labels classes [N] in 0..classCount−1
   */
  public static double[] perClass(boolean[] flags, int[] labels, int classCount) {
    int[] set = new int[classCount];
    int[] all = new int[classCount];
    for (int i = 0; i < flags.length; i++) {
      all[labels[i]]++;
      set[labels[i]] += flags[i] ? 1 : 0;
    }
    double[] shares = new double[classCount];
    Arrays.setAll(shares, c -> all[c] == 0 ? Double.NaN : (double) set[c] / all[c]);
    return shares;
  }
}
