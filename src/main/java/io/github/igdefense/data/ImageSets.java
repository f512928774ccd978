package io.github.igdefense.data;

/** Opens image sets from the specifications of the command line. Stateless and thread-safe. */
public final class ImageSets {
  private ImageSets() {}

  /**
   * Opens {@code npz:FILE}, {@code idx:DIR[:train|test]}, {@code folder:DIR} or {@code embedded[:train|test]}
   * (default {@code test}).
   *
   * @throws InputException if the form is unknown or the data are missing, empty, damaged or out of range
   */
  public static ImageSet open(String spec) {
    throw new InputException("not yet: " + spec);
  }

  /** As {@link #open(String)}, then {@link ImageSet#limit}; a limit beyond the size gives the whole set. */
  public static ImageSet open(String spec, int limit) {
    return open(spec).limit(limit);
  }
}
