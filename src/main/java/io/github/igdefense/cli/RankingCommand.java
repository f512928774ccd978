package io.github.igdefense.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code igd ranking}: rankings that exist. */
@Command(
    name = "ranking",
    description = "Look at rankings and compare them.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {RankingShowCommand.class, RankingCompareCommand.class})
final class RankingCommand implements Runnable {
  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "expected igd ranking show FILE|DIR or igd ranking compare A B");
  }
}
