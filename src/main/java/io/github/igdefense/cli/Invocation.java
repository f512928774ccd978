package io.github.igdefense.cli;

import java.util.List;
import java.util.stream.Collectors;

/** The command line of this process, as a person would type it. */
final class Invocation {
  private static volatile List<String> arguments = List.of();

  private Invocation() {}

  static void set(String... values) {
    arguments = List.of(values);
  }

  /** {@code scripts/igd} with its arguments, quoted where the shell needs it. */
  static String text() {
    return "scripts/igd"
        + arguments.stream().map(a -> " " + quote(a)).collect(Collectors.joining());
  }

  private static String quote(String argument) {
    return argument.matches("[A-Za-z0-9_./:=,@%+-]+")
        ? argument
        : "'" + argument.replace("'", "'\\''") + "'";
  }
}
