package io.github.igdefense.data;

import java.nio.file.Path;
import java.util.Objects;

/**
 * How a set is opened besides its specification. Immutable.
 *
 * @param preprocessing null for the source's own: {@code Res256Crop224} for {@code imagenet}, none
 *     for all others
 * @param list file that names the images of a folder to use, in this order, or null for all: a path
 *     relative to the folder on each line, with or without a label after it
 * @param classMap JSON file that gives each class folder its label, or null for the sorted order
 * @param classNames file with one class name a line, or null for the source's own
 * @param skipUnreadable goes on without the images of a folder that cannot be decoded (all are
 *     decoded once to find them), instead of refusing the set
 */
public record SourceOptions(
    Preprocessing preprocessing,
    Path list,
    Path classMap,
    Path classNames,
    boolean skipUnreadable) {
  /** Nothing but the specification. */
  public static final SourceOptions DEFAULT = new SourceOptions(null, null, null, null, false);

  /** The same with another preprocessing. */
  public SourceOptions withPreprocessing(Preprocessing other) {
    return new SourceOptions(
        Objects.requireNonNull(other), list, classMap, classNames, skipUnreadable);
  }

  /** The same with a list of images. */
  public SourceOptions withList(Path file) {
    return new SourceOptions(preprocessing, file, classMap, classNames, skipUnreadable);
  }

  /** The same with labels for class folders. */
  public SourceOptions withClassMap(Path file) {
    return new SourceOptions(preprocessing, list, file, classNames, skipUnreadable);
  }

  /** The same with class names. */
  public SourceOptions withClassNames(Path file) {
    return new SourceOptions(preprocessing, list, classMap, file, skipUnreadable);
  }

  /** The same, going on without unreadable images or not. */
  public SourceOptions withSkipUnreadable(boolean skip) {
    return new SourceOptions(preprocessing, list, classMap, classNames, skip);
  }
}
