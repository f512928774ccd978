package io.github.igdefense.tensor;

/** The version of this build. */
public final class Version {
  private Version() {}

  /** The jar's version, or {@code development} when run from class folders. */
  public static String get() {
    String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }
}
