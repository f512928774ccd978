package io.github.igdefense.data;

import io.github.igdefense.data.ImageSets.Split;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;

/**
 * CIFAR-10 and CIFAR-100 in their binary distribution: one or two label bytes, then 3072 bytes CHW,
 * per image. From the directory, the one above it, or the archive ({@code .tar}, {@code .tar.gz}).
 */
final class CifarImages implements ImageSet {
  private static final int LENGTH = 3 * 32 * 32;
  private static final List<String> CIFAR10 =
      List.of(
          "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck");

  private final String name;
  private final byte[][] files;
  private final int record;
  private final int perFile;
  private final int[] labels;
  private final List<String> classNames;
  private final String sha256;

  private CifarImages(
      String name,
      byte[][] files,
      int record,
      int perFile,
      int[] labels,
      List<String> names,
      String sha256) {
    this.name = name;
    this.files = files;
    this.record = record;
    this.perFile = perFile;
    this.labels = labels;
    this.classNames = names;
    this.sha256 = sha256;
  }

  static ImageSet open(String name, Path path, Split split, int classes) {
    List<String> wanted =
        classes == 100
            ? List.of(split.label() + ".bin")
            : split == Split.TEST
                ? List.of("test_batch.bin")
                : IntStream.rangeClosed(1, 5).mapToObj(i -> "data_batch_" + i + ".bin").toList();
    String metaName = classes == 100 ? "fine_label_names.txt" : "batches.meta.txt";
    List<String> all = new ArrayList<>(wanted);
    all.add(metaName);
    Map<String, byte[]> found =
        Files.isDirectory(path) ? fromDirectory(path, all, classes) : fromArchive(path, all);
    int record = LENGTH + (classes == 100 ? 2 : 1);
    byte[][] files = new byte[wanted.size()][];
    Hashes.Builder hash = Hashes.builder().text("cifar" + classes);
    int total = 0;
    for (int f = 0; f < files.length; f++) {
      files[f] = found.get(wanted.get(f));
      if (files[f] == null) {
        throw new InputException(
            "expected "
                + wanted.get(f)
                + " of CIFAR-"
                + classes
                + " (binary version) in "
                + path
                + ", did not find it");
      }
      if (files[f].length == 0
          || files[f].length % record != 0
          || files[f].length != files[0].length) {
        throw InputException.of(
            "expected equally many whole records of %d bytes in each file of %s, %s has %d bytes;"
                + " the file is damaged or of another data set",
            record, path, wanted.get(f), files[f].length);
      }
      hash.text(Hashes.sha256(files[f]));
      total += files[f].length / record;
    }
    int perFile = files[0].length / record;
    int[] labels = new int[total];
    for (int i = 0; i < total; i++) {
      labels[i] = files[i / perFile][i % perFile * record + record - LENGTH - 1] & 0xff;
      if (labels[i] >= classes) {
        throw InputException.of(
            "expected labels below %d in %s, got %d at index %d", classes, path, labels[i], i);
      }
    }
    return new CifarImages(
        name, files, record, perFile, labels, names(found.get(metaName), classes), hash.hex());
  }

  private static List<String> names(byte[] meta, int classes) {
    if (meta != null) {
      List<String> names =
          new String(meta, StandardCharsets.UTF_8)
              .lines()
              .map(String::strip)
              .filter(line -> !line.isEmpty())
              .toList();
      if (names.size() == classes) {
        return names;
      }
    }
    return classes == 10
        ? CIFAR10
        : IntStream.range(0, classes).mapToObj(Integer::toString).toList();
  }

  private static Map<String, byte[]> fromDirectory(Path path, List<String> wanted, int classes) {
    Path inner = path.resolve(classes == 100 ? "cifar-100-binary" : "cifar-10-batches-bin");
    Path directory = Files.isDirectory(inner) ? inner : path;
    Map<String, byte[]> found = new LinkedHashMap<>();
    for (String file : wanted) {
      Path candidate = directory.resolve(file);
      if (Files.exists(candidate)) {
        Bytes bytes = Bytes.ofFile(candidate);
        checkSize(bytes.length(), candidate.toString());
        found.put(file, bytes.get(0, (int) bytes.length()));
      }
    }
    return found;
  }

  private static void checkSize(long size, String label) {
    if (size < 0 || size > 1 << 28) {
      throw new InputException("expected at most 256 MiB in " + label + ", got " + size + " bytes");
    }
  }

  /**
   * Takes the wanted files out of a tar archive, whatever their directory; nothing is extracted to
   * disk.
   */
  private static Map<String, byte[]> fromArchive(Path path, List<String> wanted) {
    Bytes stored = Bytes.ofFile(path);
    boolean gzip =
        stored.length() > 2
            && (stored.getByte(0) & 0xff) == 0x1f
            && (stored.getByte(1) & 0xff) == 0x8b;
    Map<String, byte[]> found = new LinkedHashMap<>();
    try (InputStream raw = new BytesInputStream(stored);
        InputStream in = gzip ? new GZIPInputStream(raw, 1 << 16) : raw) {
      byte[] header = new byte[512];
      while (found.size() < wanted.size()
          && in.readNBytes(header, 0, 512) == 512
          && header[0] != 0) {
        String entry = text(header, 0, 100);
        long size = octal(header, path);
        checkSize(size, entry + " in " + path);
        String base = entry.substring(entry.lastIndexOf('/') + 1);
        boolean regular = header[156] == '0' || header[156] == 0;
        long padding = (512 - size % 512) % 512;
        if (regular && wanted.contains(base) && !found.containsKey(base)) {
          byte[] content = in.readNBytes((int) size);
          if (content.length < size) {
            throw new InputException("expected a whole archive at " + path + ", but it is cut off");
          }
          found.put(base, content);
          in.skipNBytes(padding);
        } else {
          in.skipNBytes(size + padding);
        }
      }
    } catch (IOException e) {
      throw new InputException(
          "expected a directory, .tar or .tar.gz of CIFAR's binary version at "
              + path
              + " ("
              + e
              + ")",
          e);
    }
    return found;
  }

  private static String text(byte[] header, int from, int length) {
    int end = from;
    while (end < from + length && header[end] != 0) {
      end++;
    }
    return new String(header, from, end - from, StandardCharsets.UTF_8);
  }

  private static long octal(byte[] header, Path path) {
    if (!text(header, 257, 5).equals("ustar")) {
      throw new InputException(
          "expected a directory, .tar or .tar.gz of CIFAR's binary version at "
              + path
              + ", found another file");
    }
    try {
      return Long.parseLong(text(header, 124, 12).strip(), 8);
    } catch (NumberFormatException e) {
      throw new InputException(
          "expected a sound tar archive at " + path + ", a size cannot be read", e);
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int size() {
    return labels.length;
  }

  @Override
  public int channels() {
    return 3;
  }

  @Override
  public int height() {
    return 32;
  }

  @Override
  public int width() {
    return 32;
  }

  @Override
  public List<String> classNames() {
    return classNames;
  }

  @Override
  public int label(int index) {
    return labels[index];
  }

  @Override
  public int[] labels() {
    return Arrays.copyOf(labels, labels.length);
  }

  @Override
  public void read(int index, float[] target, int offset) {
    Objects.checkIndex(index, labels.length);
    byte[] file = files[index / perFile];
    int from = index % perFile * record + record - LENGTH;
    ByteImages.toUnit(file, from, target, offset, LENGTH);
  }

  @Override
  public String sha256() {
    return sha256;
  }
}
