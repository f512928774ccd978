package io.github.igdefense.attack;

import io.github.igdefense.data.InputException;

/**
 * The radius of the ball an attack may search, for images with values in [0,1].
 *
 * @param value positive and finite
 */
public record Epsilon(double value) {

  /**
   * Checks the radius.
   *
   * @throws InputException if it is not positive and finite
   */
  public Epsilon {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new InputException(
          "expected a positive epsilon such as 8/255 or 0.5, got "
              + value
              + " (images have values in [0,1])");
    }
  }

  /** {@code n/255}: n steps of an 8-bit pixel. */
  public static Epsilon of255(double n) {
    return new Epsilon(n / 255);
  }

  /**
   * Parses a fraction such as {@code 8/255} or a number such as {@code 0.1}.
   *
   * @throws InputException for any other text, and for values that are not positive
   */
  public static Epsilon parse(String text) {
    String[] parts = text == null ? new String[0] : text.trim().split("/", -1);
    try {
      if (parts.length == 1) {
        return new Epsilon(Double.parseDouble(parts[0].trim()));
      }
      if (parts.length == 2) {
        return new Epsilon(
            Double.parseDouble(parts[0].trim()) / Double.parseDouble(parts[1].trim()));
      }
    } catch (NumberFormatException e) {
      throw new InputException("expected an epsilon such as 8/255 or 0.1, got '" + text + "'", e);
    }
    throw new InputException("expected an epsilon such as 8/255 or 0.1, got '" + text + "'");
  }

  /** {@code 8/255} where the value is a whole number of 8-bit steps below 1, else the number. */
  @Override
  public String toString() {
    double steps = value * 255;
    long whole = Math.round(steps);
    if (whole >= 1 && whole < 255 && Math.abs(steps - whole) < 1e-9) {
      return whole + "/255";
    }
    return value == Math.rint(value) && value < 1e9
        ? Long.toString((long) value)
        : Double.toString(value);
  }
}
