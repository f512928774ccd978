package io.github.igdefense.model;

import io.github.igdefense.data.Bytes;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** Says what a file is that is no model, and what to do about it. */
final class ForeignFiles {
  private ForeignFiles() {}

  /** For example {@code an HTML page; the download went to a web page …, fetch it again}. */
  static String describe(Bytes bytes) {
    String start =
        new String(bytes.get(0, (int) Math.min(600, bytes.length())), StandardCharsets.ISO_8859_1);
    String text = start.strip().toLowerCase(Locale.ROOT);
    if (bytes.length() == 0) {
      return "an empty file; fetch it again";
    }
    if (text.startsWith("<!doctype") || text.startsWith("<html") || text.contains("<head")) {
      return "an HTML page; the download went to a web page (login, quota or moved file), fetch it"
          + " again";
    }
    if (text.startsWith("version https://git-lfs")) {
      return "a Git LFS pointer; run 'git lfs pull' to get the file itself";
    }
    if (start.startsWith("\u001f\u008b")) {
      return "a gzip archive; unpack it first";
    }
    if (start.length() > 262 && start.startsWith("ustar", 257)) {
      return "a tar archive; unpack it first (PyTorch before 0.1.10 also wrote tar: save the file"
          + " again)";
    }
    if (start.startsWith("\u0089HDF")) {
      return "an HDF5 file";
    }
    if (start.startsWith("\u0093NUMPY")) {
      return "a NumPy array";
    }
    return "something else; the file may be damaged or cut off";
  }
}
