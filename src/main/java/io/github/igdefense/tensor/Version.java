package io.github.igdefense.tensor;

/** The version of this build. */
public final class Version {
  private Version() {}

  /** The jar's version, or {@code development} when run from class folders. */
  public static String get() {
    String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }

  /** The version of the libtorch preset on the class path, or {@code unknown}. */
  public static String libtorch() {
    String version =
        org.bytedeco.pytorch.presets.torch.class.getPackage().getImplementationVersion();
    return version == null ? "unknown" : version;
  }
}
