package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Attacks by the names the command line uses. Stateless and thread-safe. */
public final class Attacks {

  @FunctionalInterface
  private interface Maker {
    Attack make(Norm norm, Epsilon epsilon, int steps, AttackOptions options);
  }

  private static final List<String> CHOOSE_LOSS = List.of("fgsm", "pgd", "square");
  private static final Map<String, Maker> MAKERS = new LinkedHashMap<>();

  static {
    MAKERS.put(
        "fgsm",
        (norm, epsilon, steps, options) ->
            new Fgsm(loss(options), norm, epsilon, options.eotIterations()));
    MAKERS.put(
        "pgd",
        (norm, epsilon, steps, options) ->
            new Pgd(
                loss(options),
                norm,
                epsilon,
                steps,
                Double.isNaN(options.stepSize())
                    ? Pgd.defaultStepSize(epsilon, steps)
                    : options.stepSize(),
                options.restarts(),
                true,
                options.eotIterations()));
    MAKERS.put("apgd-ce", apgd(Apgd.Loss.CE));
    MAKERS.put("apgd-dlr", apgd(Apgd.Loss.DLR));
    MAKERS.put("apgd-cw", apgd(Apgd.Loss.CW));
    MAKERS.put(
        "apgd-t",
        (norm, epsilon, steps, options) ->
            new TargetedApgd(norm, epsilon, steps, options.targets())
                .withRestarts(options.restarts())
                .withEot(options.eotIterations())
                .withLargerEpsilon(largerEpsilon(norm, steps, options)));
    MAKERS.put(
        "fab",
        (norm, epsilon, steps, options) ->
            new Fab(norm, epsilon, steps)
                .withRestarts(options.restarts())
                .withEot(options.eotIterations()));
    MAKERS.put(
        "fab-t",
        (norm, epsilon, steps, options) ->
            new TargetedFab(norm, epsilon, steps, options.targets())
                .withRestarts(options.restarts())
                .withEot(options.eotIterations()));
    MAKERS.put(
        "square",
        (norm, epsilon, steps, options) ->
            new Square(norm, epsilon, queries(options, Square.DEFAULT_QUERIES))
                .withRestarts(options.restarts())
                .withLoss(
                    options.loss() == null
                        ? Square.Loss.MARGIN
                        : Square.Loss.parse(options.loss())));
    MAKERS.put(
        "gama-pgd",
        (norm, epsilon, steps, options) -> {
          Parameters.requireNorm("gama-pgd", norm, Norm.LINF);
          return new GamaPgd(epsilon, steps)
              .withRestarts(options.restarts())
              .withEot(options.eotIterations());
        });
    MAKERS.put(
        "rays",
        (norm, epsilon, steps, options) -> {
          Parameters.requireNorm("rays", norm, Norm.LINF);
          return new Rays(epsilon, queries(options, Rays.DEFAULT_QUERIES));
        });
  }

  private Attacks() {}

  private static Maker apgd(Apgd.Loss loss) {
    return (norm, epsilon, steps, options) ->
        new Apgd(loss, norm, epsilon, steps)
            .withRestarts(options.restarts())
            .withEot(options.eotIterations())
            .withLargerEpsilon(largerEpsilon(norm, steps, options));
  }

  private static int queries(AttackOptions options, int published) {
    return options.queries() == 0 ? published : options.queries();
  }

  private static Apgd.Loss loss(AttackOptions options) {
    return options.loss() == null ? Apgd.Loss.CE : Apgd.Loss.parse(options.loss());
  }

  private static boolean largerEpsilon(Norm norm, int steps, AttackOptions options) {
    return norm == Norm.L1 && options.largerEpsilon() && steps >= 4;
  }

  /** The names. */
  public static List<String> names() {
    return List.copyOf(MAKERS.keySet());
  }

  /** Whether the attack of this name takes {@link AttackOptions#loss}. */
  public static boolean hasChoiceOfLoss(String name) {
    return CHOOSE_LOSS.contains(name);
  }

  /**
   * Makes an attack.
   *
   * @param name one of {@link #names}
   * @param steps iterations of a run, at least 1; fgsm, square and rays ignore it
   * @throws InputException for an unknown name (listing the names), a norm or a loss the attack
   *     lacks, or an option out of range
   */
  public static Attack byName(
      String name, Norm norm, Epsilon epsilon, int steps, AttackOptions options) {
    Maker maker = MAKERS.get(name);
    if (maker == null) {
      throw new InputException("expected an attack of " + names() + ", got '" + name + "'");
    }
    if (options.loss() != null && !hasChoiceOfLoss(name)) {
      throw new InputException(
          "expected no loss for "
              + name
              + ", which has its own (a choice have "
              + CHOOSE_LOSS
              + "), got '"
              + options.loss()
              + "'");
    }
    if (options.queries() < 0) {
      throw new InputException("expected at least 1 query, got " + options.queries());
    }
    return maker.make(norm, epsilon, steps, options);
  }
}
