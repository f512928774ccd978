package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * GAMA-PGD (Sriramanan et al. 2020, "Guided adversarial attack for evaluating and enhancing
 * adversarial defenses"): PGD up the margin of the probabilities plus, at first, a term that drives
 * them away from those at the start. L∞ only.
 *
 * @param epsilon radius; a run starts at ±ε in every value
 * @param steps iterations
 * @param restarts runs from new starts, at least 1
 * @param eotIterations gradients averaged for random models
 * @param stepSize length of the first steps; 2ε as published
 * @param weight of the relaxation term at the start; 50 as published
 * @param decaySteps steps over which the weight falls to 0; 25 of 100 as published
 * @param dropSteps steps (from 0) at which the step size is divided; 60 and 85 of 100 as published
 * @param drop by what it is divided; 10 as published
 */
public record GamaPgd(
    Epsilon epsilon,
    int steps,
    int restarts,
    int eotIterations,
    double stepSize,
    double weight,
    int decaySteps,
    List<Integer> dropSteps,
    double drop)
    implements Attack {
  /** The published weight of the relaxation term. */
  public static final double DEFAULT_WEIGHT = 50;

  private static final double DECAY = .25;
  private static final double FIRST_DROP = .6;
  private static final double SECOND_DROP = .85;
  private static final double DROP = 10;

  /** Checks the parameters; see {@link InputException}. */
  public GamaPgd {
    Parameters.atLeastOne(steps, "step");
    Parameters.atLeastOne(restarts, "restart");
    Parameters.atLeastOne(eotIterations, "EoT iteration");
    Parameters.atLeastOne(decaySteps, "decay step");
    Parameters.between("step size", stepSize, Double.MIN_VALUE, Double.MAX_VALUE);
    Parameters.between("weight", weight, 0, Double.MAX_VALUE);
    Parameters.between("drop", drop, 1, Double.MAX_VALUE);
    dropSteps = List.copyOf(dropSteps);
  }

  /** One run with the published schedule; for other than 100 steps in proportion. */
  public GamaPgd(Epsilon epsilon, int steps) {
    this(
        epsilon,
        steps,
        1,
        1,
        2 * epsilon.value(),
        DEFAULT_WEIGHT,
        Math.max((int) Math.round(DECAY * steps), 1),
        List.of((int) Math.round(FIRST_DROP * steps), (int) Math.round(SECOND_DROP * steps)),
        DROP);
  }

  @Override
  public GamaPgd withRestarts(int count) {
    return new GamaPgd(
        epsilon, steps, count, eotIterations, stepSize, weight, decaySteps, dropSteps, drop);
  }

  @Override
  public GamaPgd withEot(int iterations) {
    return new GamaPgd(
        epsilon, steps, restarts, iterations, stepSize, weight, decaySteps, dropSteps, drop);
  }

  @Override
  public String name() {
    return "gama-pgd";
  }

  @Override
  public Norm norm() {
    return Norm.LINF;
  }

  @Override
  public Map<String, Object> parameters() {
    return Parameters.map(
        "norm", norm().toString(),
        "epsilon", epsilon.value(),
        "steps", steps,
        "restarts", restarts,
        "eot_iterations", eotIterations,
        "step_size", stepSize,
        "weight", weight,
        "decay_steps", decaySteps,
        "drop_steps", dropSteps.toString(),
        "drop", drop);
  }

  @Override
  public AttackResult run(
      DifferentiableClassifier model, Tensor x, long[] labels, AttackContext context) {
    return rounds(GamaRun.Start::bernoulli, model).execute(model, x, labels, context);
  }

  Rounds rounds(GamaRun.Start start, DifferentiableClassifier model) {
    LogitLosses.requireClasses(name(), 2, model.classCount());
    return new Rounds(this, 0, restarts, eotIterations, null, new GamaRun(this, start));
  }

  @Override
  public String toString() {
    return Parameters.print(this);
  }
}
