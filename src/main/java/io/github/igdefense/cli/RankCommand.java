package io.github.igdefense.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code igd rank}: importance rankings. */
@Command(
    name = "rank",
    description = "Rank the units of a layer by their importance for each class.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "METHOD",
    subcommands = {RankLoirCommand.class, RankCdirCommand.class, RankMergeCommand.class})
final class RankCommand implements Runnable {
  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "expected a ranking method, such as igd rank loir");
  }
}
