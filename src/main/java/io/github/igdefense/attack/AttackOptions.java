package io.github.igdefense.attack;

/**
 * Settings of attacks made by name; each attack takes those it has.
 *
 * @param restarts runs from new starts (pgd, apgd-…)
 * @param targets target classes per image (apgd-t)
 * @param eotIterations gradients averaged for random models
 * @param stepSize step of pgd; NaN for 2.5·ε/steps
 * @param largerEpsilon for L1: start in larger balls, as the published evaluation does
 */
public record AttackOptions(
    int restarts, int targets, int eotIterations, double stepSize, boolean largerEpsilon) {
  /** One restart, 9 targets, no averaging, default steps, L1 starting in larger balls. */
  public static final AttackOptions DEFAULT = new AttackOptions(1, 9, 1, Double.NaN, true);

  /** The same with another number of restarts. */
  public AttackOptions withRestarts(int count) {
    return new AttackOptions(count, targets, eotIterations, stepSize, largerEpsilon);
  }

  /** The same with another number of targets. */
  public AttackOptions withTargets(int count) {
    return new AttackOptions(restarts, count, eotIterations, stepSize, largerEpsilon);
  }

  /** The same with another number of averaged gradients. */
  public AttackOptions withEot(int iterations) {
    return new AttackOptions(restarts, targets, iterations, stepSize, largerEpsilon);
  }

  /** The same with another step size of pgd. */
  public AttackOptions withStepSize(double size) {
    return new AttackOptions(restarts, targets, eotIterations, size, largerEpsilon);
  }
}
