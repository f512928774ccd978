package io.github.igdefense.tensor;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Memory of this process as the kernel counts it: Java heap, native memory and mapped libraries.
 */
public final class ProcessMemory {
  private static final Path STATUS = Path.of("/proc/self/status");

  private ProcessMemory() {}

  /** Resident set size in bytes; 0 where the system does not tell. */
  public static long residentBytes() {
    return kibibytes("VmRSS:") * 1024;
  }

  /** Largest resident set size so far, in bytes; 0 where the system does not tell. */
  public static long peakResidentBytes() {
    return kibibytes("VmHWM:") * 1024;
  }

  private static long kibibytes(String key) {
    if (!Files.exists(STATUS)) {
      return 0;
    }
    try {
      for (String line : Files.readAllLines(STATUS)) {
        if (line.startsWith(key)) {
          return Long.parseLong(line.replaceAll("\\D", ""));
        }
      }
      return 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
