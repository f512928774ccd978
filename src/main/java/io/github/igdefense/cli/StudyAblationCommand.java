package io.github.igdefense.cli;

import io.github.igdefense.evaluation.Ablation;
import io.github.igdefense.evaluation.DefenseSpec;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.report.StudyReports;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd study ablation}: the nine rows of the paper's Table 6. */
@Command(
    name = "ablation",
    description = {
      "Second pass, masks and smoothing switched on one by one (paper Table 6).",
      "--ranking is the LO-IR one; --smoothing-sigma is that of the smoothed rows, ε/2 in the"
          + " paper."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class StudyAblationCommand implements Callable<Integer> {
  @Option(
      names = "--cdir-ranking",
      paramLabel = "DIR_OR_FILE",
      description = "CD-IR ranking of the same layer. Default: its two rows stay empty.")
  Path cdir;

  @Mixin StudyOptions study;

  @Override
  public Integer call() {
    return StudyRun.of(
        "ablation",
        study,
        (runner, spec) -> {
          DefenseSpec second = null;
          if (cdir != null) {
            MaskableLayer layer = runner.network().layer(spec.ranking().layer());
            second =
                spec.withRanking(
                    RankingFiles.read(
                        cdir, layer.name(), layer.units(), runner.network().classCount()),
                    spec.keep());
          }
          List<Ablation> rows =
              Ablation.run(runner, spec, second, study.plans(study.attackOptions));
          return report -> {
            report.title("Ablation of IG-Defense on " + runner.network().architecture());
            StudyReports.ablation(report, rows);
          };
        });
  }
}
