package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import java.util.List;
import java.util.Map;

/**
 * What is done to an image set in order to break it: one attack, or a cascade of several of which
 * each sees only the images that are still robust. Immutable and thread-safe.
 */
public interface AttackPlan {
  /** Its name as a column of results, such as {@code apgd-ce} or {@code autoattack}. */
  String name();

  /** The attacks in their order, at least one, all in the same ball. */
  List<Attack> stages();

  /** Every setting that decides the result, by its name in reports, in a fixed order. */
  Map<String, Object> parameters();

  /** Added to the seed of a run, so that two plans of equal attacks start from other points. */
  default long seedOffset() {
    return 0;
  }

  /** The norm of the ball. */
  default Norm norm() {
    return stages().get(0).norm();
  }

  /** The radius of the ball. */
  default Epsilon epsilon() {
    return stages().get(0).epsilon();
  }

  /** Iterations of one run of the longest stage. */
  default int steps() {
    return stages().stream().mapToInt(Attack::steps).max().orElse(0);
  }

  /** A single attack under its own name. */
  static AttackPlan of(Attack attack) {
    return new SingleAttack(attack.name(), attack, 0);
  }

  /** A single attack as a column of another name, starting from another seed. */
  static AttackPlan named(String name, Attack attack, long seedOffset) {
    return new SingleAttack(name, attack, seedOffset);
  }

  /** One plan per attack, in their order. */
  static List<AttackPlan> each(List<Attack> attacks) {
    return attacks.stream().map(AttackPlan::of).toList();
  }
}
