package io.github.igdefense.data;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/**
 * Opens image sets from the specifications of the command line. Stateless and thread-safe.
 *
 * <table>
 *   <caption>Forms</caption>
 *   <tr><td>{@code npz:FILE}</td><td>arrays {@code x} [N,C,H,W] (uint8, or float in [0,1]) and {@code y}
 * [N]</td></tr>
 *   <tr><td>{@code idx:DIR[:train|test]}</td><td>MNIST's files, gz or plain; grey, padded to 32×32,
 * repeated</td></tr>
 *   <tr><td>{@code folder:DIR}</td><td>one folder of JPEG or PNG files per class</td></tr>
 *   <tr><td>{@code cifar10:DIR_OR_TAR[:train|test]}, {@code cifar100:…}</td><td>the binary
 * distribution</td></tr>
 *   <tr><td>{@code embedded[:train|test]}</td><td>the sample of Fashion-MNIST inside the jar</td></tr>
 * </table>
 *
 * <p>Where a split can be named, the default is {@code test}.
 */
public final class ImageSets {
  /** The forms of a specification, for help texts. */
  public static final String FORMS =
      "npz:FILE, idx:DIR[:train|test], folder:DIR, cifar10:DIR_OR_TAR[:train|test],"
          + " cifar100:DIR_OR_TAR[:train|test] or embedded[:train|test]";

  /** Part of a distributed data set. */
  enum Split {
    TRAIN,
    TEST;

    String label() {
      return name().toLowerCase(java.util.Locale.ROOT);
    }
  }

  private ImageSets() {}

  /**
   * Opens a set; every form checks at once what it can without decoding all images.
   *
   * @throws InputException if the form is unknown or the data are missing, empty, damaged or out of
   *     range
   */
  public static ImageSet open(String spec) {
    int colon = spec.indexOf(':');
    String kind = colon < 0 ? spec : spec.substring(0, colon);
    String rest = colon < 0 ? "" : spec.substring(colon + 1);
    Split split = Split.TEST;
    boolean splits = !kind.equals("npz") && !kind.equals("folder");
    for (Split candidate : Split.values()) {
      String label = candidate.label();
      if (splits && (rest.equals(label) && kind.equals("embedded") || rest.endsWith(":" + label))) {
        split = candidate;
        rest = rest.substring(0, Math.max(0, rest.length() - label.length() - 1));
      }
    }
    if (kind.equals("embedded") && rest.isEmpty() && (colon < 0 || spec.endsWith(split.label()))) {
      return IdxImages.embedded(spec, split);
    }
    if (rest.isEmpty()) {
      throw unknown(spec);
    }
    return switch (kind) {
      case "npz" -> NpzImages.open(spec, path(rest, spec));
      case "idx" -> IdxImages.open(spec, path(rest, spec), split);
      case "folder" -> FolderImages.open(spec, path(rest, spec));
      case "cifar10" -> CifarImages.open(spec, path(rest, spec), split, 10);
      case "cifar100" -> CifarImages.open(spec, path(rest, spec), split, 100);
      default -> throw unknown(spec);
    };
  }

  private static InputException unknown(String spec) {
    return new InputException(
        "expected data as " + FORMS + ", got '" + ZipArchive.printable(spec) + "'");
  }

  private static Path path(String text, String spec) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new InputException("expected a path in '" + ZipArchive.printable(spec) + "'", e);
    }
  }

  /**
   * As {@link #open(String)}, then {@link ImageSet#limit}. A limit beyond the size gives the whole
   * set, whose {@link ImageSet#size()} says how many images are really used; report both numbers.
   */
  public static ImageSet open(String spec, int limit) {
    if (limit < 1) {
      throw new InputException("expected a positive limit on the number of images, got " + limit);
    }
    return open(spec).limit(limit);
  }
}
