package io.github.igdefense.data;

/**
 * Input from outside (a file, a data set, a checkpoint, an option) is not what it has to be.
 *
 * <p>The message says what was expected, what came, and what to do about it. The command line
 * prints it without a stack trace and ends with exit code 2. Programming errors keep their usual
 * types ({@link IllegalArgumentException}, {@link IllegalStateException}); failures while writing
 * are {@link java.io.UncheckedIOException}, see {@link AtomicFiles}.
 */
public class InputException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Creates the exception with a complete, printable message. */
  public InputException(String message) {
    super(message);
  }

  /** Creates the exception with a complete, printable message and the failure that showed it. */
  public InputException(String message, Throwable cause) {
    super(message, cause);
  }

  /** Like {@link String#format(String, Object...)} in the root locale. */
  public static InputException of(String format, Object... arguments) {
    return new InputException(String.format(java.util.Locale.ROOT, format, arguments));
  }
}
