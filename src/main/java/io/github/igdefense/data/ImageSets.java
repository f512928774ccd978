package io.github.igdefense.data;

import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Locale;

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
 *   <tr><td>{@code imagenet:DIR[:train|val]}</td><td>the same, by default with {@code
 * Res256Crop224}; {@code DIR} may hold {@code train} and {@code val}</td></tr>
 *   <tr><td>{@code cifar10:DIR_OR_TAR[:train|test]}, {@code cifar100:…[:coarse]}</td><td>the binary or
 * the Python distribution</td></tr>
 *   <tr><td>{@code cifar10c:DIR:CORRUPTION:SEVERITY}, {@code cifar100c:…}</td><td>a block of {@link
 * CorruptedImages}</td></tr>
 *   <tr><td>{@code embedded[:train|test]}</td><td>the sample of Fashion-MNIST inside the jar</td></tr>
 * </table>
 *
 * <p>Where a split can be named, the default is {@code test} ({@code val} of ImageNet). After the
 * path may also stand, in any order, {@code :classes=FILE} and, of image folders, the name of a
 * {@link Preprocessing}, {@code :list=FILE}, {@code :map=FILE} and {@code :skip-unreadable}, which
 * mean what they do in {@link SourceOptions}; such a FILE may not contain a colon.
 */
public final class ImageSets {
  /** The forms of a specification, for help texts. */
  public static final String FORMS =
      "npz:FILE, idx:DIR[:train|test], folder:DIR, imagenet:DIR[:train|val],"
          + " cifar10:DIR_OR_TAR[:train|test], cifar100:DIR_OR_TAR[:train|test][:coarse],"
          + " cifar10c:DIR:CORRUPTION:SEVERITY, cifar100c:DIR:CORRUPTION:SEVERITY or"
          + " embedded[:train|test]";

  private static final int IMAGENET_CLASSES = 1000;

  /** Part of a distributed data set. */
  enum Split {
    TRAIN,
    TEST;

    String label() {
      return name().toLowerCase(Locale.ROOT);
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
    return open(spec, SourceOptions.DEFAULT);
  }

  /**
   * Opens a set; what {@code spec} says goes before {@code options}.
   *
   * @throws InputException as {@link #open(String)}, or if the options do not fit the form
   */
  public static ImageSet open(String spec, SourceOptions options) {
    Parsed parsed = new Parsed(spec, options);
    ImageSet set = parsed.open();
    SourceOptions all = parsed.options;
    boolean folder = parsed.isFolder();
    if (!folder && all.preprocessing() != null && all.preprocessing().side() > 0) {
      set = new PreprocessedImages(set, all.preprocessing());
    }
    if (!folder && (all.list() != null || all.classMap() != null || all.skipUnreadable())) {
      throw new InputException(
          "expected folder: or imagenet: with a list of images, a class map or --skip-unreadable,"
              + " got '"
              + ZipArchive.printable(spec)
              + "'");
    }
    return all.classNames() == null
        ? set
        : ClassNames.attach(set, ClassNames.read(all.classNames()));
  }

  /** A specification taken apart from its end. */
  private static final class Parsed {
    private final String spec;
    private final String kind;
    private SourceOptions options;
    private String rest;
    private String split; // train, test, val or null
    private boolean coarse;
    private String severity;
    private String corruption;

    Parsed(String spec, SourceOptions given) {
      this.spec = spec;
      int colon = spec.indexOf(':');
      kind = colon < 0 ? spec : spec.substring(0, colon);
      options = given;
      // The path keeps its colon in front, so that an option may also follow the bare kind.
      rest = colon < 0 ? "" : spec.substring(colon);
      for (int last = rest.lastIndexOf(':'); last >= 0; last = rest.lastIndexOf(':')) {
        if (last == 0 && !kind.equals("embedded") || !take(rest.substring(last + 1))) {
          break;
        }
        rest = rest.substring(0, last);
      }
      rest = rest.isEmpty() ? "" : rest.substring(1);
    }

