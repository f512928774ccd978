package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.NativeLoadException;
import io.github.igdefense.tensor.Version;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.util.List;
import picocli.AutoComplete.GenerateCompletion;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * The command {@code igd}. Exit codes: 0 fine, 1 failed, 2 usage or bad input, 3 finished but a
 * check failed. Results go to standard output, progress and messages to standard error.
 */
@Command(
    name = "igd",
    description =
        "Interpretability-guided test-time adversarial defense: rank neurons, defend, attack,"
            + " report.",
    mixinStandardHelpOptions = true,
    versionProvider = Igd.VersionProvider.class,
    exitCodeListHeading = "Exit codes:%n",
    exitCodeList = {"0:fine", "1:failed", "2:usage or bad input", "3:finished, but a check failed"},
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      DemoCommand.class,
      RankCommand.class,
      RankingCommand.class,
      PredictCommand.class,
      AttackCommand.class,
      EvalCommand.class,
      AnalyzeCommand.class,
      StudyCommand.class,
      CompareCommand.class,
      CorruptionsCommand.class,
      TrainCommand.class,
      InspectCommand.class,
      BenchCommand.class,
      SubsetCommand.class,
      ExportCommand.class,
      ExportImagesCommand.class,
      DoctorCommand.class,
      GenerateCompletion.class,
      CommandLine.HelpCommand.class
    })
public final class Igd {
  @Option(
      names = "--debug",
      description = "Print the stack trace of an error.",
      scope = ScopeType.INHERIT)
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
    sayVersionEverywhere(line);
    line.setParameterExceptionHandler(
        (exception, ignored) -> {
          CommandLine command = exception.getCommandLine();
          return complain(
              command.getErr(),
              exception,
              root.debug,
              oneLine(exception.getMessage())
                  + suggestion(exception)
                  + "; see "
                  + command.getCommandSpec().qualifiedName()
                  + " --help",
              CommandLine.ExitCode.USAGE);
        });
    line.setExecutionExceptionHandler(
        (exception, command, parsed) ->
            complain(
                command.getErr(),
                exception,
                root.debug,
                message(exception),
                exception instanceof InputException
                    ? CommandLine.ExitCode.USAGE
                    : CommandLine.ExitCode.SOFTWARE));
    try {
      return line.execute(arguments);
    } catch (OutOfMemoryError | StackOverflowError | LinkageError e) {
      return complain(line.getErr(), e, root.debug, message(e), CommandLine.ExitCode.SOFTWARE);
    }
  }

  /** {@code igd eval --version} says what {@code igd --version} does. */
  private static void sayVersionEverywhere(CommandLine line) {
    line.getCommandSpec().versionProvider(new VersionProvider());
    line.getSubcommands().values().forEach(Igd::sayVersionEverywhere);
  }

  private static String suggestion(ParameterException exception) {
    List<String> similar =
        exception instanceof UnmatchedArgumentException unmatched
            ? unmatched.getSuggestions()
            : List.of();
    return similar.isEmpty() ? "" : " (did you mean " + String.join(" or ", similar) + "?)";
  }

  private static int complain(
      PrintWriter err, Throwable exception, boolean debug, String message, int exitCode) {
    if (debug) {
      exception.printStackTrace(err);
    }
    err.println("igd: " + message);
    err.flush();
    return exitCode;
  }

  private static String message(Throwable exception) {
    String message = String.valueOf(exception.getMessage());
    if (exception instanceof InputException
        || exception instanceof UncheckedIOException
        || exception instanceof NativeLoadException) {
      return oneLine(message);
    }
    // libtorch appends its own C++ stack to messages.
    int stack = message.indexOf("\nException raised from");
    String first = oneLine(stack < 0 ? message : message.substring(0, stack));
    if (exception instanceof OutOfMemoryError
        || first.contains("can't allocate memory")
        || first.contains("std::bad_alloc")) {
      return "out of memory ("
          + first
          + "); use a smaller --batch-size, fewer images with --limit,"
          + " or more heap with JAVA_TOOL_OPTIONS=-Xmx...";
    }
    return "internal error: "
        + exception.getClass().getSimpleName()
        + ": "
        + first
        + " (run again with --debug for the stack trace)";
  }

  private static String oneLine(String text) {
    return text.strip().replaceAll("\\s*\\R\\s*", "; ");
  }
}
