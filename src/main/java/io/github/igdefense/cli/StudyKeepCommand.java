package io.github.igdefense.cli;

import io.github.igdefense.evaluation.KeepSearch;
import io.github.igdefense.report.StudyReports;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd study keep}: k by binary search on clean accuracy. */
@Command(
    name = "keep",
    description =
        "Find the smallest k that keeps clean accuracy by binary search, then attack once.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class StudyKeepCommand implements Callable<Integer> {
  @Option(
      names = "--tolerance",
      paramLabel = "T",
      defaultValue = "0.005",
      description =
          "Clean accuracy that may be lost, as a share of the images. Default: ${DEFAULT-VALUE}.")
  double tolerance;

  @Mixin StudyOptions study;

  @Override
  public Integer call() {
    return StudyRun.of(
        "keep",
        study,
        (runner, spec) -> {
          KeepSearch search =
              KeepSearch.run(runner, spec, tolerance, study.plans(study.attackOptions));
          return report -> {
            report.title("Units to keep on " + runner.network().architecture());
            StudyReports.keep(report, search);
          };
        });
  }
}
