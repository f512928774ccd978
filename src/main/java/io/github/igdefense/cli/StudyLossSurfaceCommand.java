package io.github.igdefense.cli;

import io.github.igdefense.evaluation.LossSurface;
import io.github.igdefense.evaluation.LossSurfaces;
import io.github.igdefense.report.SurfaceReport;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd study loss-surface}: the loss around images. */
@Command(
    name = "loss-surface",
    description =
        "Mean loss over the square spanned by the gradient's sign and an orthogonal direction,"
            + " base model and defense (its noise fixed to one draw).",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class StudyLossSurfaceCommand implements Callable<Integer> {
  @Option(
      names = "--points",
      paramLabel = "N",
      defaultValue = "21",
      description =
          "Points per axis, odd; N*N forward passes per image. Default: ${DEFAULT-VALUE}.")
  int points;

  @Mixin StudyOptions study;

  @Override
  public Integer call() {
    return StudyRun.of(
        "loss-surface",
        study,
        (runner, spec) -> {
          Map<String, LossSurface> surfaces =
              LossSurfaces.run(runner, spec, study.attackOptions.parsedEpsilon(), points);
          return report -> {
            report.title("Loss around images, " + runner.network().architecture());
            SurfaceReport.add(report, study.attackOptions.epsilon, surfaces);
          };
        });
  }
}
