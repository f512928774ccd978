package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.NativeLoadException;
import io.github.igdefense.tensor.Version;
import java.io.UncheckedIOException;
import picocli.AutoComplete.GenerateCompletion;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/**
 * The command {@code igd}. Exit codes: 0 fine, 1 failed, 2 usage or bad input, 3 finished but a check failed.
 * Results go to standard output, progress and messages to standard error.
 */
@Command(
    name = "igd",
    description = "Interpretability-guided test-time adversarial defense: rank neurons, defend, attack, report.",
    mixinStandardHelpOptions = true,
    versionProvider = Igd.VersionProvider.class,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      DemoCommand.class,
      RankCommand.class,
      PredictCommand.class,
      AttackCommand.class,
      EvalCommand.class,
      TrainCommand.class,
      BenchCommand.class,
      DoctorCommand.class,
      GenerateCompletion.class,
      CommandLine.HelpCommand.class
    })
public final class Igd {
  @Option(names = "--debug", description = "Print the stack trace of an error.", scope = ScopeType.INHERIT)
  boolean debug;

  /** Reads the version of the jar. */
  static final class VersionProvider implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"igd " + Version.get()};
    }
  }

  /** Runs a command line and ends the process with its exit code. */
  public static void main(String[] arguments) {
    Invocation.set(arguments);
    System.exit(execute(arguments));
  }

  /** Runs a command line and gives its exit code. */
  public static int execute(String... arguments) {
    Igd root = new Igd();
    CommandLine line = new CommandLine(root);
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setExecutionExceptionHandler(
        (exception, command, parsed) -> {
          if (root.debug) {
            exception.printStackTrace(command.getErr());
          }
          command.getErr().println("igd: " + message(exception));
          command.getErr().flush();
          return exception instanceof InputException
              ? CommandLine.ExitCode.USAGE
              : CommandLine.ExitCode.SOFTWARE;
        });
    return line.execute(arguments);
  }

  private static String message(Throwable exception) {
    if (exception instanceof InputException
        || exception instanceof UncheckedIOException
        || exception instanceof NativeLoadException) {
      return exception.getMessage();
    }
    String message = exception.getMessage();
    // libtorch appends its own C++ stack to messages.
    int stack = message == null ? -1 : message.indexOf("\nException raised from");
    return "internal error: " + exception.getClass().getSimpleName() + ": "
        + (stack < 0 ? message : message.substring(0, stack))
        + " (run again with --debug for the stack trace)";
  }
}
