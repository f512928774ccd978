package io.github.igdefense.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * What every reader of files owes to any input whatever: it returns, or throws {@link
 * InputException} with a message. Memory and time are bounded from outside (-Xmx, timeout).
 */
public final class FuzzContract {
  private static Path directory;

  private FuzzContract() {}

  /** Runs a reader; anything but success and {@link InputException} goes through. */
  public static void check(Runnable reader) {
    try {
      reader.run();
    } catch (InputException e) {
      // No assertion library: loading it on the first input can take longer than an input may.
      if (e.getMessage() == null || e.getMessage().isBlank()) {
        throw new AssertionError("an InputException without a message", e);
      }
    }
  }

  /** The input as a file; the next input takes its place. Single-threaded. */
  public static Path file(byte[] input) {
    try {
      return Files.write(directory().resolve("input"), input);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A directory for the files of one input, in memory where the system has such a place. */
  public static Path directory() {
    if (directory == null) {
      Path shared = Path.of("/dev/shm");
      try {
        directory =
            Files.isWritable(shared)
                ? Files.createTempDirectory(shared, "igd-fuzz")
                : Files.createTempDirectory("igd-fuzz");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      Runtime.getRuntime().addShutdownHook(new Thread(FuzzContract::clean));
    }
    return directory;
  }

  private static void clean() {
    try (Stream<Path> files = Files.list(directory)) {
      files.forEach(file -> file.toFile().delete());
      Files.delete(directory);
    } catch (IOException e) {
      // The system's own cleaning has to do it.
    }
  }
}
