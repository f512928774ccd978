package io.github.igdefense.cli;

import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.EvaluationResult;
import io.github.igdefense.report.ClassStudyReport;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code igd study classes}: best and worst class. */
@Command(
    name = "classes",
    description = "Accuracy of every class, base model and defense, and the best and worst.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class StudyClassesCommand implements Callable<Integer> {
  @Mixin StudyOptions study;

  @Override
  public Integer call() {
    return StudyRun.of(
        "classes",
        study,
        (runner, spec) -> {
          Comparison.Plans plans = study.plans(study.attackOptions);
          EvaluationResult base = runner.base(plans);
          EvaluationResult defended =
              runner.point(
                  "ig-defense", spec.parameters(), plans, rng -> spec.open(runner.network(), rng));
          return report -> {
            report.title("Classes of " + runner.network().architecture() + " under attack");
            ClassStudyReport.add(report, runner.images().classNames(), base, defended);
          };
        });
  }
}
