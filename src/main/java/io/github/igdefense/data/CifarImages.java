package io.github.igdefense.data;

import io.github.igdefense.data.ImageSets.Split;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * CIFAR-10 and CIFAR-100 as published, binary or Python pickles, in memory: from the directory, the
 * one above it, or the archive ({@code .tar}, {@code .tar.gz}). Where both forms lie in one place,
 * the binary one is taken.
 */
final class CifarImages extends StoredImages {
  static final int LENGTH = 3 * 32 * 32;
  static final List<String> CIFAR10 =
      List.of(
          "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck");

  private final Bytes[] blocks;
  private final int record;
  private final int perBlock;
  private final String sha256;

  /**
   * Blocks of {@code perBlock} records each, whose last {@link #LENGTH} bytes are an image, CHW.
   */
  private CifarImages(
      String name,
      Bytes[] blocks,
      int record,
      int[] labels,
      List<String> classNames,
      String sha256) {
    super(name, labels, classNames, 3, 32, 32);
    this.blocks = blocks;
    this.record = record;
    this.perBlock = labels.length / blocks.length;
    this.sha256 = sha256;
  }

  /** One published form of one data set. */
  enum Form {
    BINARY("binary version"),
    PICKLE("Python version");

    private final String words;

    Form(String words) {
      this.words = words;
    }

    /** The directory of the published archive. */
    String directory(int classes) {
      return this == BINARY
          ? (classes == 100 ? "cifar-100-binary" : "cifar-10-batches-bin")
          : (classes == 100 ? "cifar-100-python" : "cifar-10-batches-py");
    }

    /** The files of a part, in order. */
    List<String> files(int classes, Split split) {
      String end = this == BINARY ? ".bin" : "";
      if (classes == 100) {
        return List.of(split.label() + end);
      }
      return split == Split.TEST
          ? List.of("test_batch" + end)
          : IntStream.rangeClosed(1, 5).mapToObj(i -> "data_batch_" + i + end).toList();
    }

    /** The file with the class names. */
    String meta(int classes, boolean coarse) {
      if (this == PICKLE) {
        return classes == 100 ? "meta" : "batches.meta";
      }
      return classes == 10
          ? "batches.meta.txt"
          : coarse ? "coarse_label_names.txt" : "fine_label_names.txt";
    }
  }

  /**
   * Opens one part.
   *
   * @param coarse of CIFAR-100, the 20 coarse labels instead of the 100 fine ones
   */
  static ImageSet open(String name, Path path, Split split, int classes, boolean coarse) {
    boolean directory = Files.isDirectory(path);
    Map<String, byte[]> inArchive = directory ? null : archive(path, split, classes, coarse);
    for (Form form : Form.values()) {
      List<String> wanted = form.files(classes, split);
      Map<String, Bytes> found = new LinkedHashMap<>();
      List<String> all = new ArrayList<>(wanted);
      all.add(form.meta(classes, coarse));
      for (String file : all) {
        Bytes content = directory ? inDirectory(path, form, classes, file) : null;
        if (!directory && inArchive.containsKey(file)) {
          content = Bytes.of(inArchive.get(file));
        }
        if (content != null) {
          found.put(file, content);
        }
      }
      if (found.containsKey(wanted.get(0))) {
        for (String file : wanted) {
          if (!found.containsKey(file)) {
            throw missing(file, classes, form.words, path);
          }
        }
        Bytes meta = found.get(form.meta(classes, coarse));
        return form == Form.BINARY
            ? binary(name, path, wanted, found, meta, classes, coarse)
            : pickle(name, path, wanted, found, meta, classes, coarse);
      }
    }
    throw missing(
        Form.BINARY.files(classes, split).get(0)
            + " (binary version) or "
            + Form.PICKLE.files(classes, split).get(0),
        classes,
        Form.PICKLE.words,
        path);
  }

  private static InputException missing(String file, int classes, String words, Path path) {
    return InputException.of(
        "expected %s of CIFAR-%d (%s) in %s, did not find it", file, classes, words, path);
  }

  private static Map<String, byte[]> archive(Path path, Split split, int classes, boolean coarse) {
    List<List<String>> sets = new ArrayList<>();
    List<String> wanted = new ArrayList<>();
    for (Form form : Form.values()) {
      List<String> files = new ArrayList<>(form.files(classes, split));
      files.add(form.meta(classes, coarse));
      sets.add(files);
      wanted.addAll(files);
    }
    return TarArchive.read(
        path, wanted, found -> sets.stream().anyMatch(files -> found.containsAll(files)));
  }

