package io.github.igdefense.kernels;

import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.annotation.NoException;
import org.bytedeco.javacpp.annotation.Platform;

/**
 * Environment variables of this process, as C code sees them.
 *
 * <p>libgomp and OpenBLAS read their settings from the environment when they are loaded, and Java
 * can only read it. This JNI library links nothing but libc, so it can be used before either is
 * loaded.
 *
 * <p>Threads: {@code setenv} is not thread-safe in C; call it only while loading (package {@code
 * tensor} does, under its lock).
 */
@NoException
@Platform(value = "linux-x86_64", include = "igd_env.h", library = "jniigd_env")
public final class ProcessEnvironment {
  static {
    Loader.load();
  }

  private ProcessEnvironment() {}

  /**
   * Sets a variable.
   *
   * @param overwrite 0 leaves a value that the user has set
   * @return 0, or −1 when the name is not valid or memory is short
   */
  public static native int igd_setenv(String name, String value, int overwrite);

  /** The value of a variable, or null when it is not set. */
  public static native String igd_getenv(String name);
}
