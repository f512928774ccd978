package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.ITypeConverter;

/** How option values are written. */
final class Values {
  private static final int MAX_THREADS = 1024;

  private Values() {}

  /** A number of pixels in [0,1], written as a decimal or as a fraction such as {@code 8/255}. */
  static final class Fraction implements ITypeConverter<Double> {
    @Override
    public Double convert(String text) {
      try {
        int slash = text.indexOf('/');
        double value =
            slash < 0
                ? Double.parseDouble(text)
                : Double.parseDouble(text.substring(0, slash))
                    / Double.parseDouble(text.substring(slash + 1));
        if (!Double.isFinite(value)) {
          throw new NumberFormatException();
        }
        return value;
      } catch (NumberFormatException e) {
        throw new picocli.CommandLine.TypeConversionException(
            "expected a number or a fraction such as 8/255, got '" + text + "'");
      }
    }
  }

  /**
   * Refuses, before anything is computed, a folder that cannot be made or written to. Creates
   * nothing.
   *
   * @throws InputException if {@code folder} or one of its parents is a file, or may not be written
   */
  static void outputFolder(Path folder) {
    Path existing = folder.toAbsolutePath();
    while (existing.getParent() != null && !Files.exists(existing)) {
      existing = existing.getParent();
    }
    if (!Files.isDirectory(existing)) {
      throw new InputException(
          "expected a folder to write to as --out, got "
              + folder
              + ", but "
              + existing
              + " is a file; choose another place");
    }
    if (!Files.isWritable(existing)) {
      throw new InputException(
          "expected a folder to write to as --out, got "
              + folder
              + ", but "
              + existing
              + " is not writeable; choose another place");
    }
  }

  /**
   * As {@link #outputFolder} for a file.
   *
   * @throws InputException if {@code file} is a folder, or its folder cannot be made or written to
   */
  static void outputFile(Path file) {
    if (Files.isDirectory(file)) {
      throw new InputException(
          "expected a file to write to as --out, got the folder " + file + "; add a file name");
    }
    outputFolder(file.toAbsolutePath().getParent());
  }

  /**
   * Refuses a number of threads that the native libraries do not take; null stands for the default.
   */
  static void threads(Integer threads) {
    if (threads != null && (threads < 1 || threads > MAX_THREADS)) {
      throw new InputException(
          "expected --threads between 1 and " + MAX_THREADS + ", got " + threads);
    }
  }

  /** Refuses a count below one. */
  static int positive(String option, int value) {
    if (value < 1) {
      throw new InputException("expected " + option + " of at least 1, got " + value);
    }
    return value;
  }
}
