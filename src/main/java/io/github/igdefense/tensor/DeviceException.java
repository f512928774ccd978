package io.github.igdefense.tensor;

/** A device cannot be computed on. The message names what is missing and says what to do. */
public final class DeviceException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  DeviceException(String message) {
    super(message);
  }
}
