package io.github.igdefense.cli;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.AttackOptions;
import io.github.igdefense.attack.Attacks;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.attack.RunOrder;
import io.github.igdefense.evaluation.AutoAttack;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine.Option;

/** The threat model and how hard attacks try. */
final class AttackListOptions {
  @Option(
      names = "--norm",
      paramLabel = "NAME",
      defaultValue = "Linf",
      description = "Norm of the perturbation: Linf, L2 or L1. Default: ${DEFAULT-VALUE}.")
  String norm;

  @Option(
      names = "--eps",
      defaultValue = "8/255",
      paramLabel = "E",
      description = "Radius for pixels in [0,1], such as 8/255 or 0.5. Default: ${DEFAULT-VALUE}.")
  String epsilon;

  @Option(
      names = "--steps",
      paramLabel = "N",
      defaultValue = "100",
      description = "Iterations of a run (not fgsm, square, rays). Default: ${DEFAULT-VALUE}.")
  int steps;

  @Option(
      names = "--restarts",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "Runs from new starts (not fgsm, rays), per target where there are. Default:"
              + " ${DEFAULT-VALUE}.")
  int restarts;

  @Option(
      names = "--targets",
      paramLabel = "N",
      defaultValue = "9",
      description = "Target classes of apgd-t and fab-t. Default: ${DEFAULT-VALUE}.")
  int targets;

  @Option(
      names = "--queries",
      paramLabel = "N",
      description = "Queries of square and rays. Default: 5000 and 10000.")
  Integer queries;

  @Option(
      names = "--eot",
      paramLabel = "N",
      defaultValue = "1",
      description = "Gradients averaged per step, for smoothed models. Default: ${DEFAULT-VALUE}.")
  int eot;

  @Option(
      names = "--loss",
      paramLabel = "NAME",
      description =
          "What fgsm and pgd (ce, dlr, cw) or square (margin, ce) raise. Default: ce; margin.")
  String loss;

  @Option(
      names = "--reference-order",
      description =
          "One restart or target after another, each to its end, with the published"
              + " implementations' draws; slower.")
  boolean referenceOrder;

  RunOrder order() {
    return referenceOrder ? RunOrder.REFERENCE : RunOrder.FAST;
  }

  Epsilon parsedEpsilon() {
    return Epsilon.parse(epsilon);
  }

  Norm parsedNorm() {
    return Norm.parse(norm);
  }

  /** How much work the attacks of AutoAttack do: the published amount unless options say less. */
  AutoAttack.Budget budget() {
    AutoAttack.Budget published = AutoAttack.Budget.PUBLISHED;
    return new AutoAttack.Budget(
        Values.positive("--steps", steps),
        Values.positive("--targets", targets) == 9 ? published.targets() : targets,
        queries == null ? published.queries() : Values.positive("--queries", queries),
        eot == 1 ? published.eotIterations() : eot);
  }

  /** Makes the attacks of a comma-separated list of names. */
  List<Attack> make(String names) {
    Values.positive("--restarts", restarts);
    Values.positive("--targets", targets);
    Values.positive("--eot", eot);
    AttackOptions options =
        AttackOptions.DEFAULT
            .withRestarts(restarts)
            .withTargets(targets)
            .withQueries(queries == null ? 0 : Values.positive("--queries", queries))
            .withEot(eot);
    List<String> list = Arrays.stream(names.split(",", -1)).map(String::trim).toList();
    // In a list, the loss is for those that have a choice; if none has, the first says so.
    boolean chosen = list.stream().anyMatch(Attacks::hasChoiceOfLoss);
    List<Attack> attacks = new ArrayList<>();
    for (String name : list) {
      boolean takes = Attacks.hasChoiceOfLoss(name) || !chosen;
      attacks.add(
          Attacks.byName(
              name,
              parsedNorm(),
              parsedEpsilon(),
              Values.positive("--steps", steps),
              options.withLoss(takes ? loss : null)));
    }
    return attacks;
  }
}
