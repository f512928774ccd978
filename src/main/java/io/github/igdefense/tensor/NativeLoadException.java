package io.github.igdefense.tensor;

import org.bytedeco.javacpp.Loader;

/** A native library could not be loaded. The message names it and says what to do. */
public final class NativeLoadException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  NativeLoadException(String message, Throwable cause) {
    super(message, cause);
  }

  static NativeLoadException of(Throwable error) {
    Throwable root = error;
    while (root.getCause() != null && root.getCause() != root) {
      root = root.getCause();
    }
    String platform = Loader.Detector.getPlatform();
    String remedy;
    if (String.valueOf(root.getMessage()).startsWith("the CUDA build of libtorch")) {
      return new NativeLoadException(
          "could not load " + root.getMessage() + "; see docs/cuda.md", error);
    }
    if (!platform.equals("linux-x86_64")) {
      remedy = "this build runs on linux-x86_64; this JVM reports " + platform + ".";
    } else if (String.valueOf(root.getMessage()).contains("No space left")) {
      remedy =
          "the cache folder "
              + cacheFolder()
              + " is full: libtorch needs about 400 MB there (set"
              + " -Dorg.bytedeco.javacpp.cachedir=DIR to use another).";
    } else if (String.valueOf(root.getMessage()).contains("classifier")) {
      return new NativeLoadException(
          "could not load the native libraries: " + root.getMessage(), error);
    } else {
      remedy =
          "check that org.bytedeco:pytorch:2.10.0-1.5.13 and org.bytedeco:openblas:0.3.31-1.5.13,"
              + " each with classifier linux-x86_64, are on the class path, that "
              + cacheFolder()
              + " is writeable, and that LD_LIBRARY_PATH names no other libtorch.";
    }
    return new NativeLoadException(
        "could not load the native libraries: " + root.getMessage() + "; " + remedy, error);
  }

  private static String cacheFolder() {
    try {
      return Loader.getCacheDir().getPath();
    } catch (java.io.IOException e) {
      return "the JavaCPP cache folder (" + e.getMessage() + ")";
    }
  }
}