    boolean isFolder() {
      return kind.equals("folder") || kind.equals("imagenet");
    }

    private boolean take(String word) {
      if (word.startsWith("classes=")) {
        options = options.withClassNames(path(word.substring(8)));
        return true;
      }
      return switch (kind) {
        case "cifar10c", "cifar100c" -> takeCorruption(word);
        case "folder" -> takeFolder(word);
        case "imagenet" -> takeFolder(word) || takeSplit(word, "train", "val");
        case "cifar100" -> takeCoarse(word) || takeSplit(word, "train", "test");
        case "cifar10", "idx", "embedded" -> takeSplit(word, "train", "test");
        default -> false;
      };
    }

    private boolean takeSplit(String word, String first, String second) {
      if (split != null || !word.equals(first) && !word.equals(second)) {
        return false;
      }
      split = word;
      return true;
    }

    private boolean takeCoarse(String word) {
      coarse |= word.equals("coarse");
      return word.equals("coarse") || word.equals("fine");
    }

    private boolean takeCorruption(String word) {
      if (severity == null) {
        severity = word;
        return true;
      }
      if (corruption == null) {
        corruption = word;
        return true;
      }
      return false;
    }

    private boolean takeFolder(String word) {
      if (Preprocessing.isName(word)) {
        options = options.withPreprocessing(Preprocessing.parse(word));
      } else if (word.startsWith("list=")) {
        options = options.withList(path(word.substring(5)));
      } else if (word.startsWith("map=")) {
        options = options.withClassMap(path(word.substring(4)));
      } else if (word.equals("skip-unreadable")) {
        options = options.withSkipUnreadable(true);
      } else {
        return false;
      }
      return true;
    }

    ImageSet open() {
      Split part = "train".equals(split) ? Split.TRAIN : Split.TEST;
      if (kind.equals("embedded") && rest.isEmpty() && !spec.endsWith(":")) {
        return IdxImages.embedded(spec, part);
      }
      if (rest.isEmpty() || kind.equals("embedded")) {
        throw unknown();
      }
      return switch (kind) {
        case "npz" -> NpzImages.open(spec, path(rest));
        case "idx" -> IdxImages.open(spec, path(rest), part);
        case "folder" -> FolderImages.open(spec, path(rest), options, Preprocessing.NONE, 0);
        case "imagenet" ->
            FolderImages.open(
                spec,
                imagenet(path(rest)),
                options,
                Preprocessing.parse("Res256Crop224"),
                IMAGENET_CLASSES);
        case "cifar10" -> CifarImages.open(spec, path(rest), part, 10, false);
        case "cifar100" -> CifarImages.open(spec, path(rest), part, 100, coarse);
        case "cifar10c" -> corrupted(10);
        case "cifar100c" -> corrupted(100);
        default -> throw unknown();
      };
    }

    private ImageSet corrupted(int classes) {
      if (corruption == null || !severity.matches("[1-5]")) {
        throw new InputException(
            "expected "
                + kind
                + ":DIR:CORRUPTION:SEVERITY with a severity from 1 to 5, got '"
                + ZipArchive.printable(spec)
                + "'");
      }
      return CorruptedImages.open(
          spec, path(rest), classes, corruption, Integer.parseInt(severity));
    }

    private Path imagenet(Path directory) {
      String part = split == null ? "val" : split;
      Path inner = directory.resolve(part);
      if (split != null && !Files.isDirectory(inner)) {
        throw new InputException(
            "expected a folder "
                + part
                + " in "
                + directory
                + ", found none; leave :"
                + part
                + " out"
                + " if the class folders lie in it directly");
      }
      return Files.isDirectory(inner) ? inner : directory;
    }

    private Path path(String text) {
      try {
        return Path.of(text);
      } catch (InvalidPathException e) {
        throw new InputException("expected a path in '" + ZipArchive.printable(spec) + "'", e);
      }
    }

    private InputException unknown() {
      return new InputException(
          "expected data as " + FORMS + ", got '" + ZipArchive.printable(spec) + "'");
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
