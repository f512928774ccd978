package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import java.util.Arrays;
import java.util.Optional;

/** The published input normalisations, and the text form a user gives one in. */
public final class InputNormalizations {
  /** Of the ImageNet models of torchvision. */
  public static final InputNormalization IMAGENET =
      new InputNormalization(
          new double[] {0.485, 0.456, 0.406}, new double[] {0.229, 0.224, 0.225});

  /** Of the CIFAR-10 models that normalise inside. */
  public static final InputNormalization CIFAR_10 =
      new InputNormalization(
          new double[] {0.4914, 0.4822, 0.4465}, new double[] {0.2471, 0.2435, 0.2616});

  /** Of the CIFAR-100 models that normalise inside. */
  public static final InputNormalization CIFAR_100 =
      new InputNormalization(
          new double[] {0.5071, 0.4865, 0.4409}, new double[] {0.2673, 0.2564, 0.2762});

  /** Text for: the checkpoint's own, or else the family's. */
  public static final String AUTO = "auto";

  private InputNormalizations() {}

  /**
   * A normalisation as text: {@code none}, the name of a published one, or its means and
   * deviations.
   */
  public static String text(Optional<InputNormalization> normalization) {
    if (normalization.isEmpty()) {
      return "none";
    }
    InputNormalization found = normalization.get();
    return found.equals(IMAGENET)
        ? "imagenet"
        : found.equals(CIFAR_10)
            ? "cifar10"
            : found.equals(CIFAR_100) ? "cifar100" : found.toString();
  }

  /**
   * The normalisation that a text names: {@code none}, {@code cifar10}, {@code cifar100}, {@code
   * imagenet}, or means and deviations, separated by commas (2 numbers for all channels, or 6).
   * {@link #AUTO} is the caller's to handle.
   *
   * @throws InputException for anything else
   */
  public static Optional<InputNormalization> parse(String text) {
    switch (text) {
      case "none":
        return Optional.empty();
      case "cifar10":
        return Optional.of(CIFAR_10);
      case "cifar100":
        return Optional.of(CIFAR_100);
      case "imagenet":
        return Optional.of(IMAGENET);
      default:
        String[] parts = text.split(",", -1);
        try {
          double[] values = Arrays.stream(parts).mapToDouble(Double::parseDouble).toArray();
          if (values.length % 2 == 0) {
            int half = values.length / 2;
            return Optional.of(
                new InputNormalization(
                    Arrays.copyOf(values, half), Arrays.copyOfRange(values, half, 2 * half)));
          }
        } catch (NumberFormatException e) {
          // Said below, with what is expected.
        }
        throw new InputException(
            "expected an input normalisation of auto, none, cifar10, cifar100, imagenet or"
                + " mean,...,std,... (as many of each as channels), got '"
                + text
                + "'");
    }
  }
}
