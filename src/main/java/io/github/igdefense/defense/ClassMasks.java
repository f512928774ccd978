package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import io.github.igdefense.importance.Ranking;
import java.util.SplittableRandom;

/**
 * Binary masks M [K,U]: M[c,u] = 1 for the k most important units of class c (paper Sec. 4).
 * Immutable.
 *
 * @param layer name of the masked layer
 * @param classCount K
 * @param units U
 * @param keep k, units kept per class
 * @param origin for reports, such as {@code loir} or {@code random}
 * @param bits row-major [K,U], 0 or 1; not copied, not to be changed
 */
public record ClassMasks(
    String layer, int classCount, int units, int keep, String origin, byte[] bits) {

  /**
   * The k most important units of every class; ties go to the lower unit index.
   *
   * @throws InputException if k is not in 1..U
   */
  public static ClassMasks of(Ranking ranking, int keep) {
    byte[] bits = new byte[ranking.classCount() * ranking.units()];
    for (int c = 0; c < ranking.classCount(); c++) {
      for (int unit : ranking.topK(c, keep)) {
        bits[c * ranking.units() + unit] = 1;
      }
    }
    String method = ranking.provenance().method();
    return new ClassMasks(
        ranking.layer(),
        ranking.classCount(),
        ranking.units(),
        keep,
        method == null ? "ranking" : method,
        bits);
  }

  /** k random units for every class: the baseline of Table 6. */
  public static ClassMasks random(String layer, int classCount, int units, int keep, long seed) {
    if (keep < 1 || keep > units) {
      throw new InputException(
          "expected to keep between 1 and " + units + " units of " + layer + ", got " + keep);
    }
    SplittableRandom random = new SplittableRandom(seed);
    byte[] bits = new byte[classCount * units];
    for (int c = 0; c < classCount; c++) {
      int[] order = new int[units];
      for (int i = 0; i < units; i++) {
        int j = random.nextInt(i + 1);
        order[i] = order[j];
        order[j] = i;
      }
      for (int i = 0; i < keep; i++) {
        bits[c * units + order[i]] = 1;
      }
    }
    return new ClassMasks(layer, classCount, units, keep, "random", bits);
  }

  /** All units kept: two passes without a mask. */
  public static ClassMasks full(String layer, int classCount, int units) {
    byte[] bits = new byte[classCount * units];
    java.util.Arrays.fill(bits, (byte) 1);
    return new ClassMasks(layer, classCount, units, units, "none", bits);
  }

  /** Whether unit {@code unit} is kept for class {@code classIndex}. */
  public boolean kept(int classIndex, int unit) {
    return bits[classIndex * units + unit] != 0;
  }
}
