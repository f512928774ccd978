package io.github.igdefense.evaluation;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import com.fasterxml.jackson.annotation.JsonValue;
import io.github.igdefense.data.InputException;
import io.github.igdefense.importance.Ranking;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * How the activations of important and unimportant units change under an attack (paper Sec. 3, Fig.
 * 2 and Table 7). Pure arithmetic in float64. Immutable and thread-safe.
 *
 * <p>For an image with pooled activations a (clean) and b (attacked), the relative change of a
 * group G of units is (mean of b over G − mean of a over G) / mean of a over G, so single units
 * that are silent do no harm. A group that is empty or whose clean mean is 0 has no relative
 * change: the image is left out of that group's mean and counted as skipped (the published code
 * divides by zero there).
 */
public final class ActivationChanges {
  /** Groups of units, seen from one image. */
  public enum Group {
    /** The k most important units of the true class. */
    TRUE_CLASS,
    /** Those of the class predicted after the attack; some may be among the former. */
    POST_ATTACK_CLASS,
    /** Important to some class, but to neither of those two. */
    REMAINING,
    /** Not among the k most important units of any class. */
    UNIMPORTANT;

    /** The lower-case name, as in JSON. */
    @JsonValue
    public String json() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * The change of one group, averaged over images.
   *
   * @param group which units
   * @param images images averaged
   * @param skipped images without a relative change in this group
   * @param percent mean relative change in per cent; null if no image has one
   * @param low lower end of its 95 % interval (percentile bootstrap over images); null below two
   *     images
   * @param high upper end, likewise
   */
  @JsonPropertyOrder({"group", "images", "skipped", "percent", "low", "high"})
  public record Change(
      @JsonProperty("group") Group group,
      @JsonProperty("images") int images,
      @JsonProperty("skipped") int skipped,
      @JsonProperty("percent") Double percent,
      @JsonProperty("low") Double low,
      @JsonProperty("high") Double high) {}

  /** Resamples of the bootstrap. */
  public static final int RESAMPLES = 10_000;

  private final int units;
  private final boolean[][] important;
  private final boolean[] anyClass;

  private ActivationChanges(int units, boolean[][] important, boolean[] anyClass) {
    this.units = units;
    this.important = important;
    this.anyClass = anyClass;
  }

  /**
   * Groups from the k most important units of every class.
   *
   * @throws InputException if k is not in 1..U
   */
  public static ActivationChanges of(Ranking ranking, int topK) {
    int[][] top = new int[ranking.classCount()][];
    Arrays.setAll(top, c -> ranking.topK(c, topK));
    return of(ranking.units(), top);
  }

  /**
   * Groups from lists of units.
   *
   * @param top important units of every class [K][], in 0..units−1
   */
  public static ActivationChanges of(int units, int[][] top) {
    boolean[][] important = new boolean[top.length][units];
    boolean[] anyClass = new boolean[units];
    for (int c = 0; c < top.length; c++) {
      for (int unit : top[c]) {
        important[c][unit] = true;
        anyClass[unit] = true;
      }
    }
    return new ActivationChanges(units, important, anyClass);
  }

  /** Whether a unit is in a group. */
  private boolean contains(Group group, int unit, int trueClass, int postClass) {
    return switch (group) {
      case TRUE_CLASS -> important[trueClass][unit];
      case POST_ATTACK_CLASS -> important[postClass][unit];
      case REMAINING ->
          anyClass[unit] && !important[trueClass][unit] && !important[postClass][unit];
      case UNIMPORTANT -> !anyClass[unit];
    };
  }

  /**
   * The relative change of one group in one image, as a fraction; NaN where there is none.
   *
   * @param before pooled clean activations [U]
   * @param after pooled attacked activations [U]
   * @param postClass class predicted after the attack; the true class if it failed
   */
  public double relative(
      Group group, double[] before, double[] after, int trueClass, int postClass) {
    double change = 0;
    double clean = 0;
    for (int unit = 0; unit < units; unit++) {
      if (contains(group, unit, trueClass, postClass)) {
        change += after[unit] - before[unit];
        clean += before[unit];
      }
    }
    return clean == 0 ? Double.NaN : change / clean;
  }

  /**
   * Mean changes over images. Where every image kept its class (failed attacks) there is no
   * post-attack class, and that group is left out.
   *
   * @param before pooled clean activations [N][U]
   * @param after pooled attacked activations [N][U]
   * @param trueClasses [N]
   * @param postClasses classes predicted after the attack [N]
   * @param seed of the bootstrap
   */
  public List<Change> mean(
      double[][] before, double[][] after, int[] trueClasses, int[] postClasses, long seed) {
    boolean failed = Arrays.equals(trueClasses, postClasses);
    Map<Group, double[]> values = new EnumMap<>(Group.class);
    for (Group group : Group.values()) {
      if (group == Group.POST_ATTACK_CLASS && failed) {
        continue;
      }
      double[] changes = new double[before.length];
      for (int i = 0; i < changes.length; i++) {
        changes[i] = relative(group, before[i], after[i], trueClasses[i], postClasses[i]);
      }
      values.put(group, changes);
    }
    List<Change> result = new ArrayList<>();
    values.forEach((group, changes) -> result.add(change(group, changes, seed)));
    return result;
  }

  private static Change change(Group group, double[] all, long seed) {
    double[] known = Arrays.stream(all).filter(Double::isFinite).toArray();
    int skipped = all.length - known.length;
    if (known.length == 0) {
      return new Change(group, 0, skipped, null, null, null);
    }
    double mean = 100 * Arrays.stream(known).sum() / known.length;
    if (known.length < 2) {
      return new Change(group, known.length, skipped, mean, null, null);
    }
    SplittableRandom random = new SplittableRandom(seed);
    double[] means = new double[RESAMPLES];
    for (int r = 0; r < RESAMPLES; r++) {
      double sum = 0;
      for (int i = 0; i < known.length; i++) {
        sum += known[random.nextInt(known.length)];
      }
      means[r] = 100 * sum / known.length;
    }
    Arrays.sort(means);
    return new Change(
        group,
        known.length,
        skipped,
        mean,
        means[(int) Math.floor(0.025 * (RESAMPLES - 1))],
        means[(int) Math.ceil(0.975 * (RESAMPLES - 1))]);
  }
}
