package io.github.igdefense.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code igd study}: the paper's experiments. */
@Command(
    name = "study",
    description = {
      "The paper's experiments on any model and data set.",
      "Finished points are kept: a study that was stopped goes on when the same command is run."
    },
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      StudyAblationCommand.class,
      StudySweepCommand.class,
      StudyLossSurfaceCommand.class,
      StudyClassesCommand.class,
      StudyKeepCommand.class
    })
final class StudyCommand implements Runnable {
  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "expected ablation, sweep, loss-surface, classes or keep");
  }
}
