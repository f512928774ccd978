package io.github.igdefense.cli;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.InputException;
import io.github.igdefense.evaluation.AttackPlan;
import io.github.igdefense.evaluation.AutoAttack;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;

/** Attacks and cascades by the names of {@code --attack}. */
final class AttackPlans {
  /** What {@code --attack} takes, for its description. */
  static final String NAMES =
      "fgsm, pgd, gama-pgd, apgd-ce, apgd-dlr, apgd-cw, apgd-t, fab, fab-t, square, rays,"
          + " autoattack, autoattack-plus, autoattack-rand";

  private AttackPlans() {}

  /**
   * Makes the plans of a comma-separated list.
   *
   * @param cascade all of them as one cascade
   * @param individual the attacks of a cascade one by one
   */
  static List<AttackPlan> of(
      String names, AttackListOptions options, boolean cascade, boolean individual) {
    List<String> list = Arrays.stream(names.split(",", -1)).map(String::trim).toList();
    List<String> single = list.stream().filter(n -> version(n) == null).toList();
    if (cascade && single.size() < list.size()) {
      throw new InputException("expected single attacks with --cascade, got '" + names + "'");
    }
    // Together: an option such as --loss is for those of the list that have a choice.
    List<Attack> attacks = single.isEmpty() ? List.of() : options.make(String.join(",", single));
    Iterator<Attack> next = attacks.iterator();
    List<AttackPlan> plans = new ArrayList<>();
    for (String name : list) {
      AutoAttack.Version version = version(name);
      if (version == null) {
        plans.add(AttackPlan.of(next.next()));
        continue;
      }
      AutoAttack auto =
          AutoAttack.of(version, options.parsedNorm(), options.parsedEpsilon(), options.budget());
      plans.addAll(individual ? auto.individual() : List.of(auto));
    }
    if (plans.stream().map(AttackPlan::name).distinct().count() < plans.size()) {
      throw new InputException("expected every attack once, got '" + names + "'");
    }
    return cascade ? List.of(AutoAttack.custom(attacks)) : plans;
  }

  private static AutoAttack.Version version(String name) {
    return AutoAttack.Version.byName(name);
  }
}
