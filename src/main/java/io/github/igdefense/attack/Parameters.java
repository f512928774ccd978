package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Checks and prints the parameters of attacks. */
final class Parameters {
  private Parameters() {}

  static int atLeastOne(int value, String what) {
    if (value < 1) {
      throw new InputException("expected at least 1 " + what + ", got " + value);
    }
    return value;
  }

  static void between(String what, double value, double low, double high) {
    if (!(value >= low && value <= high)) {
      throw new InputException("expected " + what + " in " + low + ".." + high + ", got " + value);
    }
  }

  static void requireNorm(String attack, Norm norm, Norm... supported) {
    List<Norm> choices = new ArrayList<>(List.of(supported));
    if (!choices.contains(norm)) {
      throw new InputException(
          "expected a norm that "
              + attack
              + " supports ("
              + choices.stream().map(Norm::toString).collect(Collectors.joining(", "))
              + "), got "
              + norm
              + "; apgd-ce supports all three");
    }
  }

  /** An ordered, unmodifiable map of alternating names and values. */
  static Map<String, Object> map(Object... namesAndValues) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      map.put((String) namesAndValues[i], namesAndValues[i + 1]);
    }
    return Collections.unmodifiableMap(map);
  }

  /** {@code name(norm=Linf, epsilon=8/255, …)}. */
  static String print(Attack attack) {
    return attack.parameters().entrySet().stream()
        .map(
            e ->
                e.getKey() + "=" + (e.getKey().equals("epsilon") ? attack.epsilon() : e.getValue()))
        .collect(Collectors.joining(", ", attack.name() + "(", ")"));
  }
}
