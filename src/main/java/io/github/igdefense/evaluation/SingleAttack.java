package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A plan of one attack. */
record SingleAttack(String name, Attack attack, long seedOffset) implements AttackPlan {
  SingleAttack {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(attack, "attack");
  }

  @Override
  public List<Attack> stages() {
    return List.of(attack);
  }

  @Override
  public Map<String, Object> parameters() {
    if (seedOffset == 0) {
      return attack.parameters();
    }
    Map<String, Object> all = new LinkedHashMap<>(attack.parameters());
    all.put("seed_offset", seedOffset);
    return Collections.unmodifiableMap(all);
  }

  @Override
  public String toString() {
    return name.equals(attack.name()) ? attack.toString() : name + ": " + attack;
  }
}
