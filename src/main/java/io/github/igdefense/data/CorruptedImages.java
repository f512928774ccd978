package io.github.igdefense.data;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * CIFAR-10-C and CIFAR-100-C (D. Hendrycks, T. Dietterich, ICLR 2019): one {@code .npy} of uint8
 * [5·N,32,32,3] per corruption, severity 1 to 5 in blocks of N (10,000), and {@code labels.npy}.
 * Files are mapped, not read. Stateless; the sets are immutable.
 */
public final class CorruptedImages {
  /** The 15 corruptions of the benchmark, over which its means are taken. */
  public static final List<String> NAMES =
      List.of(
          "gaussian_noise",
          "shot_noise",
          "impulse_noise",
          "defocus_blur",
          "glass_blur",
          "motion_blur",
          "zoom_blur",
          "snow",
          "frost",
          "fog",
          "brightness",
          "contrast",
          "elastic_transform",
          "pixelate",
          "jpeg_compression");

  /** The 4 further corruptions that come with it, meant for validation. */
  public static final List<String> EXTRA =
      List.of("speckle_noise", "gaussian_blur", "spatter", "saturate");

  /** Severities, from 1 to this. */
  public static final int SEVERITIES = 5;

  private static final int SIDE = 32;
  private static final int LENGTH = 3 * SIDE * SIDE;

  private CorruptedImages() {}

  /** Those of {@link #NAMES} and then {@link #EXTRA} whose file is in {@code directory}. */
  public static List<String> available(Path directory) {
    return Stream.concat(NAMES.stream(), EXTRA.stream())
        .filter(name -> Files.isRegularFile(directory.resolve(name + ".npy")))
        .toList();
  }

  /**
   * Opens the N images of one corruption at one severity, in the order of the clean test set.
   *
   * @param classes 10 or 100
   * @param corruption one of {@link #NAMES} or {@link #EXTRA}
   * @param severity 1 to 5
   * @throws InputException if there is no such corruption, file or severity, or a file is damaged
   *     or of another shape
   */
  public static ImageSet open(Path directory, int classes, String corruption, int severity) {
    return open(
        "cifar" + classes + "c:" + directory + ":" + corruption + ":" + severity,
        directory,
        classes,
        corruption,
        severity);
  }

  static ImageSet open(String name, Path directory, int classes, String corruption, int severity) {
    if (!NAMES.contains(corruption) && !EXTRA.contains(corruption)) {
      throw new InputException(
          "expected a corruption among "
              + String.join(", ", NAMES)
              + ", "
              + String.join(", ", EXTRA)
              + ", got '"
              + ZipArchive.printable(corruption)
              + "'");
    }
    if (severity < 1 || severity > SEVERITIES) {
      throw InputException.of("expected a severity from 1 to %d, got %d", SEVERITIES, severity);
    }
    Path file = directory.resolve(corruption + ".npy");
    NpyArray pixels = Npy.read(file);
    long[] shape = pixels.shape();
    if (pixels.type() != ElementType.UINT8
        || shape.length != 4
        || shape[0] < SEVERITIES
        || shape[0] % SEVERITIES != 0
        || shape[0] > Integer.MAX_VALUE
        || shape[1] != SIDE
        || shape[2] != SIDE
        || shape[3] != 3) {
      throw new InputException(
          "expected uint8[5N, 32, 32, 3] (N images at each severity) in "
              + file
              + ", got "
              + pixels);
    }
    int count = (int) (shape[0] / SEVERITIES);
    int first = (severity - 1) * count;
    int[] labels = labels(directory.resolve("labels.npy"), count, first, classes);
    Bytes block = pixels.bytes().slice((long) first * LENGTH, (long) count * LENGTH);
    return new Block(name, block, labels, classes);
  }

  /** One label for each image of a block, the same in all blocks. */
  private static int[] labels(Path file, int count, int first, int classes) {
    NpyArray stored = Npy.read(file);
    boolean repeated = stored.size() == (long) SEVERITIES * count;
    if (stored.type().isFloating() || stored.rank() != 1 || !repeated && stored.size() != count) {
      throw InputException.of(
          "expected %d or %d whole labels in %s, got %s",
          count, (long) SEVERITIES * count, file, stored);
    }
    int[] labels = new int[count];
    for (int i = 0; i < count; i++) {
      long label = stored.getLong(repeated ? first + i : i);
      if (label < 0 || label >= classes) {
        throw InputException.of(
            "expected labels below %d in %s, got %d at index %d", classes, file, label, i);
      }
      labels[i] = (int) label;
    }
    return labels;
  }

  /** A block of one file, stored row by row with the channels innermost. */
  private static final class Block extends StoredImages {
    private final Bytes pixels;
    private volatile String sha256;

    Block(String name, Bytes pixels, int[] labels, int classes) {
      super(name, labels, classes == 10 ? CifarImages.CIFAR10 : numbers(classes), 3, SIDE, SIDE);
      this.pixels = pixels;
    }

    @Override
    public void read(int index, float[] target, int offset) {
      Objects.checkIndex(index, size());
      Objects.checkFromIndexSize(offset, LENGTH, target.length);
      byte[] rows = pixels.get((long) index * LENGTH, LENGTH);
      byte[] planes = new byte[LENGTH];
      for (int i = 0; i < SIDE * SIDE; i++) {
        for (int c = 0; c < 3; c++) {
          planes[c * SIDE * SIDE + i] = rows[3 * i + c];
        }
      }
      ByteImages.toUnit(planes, 0, target, offset, LENGTH);
    }

    @Override
    public String sha256() {
      String known = sha256;
      if (known == null) {
        known = Hashes.builder().text("corrupted").text(pixels.sha256()).ints(labels()).hex();
        sha256 = known;
      }
      return known;
    }
  }
}
