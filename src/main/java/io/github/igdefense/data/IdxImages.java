package io.github.igdefense.data;

import io.github.igdefense.data.ImageSets.Split;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.IntStream;

/** Grey images of MNIST's format as three equal channels, padded with zeros to at least 32×32. */
final class IdxImages implements ImageSet {
  private static final int LEAST = 32;
  private static final String RESOURCES = "/io/github/igdefense/data/fashion-mnist/";
  static final List<String> FASHION_CLASSES =
      List.of(
          "T-shirt/top",
          "Trouser",
          "Pullover",
          "Dress",
          "Coat",
          "Sandal",
          "Shirt",
          "Sneaker",
          "Bag",
          "Ankle boot");

  private final String name;
  private final byte[] pixels;
  private final byte[] labels;
  private final int rows;
  private final int columns;
  private final List<String> classNames;
  private final String sha256;

  private IdxImages(String name, Idx images, Idx labels, List<String> classNames, String sha256) {
    this.name = name;
    this.pixels = images.values();
    this.labels = labels.values();
    this.rows = images.shape()[1];
    this.columns = images.shape()[2];
    this.classNames = classNames;
    this.sha256 = sha256;
  }

  /** Opens the files of a split in a directory; if both forms exist, the plain ones are taken. */
  static ImageSet open(String name, Path directory, Split split) {
    if (!Files.isDirectory(directory)) {
      throw new InputException(
          "expected a directory with IDX files at "
              + directory
              + ", found "
              + (Files.exists(directory) ? "a file" : "nothing"));
    }
    String prefix = split == Split.TRAIN ? "train" : "t10k";
    Path images = find(directory, prefix + "-images", "idx3-ubyte");
    Path labels = find(directory, prefix + "-labels", "idx1-ubyte");
    // MNIST's and Fashion-MNIST's files have equal names; only the directory tells them apart.
    String place = directory.toAbsolutePath().toString().toLowerCase(Locale.ROOT);
    boolean fashion = place.contains("fashion");
    return build(
        name,
        Bytes.ofFile(images),
        images.toString(),
        Bytes.ofFile(labels),
        labels.toString(),
        fashion);
  }

  private static Path find(Path directory, String stem, String type) {
    for (String form : List.of(stem + "-" + type, stem + "." + type)) {
      for (String suffix : List.of("", ".gz")) {
        Path file = directory.resolve(form + suffix);
        if (Files.exists(file)) {
          return file;
        }
      }
    }
    throw new InputException(
        String.format(
            "expected %1$s-%2$s or %1$s-%2$s.gz in %3$s, found neither", stem, type, directory));
  }

  /** The sample of Fashion-MNIST that travels with the program. */
  static ImageSet embedded(String name, Split split) {
    String prefix = RESOURCES + split.label();
    String images = prefix + "-images-idx3-ubyte.gz";
    String labels = prefix + "-labels-idx1-ubyte.gz";
    return build(name, resource(images), images, resource(labels), labels, true);
  }

  private static Bytes resource(String path) {
    try (InputStream in = IdxImages.class.getResourceAsStream(path)) {
      if (in == null) {
        throw new IllegalStateException("the embedded data are missing from the program: " + path);
      }
      return Bytes.of(in.readAllBytes());
    } catch (IOException e) {
      throw new IllegalStateException("cannot read the embedded data " + path, e);
    }
  }

  private static ImageSet build(
      String name,
      Bytes images,
      String imagesLabel,
      Bytes labels,
      String labelsLabel,
      boolean fashion) {
    Idx pixels = Idx.read(images, imagesLabel, 3);
    Idx classes = Idx.read(labels, labelsLabel, 1);
    if (pixels.shape()[0] != classes.shape()[0]) {
      throw InputException.of(
          "expected as many labels as images, got %d images in %s and %d labels in %s",
          pixels.shape()[0], imagesLabel, classes.shape()[0], labelsLabel);
    }
    int most = 0;
    for (byte label : classes.values()) {
      most = Math.max(most, label & 0xff);
    }
    int count = Math.max(10, most + 1);
    List<String> names =
        fashion && count == 10
            ? FASHION_CLASSES
            : IntStream.range(0, count).mapToObj(Integer::toString).toList();
    String hash = Hashes.builder().text("idx").text(images.sha256()).text(labels.sha256()).hex();
    return new IdxImages(name, pixels, classes, names, hash);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String preprocessing() {
    String padding =
        rows < LEAST || columns < LEAST
            ? String.format("zero-padded from %dx%d to %dx%d, ", rows, columns, height(), width())
            : "";
    return padding + "grey repeated to 3 channels";
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
    return Math.max(LEAST, rows);
  }

  @Override
  public int width() {
    return Math.max(LEAST, columns);
  }

  @Override
  public List<String> classNames() {
    return classNames;
  }

  @Override
  public int label(int index) {
    return labels[index] & 0xff;
  }

  @Override
  public void read(int index, float[] target, int offset) {
    Objects.checkIndex(index, labels.length);
    int plane = height() * width();
    Arrays.fill(target, offset, offset + plane, 0);
    int top = (height() - rows) / 2;
    int left = (width() - columns) / 2;
    for (int row = 0; row < rows; row++) {
      int from = (index * rows + row) * columns;
      ByteImages.toUnit(pixels, from, target, offset + (top + row) * width() + left, columns);
    }
    System.arraycopy(target, offset, target, offset + plane, plane);
    System.arraycopy(target, offset, target, offset + 2 * plane, plane);
  }

  @Override
  public String sha256() {
    return sha256;
  }
}
