package io.github.igdefense.evaluation;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.importance.Ranking;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleFunction;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A defense evaluated while one setting is varied and all others stay (the paper's sweeps). Every
 * value is checked before the first point is computed.
 */
public final class Sweep {
  /** What can be varied. */
  public enum Over {
    /** k, units kept per class. */
    KEEP("10,25,50,75,100"),
    /** The masked layer, each with its own ranking. */
    LAYER(null),
    /** σ of the first pass's noise. */
    SIGMA("0,2/255,4/255,8/255,16/255"),
    /** n_s, noise draws per image. */
    SAMPLES("1,2,4,8"),
    /** τ of the soft class weights. */
    TEMPERATURE("0.001,0.01,0.1,1"),
    /** Share of the probe images that the ranking is made from. */
    PROBE_FRACTION("0.01,0.05,0.1,0.5,1"),
    /** Iterations of the attacks. */
    STEPS("5,10,20,50,100"),
    /** Radius of the attacks; the defense stays as it is. */
    EPS("2/255,4/255,8/255,16/255,32/255");

    private final String values;

    Over(String values) {
      this.values = values;
    }

    /** The values of the command line's default; null for the model's layers. */
    public String defaultValues() {
      return values;
    }

    /** The name the command line uses, such as {@code probe-fraction}. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * Parses such a name.
     *
     * @throws InputException listing the names
     */
    public static Over parse(String text) {
      for (Over over : values()) {
        if (over.toString().equals(text)) {
          return over;
        }
      }
      throw new InputException(
          "expected --over of "
              + Stream.of(values()).map(Over::toString).collect(Collectors.joining(", "))
              + ", got '"
              + text
              + "'");
    }
  }

  /**
   * One value.
   *
   * @param value as given
   * @param base the base model under the same attacks
   * @param defended the defense
   */
  @JsonPropertyOrder({"value", "base", "defended"})
  public record Point(
      @JsonProperty("value") String value,
      @JsonProperty("base") EvaluationResult base,
      @JsonProperty("defended") EvaluationResult defended) {}

  /** What is fixed in a sweep, and where other rankings and attacks come from. */
  public interface Setting {
    /** The defense at its usual settings. */
    DefenseSpec defense();

    /** The attacks at another radius, such as 8/255, or steps; null keeps the usual value. */
    Comparison.Plans plans(String epsilon, Integer steps);

    /** The ranking of another layer, and how many units of it to keep. */
    DefenseSpec layer(String name);

    /** The ranking from the first images of every class, a share of the probe set in (0,1]. */
    Ranking probe(double fraction);
  }

  private Sweep() {}

  private record Plan(String value, DefenseSpec defense, Comparison.Plans plans) {}

  /**
   * Runs a sweep.
   *
   * @param values as the command line takes them, in their order
   * @throws InputException if a value is out of range, before anything is computed
   */
  public static List<Point> run(
      StudyRunner runner, Over over, List<String> values, Setting setting) {
    List<Plan> plans = new ArrayList<>();
    for (String value : values) {
      plans.add(plan(over, value.trim(), setting));
    }
    List<Point> points = new ArrayList<>();
    for (Plan plan : plans) {
      EvaluationResult base = runner.base(plan.plans());
      EvaluationResult defended =
          runner.point(
              over + "=" + plan.value(),
              plan.defense().parameters(),
              plan.plans(),
              rng -> plan.defense().open(runner.network(), rng));
      points.add(new Point(plan.value(), base, defended));
    }
    return points;
  }

  private static Plan plan(Over over, String value, Setting setting) {
    DefenseSpec usual = setting.defense();
    Smoothing noise = usual.smoothing();
    DefenseSpec defense =
        switch (over) {
          case KEEP -> usual.withKeep(whole(over, value));
          case LAYER -> setting.layer(value);
          case SIGMA -> usual.withSmoothing(new Smoothing(number(over, value), noise.samples()));
          case SAMPLES -> {
            if (!noise.enabled()) {
              throw new InputException(
                  "a sweep over samples needs noise: set --smoothing-sigma above 0");
            }
            yield usual.withSmoothing(new Smoothing(noise.sigma(), whole(over, value)));
          }
          case TEMPERATURE -> usual.withTemperature(number(over, value));
          case PROBE_FRACTION -> {
            double fraction = number(over, value);
            if (!(fraction > 0 && fraction <= 1)) {
              throw new InputException(
                  "expected shares of the probe images in (0,1], got " + value);
            }
            yield usual.withRanking(setting.probe(fraction), usual.keep());
          }
          case STEPS, EPS -> usual;
        };
    Comparison.Plans plans =
        setting.plans(
            over == Over.EPS ? value : null,
            over == Over.STEPS ? (Integer) whole(over, value) : null);
    return new Plan(value, defense, plans);
  }

  private static int whole(Over over, String value) {
    return parsed(over, value, "a whole number", Integer::parseInt);
  }

  /** A decimal or a fraction such as 4/255. */
  private static double number(Over over, String value) {
    int slash = value.indexOf('/');
    DoubleFunction<Double> finite =
        x -> {
          if (!Double.isFinite(x)) {
            throw new NumberFormatException();
          }
          return x;
        };
    return parsed(
        over,
        value,
        "a number or a fraction",
        text ->
            finite.apply(
                slash < 0
                    ? Double.parseDouble(text)
                    : Double.parseDouble(text.substring(0, slash))
                        / Double.parseDouble(text.substring(slash + 1))));
  }

  private static <T> T parsed(Over over, String value, String what, Function<String, T> parser) {
    try {
      return parser.apply(value);
    } catch (NumberFormatException e) {
      throw new InputException(
          "expected " + what + " as a value of --over " + over + ", got '" + value + "'", e);
    }
  }
}
