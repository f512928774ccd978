package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import picocli.CommandLine.ITypeConverter;

/** How option values are written. */
final class Values {
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

  /** Refuses a count below one. */
  static int positive(String option, int value) {
    if (value < 1) {
      throw new InputException("expected " + option + " of at least 1, got " + value);
    }
    return value;
  }
}
