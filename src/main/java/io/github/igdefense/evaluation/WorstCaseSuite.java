package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Apgd;
import io.github.igdefense.attack.AttackOptions;
import io.github.igdefense.attack.Attacks;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.attack.TargetedApgd;
import io.github.igdefense.data.InputException;
import java.util.List;

/**
 * The attacks of the image-wise worst case (IW-WC), the adaptive evaluation of interpretability-
 * guided defenses (Kulkarni and Weng 2024, Sec. 5). An image counts as robust only if it survives
 * all nine: AutoAttack, RayS and APGD with averaged gradients made on the classifier itself, and
 * six made on its base model and carried over. Stateless.
 */
public final class WorstCaseSuite {
  /** How hard the attacks try. */
  public enum Preset {
    /** The published settings. */
    FULL(100, 9, 3, 10_000, 20, AutoAttack.Budget.PUBLISHED),
    /** The same attacks cut short: finds what is plainly broken, and supports no claim. */
    SCREENING(20, 3, 1, 200, 5, new AutoAttack.Budget(20, 3, 200, 5));

    private final int steps;
    private final int targets;
    private final int restarts;
    private final int queries;
    private final int eotIterations;
    private final AutoAttack.Budget autoAttack;

    Preset(
        int steps,
        int targets,
        int restarts,
        int queries,
        int eotIterations,
        AutoAttack.Budget autoAttack) {
      this.steps = steps;
      this.targets = targets;
      this.restarts = restarts;
      this.queries = queries;
      this.eotIterations = eotIterations;
      this.autoAttack = autoAttack;
    }
  }

  private WorstCaseSuite() {}

  /**
   * The attacks in L∞.
   *
   * <p>A deterministic classifier has nothing to average over: there {@code apgd-ce-eot} is APGD-CE
   * from another random start, so that the column is no copy of {@code apgd-ce}.
   */
  public static Comparison.Plans plans(Preset preset, Norm norm, Epsilon epsilon) {
    if (norm != Norm.LINF) {
      throw new InputException(
          "expected norm Linf for the worst case of nine attacks (RayS has no other), got "
              + norm
              + "; list attacks with --attack for other norms");
    }
    AttackPlan autoAttack =
        AutoAttack.of(AutoAttack.Version.STANDARD, norm, epsilon, preset.autoAttack);
    AttackPlan rays =
        AttackPlan.of(
            Attacks.byName(
                "rays",
                norm,
                epsilon,
                preset.steps,
                AttackOptions.DEFAULT.withQueries(preset.queries)));
    AttackPlan averaged =
        AttackPlan.named(
            "apgd-ce-eot",
            new Apgd(Apgd.Loss.CE, norm, epsilon, preset.steps).withEot(preset.eotIterations),
            1);
    return new Comparison.Plans(
        List.of(
            autoAttack,
            rays,
            averaged,
            AttackPlan.of(new Apgd(Apgd.Loss.CE, norm, epsilon, preset.steps)),
            AttackPlan.of(new Apgd(Apgd.Loss.CW, norm, epsilon, preset.steps)),
            AttackPlan.of(
                new TargetedApgd(norm, epsilon, preset.steps, preset.targets)
                    .withRestarts(preset.restarts))),
        List.of(autoAttack, rays, averaged));
  }
}