  private static Bytes inDirectory(Path path, Form form, int classes, String file) {
    Path inner = path.resolve(form.directory(classes));
    Path found = (Files.isDirectory(inner) ? inner : path).resolve(file);
    if (!Files.isRegularFile(found)) {
      return null;
    }
    Bytes content = Bytes.ofFile(found);
    if (content.length() > TarArchive.MAX_FILE) {
      throw new InputException(
          "expected at most 256 MiB in " + found + ", got " + content.length() + " bytes");
    }
    return content;
  }

  private static ImageSet binary(
      String name,
      Path path,
      List<String> wanted,
      Map<String, Bytes> found,
      Bytes meta,
      int classes,
      boolean coarse) {
    int record = LENGTH + (classes == 100 ? 2 : 1);
    Bytes[] blocks = wanted.stream().map(found::get).toArray(Bytes[]::new);
    long total = 0;
    for (int f = 0; f < blocks.length; f++) {
      long length = blocks[f].length();
      if (length == 0 || length % record != 0 || length != blocks[0].length()) {
        throw InputException.of(
            "expected equally many whole records of %d bytes in each file of %s, %s has %d bytes;"
                + " the file is damaged or of another data set",
            record, path, wanted.get(f), length);
      }
      total += length / record;
    }
    int count = classCount(classes, coarse);
    int perBlock = (int) (blocks[0].length() / record);
    int[] labels = new int[(int) total];
    for (int i = 0; i < labels.length; i++) {
      long at = (long) (i % perBlock) * record + (classes == 100 && !coarse ? 1 : 0);
      labels[i] = blocks[i / perBlock].getByte(at) & 0xff;
      checkLabel(labels[i], i, count, path);
    }
    List<String> names = null;
    if (meta != null && meta.length() <= 1 << 20) {
      names =
          new String(meta.get(0, (int) meta.length()), java.nio.charset.StandardCharsets.UTF_8)
              .lines()
              .map(String::strip)
              .filter(line -> !line.isEmpty())
              .toList();
    }
    return new CifarImages(
        name, blocks, record, labels, names(names, count), hash(classes, coarse, blocks));
  }

  private static ImageSet pickle(
      String name,
      Path path,
      List<String> wanted,
      Map<String, Bytes> found,
      Bytes meta,
      int classes,
      boolean coarse) {
    int count = classCount(classes, coarse);
    Bytes[] blocks = new Bytes[wanted.size()];
    int[][] parts = new int[blocks.length][];
    for (int f = 0; f < blocks.length; f++) {
      String label = wanted.get(f) + " of " + path;
      CifarPickle batch = CifarPickle.read(found.get(wanted.get(f)), label, classes, coarse);
      blocks[f] = batch.pixels();
      parts[f] = batch.labels();
      if (parts[f].length != parts[0].length) {
        throw InputException.of(
            "expected equally many images in each file of %s, %s has %d instead of %d",
            path, wanted.get(f), parts[f].length, parts[0].length);
      }
      for (int i = 0; i < parts[f].length; i++) {
        checkLabel(parts[f][i], f * parts[0].length + i, count, path);
      }
    }
    int[] labels = Arrays.stream(parts).flatMapToInt(Arrays::stream).toArray();
    Bytes[] files = wanted.stream().map(found::get).toArray(Bytes[]::new);
    List<String> names = meta == null ? null : CifarPickle.classNames(meta, path, classes, coarse);
    return new CifarImages(
        name, blocks, LENGTH, labels, names(names, count), hash(classes, coarse, files));
  }

  private static String hash(int classes, boolean coarse, Bytes[] files) {
    Hashes.Builder hash = Hashes.builder().text("cifar" + classes + (coarse ? " coarse" : ""));
    for (Bytes file : files) {
      hash.text(file.sha256());
    }
    return hash.hex();
  }

  private static int classCount(int classes, boolean coarse) {
    return coarse ? 20 : classes;
  }

  private static void checkLabel(int label, int index, int classes, Path path) {
    if (label < 0 || label >= classes) {
      throw InputException.of(
          "expected labels below %d in %s, got %d at index %d", classes, path, label, index);
    }
  }

  private static List<String> names(List<String> names, int classes) {
    if (names != null && names.size() == classes) {
      return List.copyOf(names);
    }
    return classes == 10 ? CIFAR10 : numbers(classes);
  }

  @Override
  public void read(int index, float[] target, int offset) {
    Objects.checkIndex(index, size());
    Objects.checkFromIndexSize(offset, LENGTH, target.length);
    long from = (long) (index % perBlock + 1) * record - LENGTH;
    byte[] image = blocks[index / perBlock].get(from, LENGTH);
    ByteImages.toUnit(image, 0, target, offset, LENGTH);
  }

  @Override
  public String sha256() {
    return sha256;
  }
}
