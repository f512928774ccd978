package io.github.igdefense.cli;

import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.RepeatedEvaluation;
import io.github.igdefense.evaluation.RunState;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Option;

/** How an attacking command judges random classifiers, and how it survives being killed. */
final class RunOptions {
  @Option(
      names = "--evaluations",
      paramLabel = "R",
      defaultValue = "5",
      description =
          "Evaluations of a smoothed model, odd; their majority decides. Default:"
              + " ${DEFAULT-VALUE}.")
  int evaluations;

  @Option(
      names = "--resume",
      description = "Go on with a run that was interrupted; its options must be the same.")
  boolean resume;

  @Option(
      names = "--state",
      paramLabel = "DIR",
      description =
          "Keep finished batches there, also after the run. By default they are kept in state"
              + " below --out and deleted at the end.")
  Path state;

  Evaluation.Settings settings(ModelOptions model, AttackListOptions attacks) {
    return new Evaluation.Settings(
        model.compute.batchSize,
        model.compute.seed,
        new RepeatedEvaluation(evaluations),
        attacks.order());
  }

  /** Opens the state beside {@code out}, or where the user wants it. */
  RunState open(Path out, Map<String, String> settings, List<Rng> streams) {
    Path folder = state == null ? out.resolve("state") : state;
    Values.outputFolder(folder);
    return RunState.open(folder, resume, settings, streams);
  }

  /** The run is complete. */
  void finished(RunState opened) {
    if (state == null) {
      opened.delete();
    }
  }
}
