package io.github.igdefense.cli;

import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.DefenseSpec;
import io.github.igdefense.evaluation.Sweep;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.StudyReports;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd study sweep}: one setting varied, all others as they are. */
@Command(
    name = "sweep",
    description = "Evaluate the defense at several values of one setting.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class StudySweepCommand implements Callable<Integer> {
  @Option(
      names = "--over",
      required = true,
      paramLabel = "NAME",
      description = "keep, layer, sigma, samples, temperature, probe-fraction, steps or eps.")
  String over;

  @Option(
      names = "--values",
      paramLabel = "LIST",
      description =
          "Values, separated by commas, such as 10,25,50 or 0,2/255,4/255. Default: some that suit"
              + " the setting; all layers.")
  String values;

  @Mixin StudyOptions study;

  @Override
  public Integer call() {
    Sweep.Over varied = Sweep.Over.parse(over);
    return StudyRun.of(
        "sweep",
        study,
        (runner, spec) -> {
          StagedNetwork network = runner.network();
          String list = values != null ? values : varied.defaultValues();
          if (list == null) {
            list =
                network.layers().stream().map(MaskableLayer::name).collect(Collectors.joining(","));
          }
          List<Sweep.Point> points =
              Sweep.run(runner, varied, List.of(list.split(",", -1)), new Usual(network, spec));
          return report -> {
            report.title("IG-Defense on " + network.architecture() + ", sweep over " + varied);
            StudyReports.sweep(report, varied, points);
          };
        });
  }

  private final class Usual implements Sweep.Setting {
    private final StagedNetwork network;
    private final DefenseSpec spec;

    Usual(StagedNetwork network, DefenseSpec spec) {
      this.network = network;
      this.spec = spec;
    }

    @Override
    public DefenseSpec defense() {
      return spec;
    }

    @Override
    public Comparison.Plans plans(String epsilon, Integer steps) {
      AttackListOptions options = study.attackOptions;
      return study.plans(
          options.varied(
              epsilon == null ? options.epsilon : epsilon, steps == null ? options.steps : steps));
    }

    @Override
    public DefenseSpec layer(String name) {
      return study.spec(network, network.layer(name));
    }

    @Override
    public Ranking probe(double fraction) {
      return study.probeRanking(network, network.layer(spec.ranking().layer()), fraction);
    }
  }
}
