package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.AttackOptions;
import io.github.igdefense.attack.Attacks;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.data.InputException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/**
 * AutoAttack (Croce and Hein 2020; L1: 2021): attacks one after another, each over batches of the
 * images that are still robust. Order, restarts, targets and seeds are those of the reference
 * implementation; in its order of draws, the same seed gives the same flags.
 *
 * @param version which list of attacks
 * @param budget how much work the attacks do
 * @param stages the attacks in their order
 */
public record AutoAttack(Version version, Budget budget, List<Attack> stages)
    implements AttackPlan {

  /** The published lists of attacks. */
  public enum Version {
    /** apgd-ce, apgd-t, fab-t, square: the one that published numbers mean. */
    STANDARD("autoattack"),
    /** apgd-ce, apgd-dlr, fab, square, apgd-t, fab-t, with five restarts where there are some. */
    PLUS("autoattack-plus"),
    /** apgd-ce and apgd-dlr with 20 averaged gradients: for random classifiers. */
    RAND("autoattack-rand"),
    /** A list of one's own. */
    CUSTOM("autoattack-custom");

    private final String label;

    Version(String label) {
      this.label = label;
    }

    /** The name the command line uses. */
    @Override
    public String toString() {
      return label;
    }

    /**
     * The version of a name such as {@code autoattack-plus}; null if it is none of those that need
     * no list.
     */
    public static Version byName(String name) {
      for (Version version : List.of(STANDARD, PLUS, RAND)) {
        if (version.label.equals(name.toLowerCase(Locale.ROOT))) {
          return version;
        }
      }
      return null;
    }
  }

  /**
   * How much work the attacks do; anything below the published amount is screening.
   *
   * @param steps iterations of the gradient attacks, published 100
   * @param targets target classes of apgd-t and fab-t; 0 for the published 9 (apgd-t of the
   *     standard version in L1: 5)
   * @param queries of square, published 5000
   * @param eotIterations averaged gradients of the version for random classifiers, published 20
   */
  public record Budget(int steps, int targets, int queries, int eotIterations) {
    /** The published amount. */
    public static final Budget PUBLISHED = new Budget(100, 0, 5000, 20);

    /** Checks the numbers. */
    public Budget {
      if (steps < 1 || targets < 0 || queries < 1 || eotIterations < 1) {
        throw new InputException(
            "expected at least one step, query and EoT iteration, got "
                + steps
                + ", "
                + queries
                + " and "
                + eotIterations);
      }
    }
  }

  private static final int RESTARTS = 5;
  private static final int TARGETS = 9;
  private static final int TARGETS_L1 = 5;

  /**
   * Checks that all attacks search the same ball.
   *
   * @throws InputException if there is none, two share a name, or they differ in norm or radius
   */
  public AutoAttack {
    Objects.requireNonNull(version, "version");
    Objects.requireNonNull(budget, "budget");
    stages = List.copyOf(stages);
    if (stages.isEmpty()) {
      throw new InputException("expected at least one attack in " + version);
    }
    if (stages.stream().map(Attack::name).distinct().count() < stages.size()) {
      throw new InputException("expected every attack of " + version + " once, got " + stages);
    }
    for (Attack attack : stages) {
      if (attack.norm() != stages.get(0).norm()
          || !attack.epsilon().equals(stages.get(0).epsilon())) {
        throw new InputException("expected attacks of one norm and one epsilon, got " + stages);
      }
    }
  }

  /** A published version with the published settings. */
  public static AutoAttack of(Version version, Norm norm, Epsilon epsilon) {
    return of(version, norm, epsilon, Budget.PUBLISHED);
  }

  /**
   * A published version.
   *
   * @throws InputException for {@link Version#CUSTOM}, see {@link #custom}
   */
  public static AutoAttack of(Version version, Norm norm, Epsilon epsilon, Budget budget) {
    boolean sparse = norm == Norm.L1;
    int targets = budget.targets() == 0 ? TARGETS : budget.targets();
    AttackOptions once =
        new AttackOptions(
            1, targets, budget.queries(), 1, null, Double.NaN, version == Version.STANDARD);
    List<Attack> stages = new ArrayList<>();
    Make make = new Make(norm, epsilon, budget.steps());
    switch (version) {
      case STANDARD -> {
        int apgdTargets = sparse && budget.targets() == 0 ? TARGETS_L1 : targets;
        stages.add(make.of("apgd-ce", sparse ? once.withRestarts(RESTARTS) : once));
        stages.add(make.of("apgd-t", once.withTargets(apgdTargets)));
        stages.add(make.of("fab-t", once));
        stages.add(make.of("square", once));
      }
      case PLUS -> {
        stages.add(make.of("apgd-ce", once.withRestarts(RESTARTS)));
        stages.add(make.of("apgd-dlr", once.withRestarts(RESTARTS)));
        stages.add(make.of("fab", once.withRestarts(RESTARTS)));
        stages.add(make.of("square", once));
        stages.add(make.of("apgd-t", once));
        stages.add(make.of("fab-t", once));
      }
      case RAND -> {
        stages.add(make.of("apgd-ce", once.withEot(budget.eotIterations())));
        stages.add(make.of("apgd-dlr", once.withEot(budget.eotIterations())));
      }
      default -> throw new InputException("expected attacks for " + version);
    }
    return new AutoAttack(version, budget, stages);
  }

  /** A cascade of these attacks, in this order. */
  public static AutoAttack custom(List<Attack> attacks) {
    return new AutoAttack(Version.CUSTOM, Budget.PUBLISHED, attacks);
  }

  private record Make(Norm norm, Epsilon epsilon, int steps) {
    Attack of(String name, AttackOptions options) {
      return Attacks.byName(name, norm, epsilon, steps, options);
    }
  }

  /** Every attack by itself on all images that are classified correctly, instead of a cascade. */
  public List<AttackPlan> individual() {
    return AttackPlan.each(stages);
  }

  /** Whether this is a published version with the published settings. */
  public boolean published() {
    Budget all = Budget.PUBLISHED;
    boolean averaged = version == Version.RAND;
    return version != Version.CUSTOM
        && budget.steps() == all.steps()
        && (averaged || budget.targets() == 0 && budget.queries() == all.queries())
        && (!averaged || budget.eotIterations() == all.eotIterations());
  }

  @Override
  public String name() {
    return version.toString();
  }

  @Override
  public Map<String, Object> parameters() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("norm", norm().toString());
    map.put("epsilon", epsilon().value());
    map.put("steps", steps());
    map.put("stages", stages.stream().map(Attack::toString).toList());
    return Collections.unmodifiableMap(map);
  }

  @Override
  public String toString() {
    return name() + stages;
  }
}
