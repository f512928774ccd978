package io.github.igdefense.attack;

/**
 * Settings of attacks made by name; each attack takes those it has.
 *
 * @param restarts runs from new starts (pgd, apgd-…, fab, fab-t, square, gama-pgd)
 * @param targets target classes per image (apgd-t, fab-t)
 * @param queries forward passes per image (square, rays); 0 for the attack's published number
 * @param eotIterations gradients averaged for random models
 * @param loss what is maximised: ce, dlr or cw (fgsm, pgd), margin or ce (square); null for the
 *     attack's own
 * @param stepSize step of pgd; NaN for 2.5·ε/steps
 * @param largerEpsilon for L1: start in larger balls, as the published evaluation does
 */
public record AttackOptions(
    int restarts,
    int targets,
    int queries,
    int eotIterations,
    String loss,
    double stepSize,
    boolean largerEpsilon) {
  /** One restart, 9 targets, no averaging, default loss and steps, L1 starting in larger balls. */
  public static final AttackOptions DEFAULT = new AttackOptions(1, 9, 0, 1, null, Double.NaN, true);

  /** The same with another number of restarts. */
  public AttackOptions withRestarts(int count) {
    return new AttackOptions(count, targets, queries, eotIterations, loss, stepSize, largerEpsilon);
  }

  /** The same with another number of targets. */
  public AttackOptions withTargets(int count) {
    return new AttackOptions(
        restarts, count, queries, eotIterations, loss, stepSize, largerEpsilon);
  }

  /** The same with another number of queries; 0 for each attack's published number. */
  public AttackOptions withQueries(int count) {
    return new AttackOptions(
        restarts, targets, count, eotIterations, loss, stepSize, largerEpsilon);
  }

  /** The same with another number of averaged gradients. */
  public AttackOptions withEot(int iterations) {
    return new AttackOptions(restarts, targets, queries, iterations, loss, stepSize, largerEpsilon);
  }

  /** The same with another loss; null for each attack's own. */
  public AttackOptions withLoss(String name) {
    return new AttackOptions(
        restarts, targets, queries, eotIterations, name, stepSize, largerEpsilon);
  }

  /** The same with another step size of pgd. */
  public AttackOptions withStepSize(double size) {
    return new AttackOptions(restarts, targets, queries, eotIterations, loss, size, largerEpsilon);
  }
}
