package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.model.DifferentiableClassifier;
import java.util.LinkedHashMap;
import java.util.Map;

/** {@link LossSurface}s of a base model and its defense, as points of a study. Stateless. */
public final class LossSurfaces {
  private LossSurfaces() {}

  /**
   * Surfaces by the names to print: the base model, the defense without noise, and the defense with
   * its noise fixed to one draw where it has any.
   *
   * @param points per axis, odd, at least 3
   * @throws io.github.igdefense.data.InputException as {@link LossSurface#of}
   */
  public static Map<String, LossSurface> run(
      StudyRunner runner, DefenseSpec spec, Epsilon epsilon, int points) {
    Map<String, LossSurface> surfaces = new LinkedHashMap<>();
    surfaces.put(
        "Base model",
        surface(runner, runner.network(), Map.of("classifier", "base"), epsilon, points));
    ClassMasks masks = ClassMasks.of(spec.ranking(), spec.keep());
    DefenseSpec plain = spec.withSmoothing(Smoothing.NONE);
    try (IgDefense defense =
        new IgDefense(runner.network(), masks, spec.temperature(), Smoothing.NONE, null)) {
      surfaces.put(
          "IG-Defense, no smoothing",
          surface(runner, defense, plain.parameters(), epsilon, points));
    }
    if (spec.smoothing().enabled()) {
      try (IgDefense defense =
          IgDefense.withFixedNoise(
              runner.network(),
              masks,
              spec.temperature(),
              spec.smoothing(),
              runner.settings().seed())) {
        surfaces.put(
            "IG-Defense, smoothed (one draw)",
            surface(runner, defense, spec.parameters(), epsilon, points));
      }
    }
    return surfaces;
  }

  private static LossSurface surface(
      StudyRunner runner,
      DifferentiableClassifier classifier,
      Map<String, String> what,
      Epsilon epsilon,
      int points) {
    Map<String, String> all =
        new LinkedHashMap<>(runner.parameters("loss-surface", what, StudyRunner.NOTHING));
    all.put("epsilon", Double.toString(epsilon.value()));
    all.put("points", Integer.toString(points));
    return runner
        .store()
        .point(
            all,
            LossSurface.class,
            () ->
                LossSurface.of(
                    classifier,
                    runner.images(),
                    epsilon,
                    points,
                    runner.settings().batchSize(),
                    runner.settings().seed(),
                    runner.listener()));
  }
}
