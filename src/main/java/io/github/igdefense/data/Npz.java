package io.github.igdefense.data;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * NumPy's {@code .npz} format: named arrays in a zip file, besides which text entries may lie.
 *
 * <p>An open file is immutable and thread-safe; arrays are found when asked for, uncompressed ones
 * without a copy. It holds no handle that needs closing.
 */
public final class Npz {
  private final Path path;
  private final Bytes content;
  private final ZipArchive archive;
  private volatile String sha256;

  private Npz(Path path) {
    this.path = path;
    this.content = Bytes.ofFile(path);
    if (!ZipArchive.looksLikeZip(content)) {
      throw new InputException(
          "expected a NumPy .npz file (a zip archive) at " + path + ", found something else");
    }
    this.archive = ZipArchive.of(content, path.toString());
  }

  /**
   * Opens a file.
   *
   * @throws InputException if it is missing or no sound zip archive
   */
  public static Npz open(Path file) {
    return new Npz(file);
  }

  /** The file. */
  public Path path() {
    return path;
  }

  /** Names of the arrays, in file order. */
  public List<String> names() {
    List<String> names = new ArrayList<>();
    for (String name : archive.names()) {
      if (name.endsWith(".npy")) {
        names.add(name.substring(0, name.length() - 4));
      }
    }
    return names;
  }

  /** Whether there is an array of this name. */
  public boolean contains(String name) {
    return archive.contains(name + ".npy");
  }

  /**
   * The array of this name. Verifies its checksum each time, so keep the result.
   *
   * @throws InputException if there is none (lists those found) or it is damaged
   */
  public NpyArray get(String name) {
    if (!contains(name)) {
      List<String> found = names();
      List<String> shown = found.subList(0, Math.min(found.size(), 20));
      throw new InputException(
          "expected an array '"
              + name
              + "' in "
              + path
              + ", found "
              + shown
              + (found.size() > 20 ? " and " + (found.size() - 20) + " more" : ""));
    }
    return Npy.parse(archive.read(name + ".npy"), path + " (array " + name + ")");
  }

  /** Whether there is an entry of exactly this name, for example {@code provenance.json}. */
  public boolean containsText(String name) {
    return archive.contains(name);
  }

  /**
   * The text of an entry (UTF-8).
   *
   * @throws InputException if there is none or it exceeds 64 MiB
   */
  public String text(String name) {
    Bytes bytes = archive.read(name);
    if (bytes.length() > 64 << 20) {
      throw new InputException("expected text of at most 64 MiB in entry " + name + " of " + path);
    }
    return new String(bytes.get(0, (int) bytes.length()), StandardCharsets.UTF_8);
  }

  /** SHA-256 of the file's bytes; computed on first use. */
  public String sha256() {
    String known = sha256;
    if (known == null) {
      known = content.sha256();
      sha256 = known;
    }
    return known;
  }

  /** Writes arrays only; see {@link #write(Path, Map, Map)}. */
  public static void write(Path file, Map<String, NpyArray> arrays) {
    write(file, arrays, Map.of());
  }

  /**
   * Writes arrays and text entries, uncompressed, in the maps' order, atomically. The same content
   * gives the same bytes: entries carry a fixed time. Use maps with a fixed order.
   *
   * @param texts content by full entry name, for example {@code provenance.json}; names must not
   *     end in .npy
   */
  public static void write(Path file, Map<String, NpyArray> arrays, Map<String, String> texts) {
    AtomicFiles.write(
        file,
        out -> {
          try (StoredZip zip = new StoredZip(out)) {
            for (Map.Entry<String, NpyArray> array : arrays.entrySet()) {
              zip.add(array.getKey() + ".npy", parts(array.getValue()));
            }
            for (Map.Entry<String, String> text : texts.entrySet()) {
              if (text.getKey().endsWith(".npy")) {
                throw new IllegalArgumentException(
                    "a text entry named like an array: " + text.getKey());
              }
              zip.add(
                  text.getKey(), ByteBuffer.wrap(text.getValue().getBytes(StandardCharsets.UTF_8)));
            }
          }
        });
  }

  private static ByteBuffer[] parts(NpyArray array) {
    ByteBuffer[] values = array.bytes().buffers();
    ByteBuffer[] parts = new ByteBuffer[values.length + 1];
    parts[0] = ByteBuffer.wrap(Npy.header(array));
    System.arraycopy(values, 0, parts, 1, values.length);
    return parts;
  }
}
