package io.github.igdefense.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Class-balanced subsets: the same number of images of every class, drawn with a seed. The same
 * set, number and seed give the same images on every machine. Stateless.
 */
public final class Subset {
  private Subset() {}

  /**
   * Draws {@code perClass} images of every class without replacement, each class by itself.
   *
   * @return their indices, ascending
   * @throws InputException if classes have fewer; names the first of them and says how many there
   *     are
   */
  public static int[] choose(ImageSet images, int perClass, long seed) {
    if (perClass < 1) {
      throw new InputException("expected at least 1 image per class, got " + perClass);
    }
    int[] labels = images.labels();
    int[] counts = new int[images.classCount()];
    for (int label : labels) {
      counts[label]++;
    }
    List<String> small = new ArrayList<>();
    for (int c = 0; c < counts.length; c++) {
      if (counts[c] < perClass) {
        small.add(images.classNames().get(c) + " has " + counts[c]);
      }
    }
    if (!small.isEmpty()) {
      throw InputException.of(
          "expected at least %d images of every class in %s, %d of %d classes have fewer: %s",
          perClass, images.name(), small.size(), counts.length, ImageListing.some(small));
    }
    int[] chosen = new int[Math.multiplyExact(perClass, counts.length)];
    for (int c = 0; c < counts.length; c++) {
      int wanted = c;
      int[] members = IntStream.range(0, labels.length).filter(i -> labels[i] == wanted).toArray();
      Random random = new Random(mixed(seed * 0x9e3779b97f4a7c15L + c));
      for (int i = 0; i < perClass; i++) {
        int j = i + random.nextInt(members.length - i);
        chosen[c * perClass + i] = members[j];
        members[j] = members[i];
      }
    }
    Arrays.sort(chosen);
    return chosen;
  }

  /** Neighbouring seeds of {@link Random} begin alike; this spreads them (MurmurHash3's end). */
  private static long mixed(long seed) {
    long z = (seed ^ seed >>> 33) * 0xff51afd7ed558ccdL;
    z = (z ^ z >>> 33) * 0xc4ceb9fe1a85ec53L;
    return z ^ z >>> 33;
  }

  /**
   * Writes a list of images that {@code :list=FILE} reads: the path within the folder and the label
   * on each line. Atomic.
   *
   * @param images a set of image files, not a selection of one
   * @throws InputException if the images have no files
   */
  public static void writeList(ImageSet images, int[] indices, Path file) {
    ImageListing listing = listing(images);
    StringBuilder lines = new StringBuilder();
    for (int index : indices) {
      lines.append(relative(listing, index)).append(' ').append(images.label(index)).append('\n');
    }
    AtomicFiles.writeText(file, lines.toString());
  }

  /**
   * Makes a folder with symbolic links to the images, in the folders they lie in. It appears as a
   * whole or not at all.
   *
   * @param images a set of image files, not a selection of one
   * @throws InputException if the images have no files, or {@code directory} exists and is not
   *     empty
   * @throws UncheckedIOException if it cannot be written
   */
  public static void writeLinks(ImageSet images, int[] indices, Path directory) {
    ImageListing listing = listing(images);
    Path target = directory.toAbsolutePath().normalize();
    Path temporary =
        target.resolveSibling(
            "." + target.getFileName() + "." + UUID.randomUUID().toString().substring(0, 8));
    try {
      if (Files.exists(target) && !isEmptyDirectory(target)) {
        throw new InputException(
            "expected a new or empty folder to write links to, got "
                + directory
                + "; name another");
      }
      Files.createDirectories(target.getParent());
      for (int index : indices) {
        Path link = temporary.resolve(relative(listing, index));
        Files.createDirectories(link.getParent());
        Files.createSymbolicLink(link, listing.files().get(index).toAbsolutePath().normalize());
      }
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException | UnsupportedOperationException e) {
      IOException cause = e instanceof IOException io ? io : new IOException(e);
      throw new UncheckedIOException(
          "cannot write links to " + directory + " (" + e + "); nothing was changed", cause);
    } finally {
      deleteTree(temporary);
    }
  }

  private static boolean isEmptyDirectory(Path path) throws IOException {
    if (!Files.isDirectory(path)) {
      return false;
    }
    try (Stream<Path> entries = Files.list(path)) {
      return entries.findAny().isEmpty();
    }
  }

  private static void deleteTree(Path root) {
    if (!Files.exists(root)) {
      return;
    }
    try (Stream<Path> entries = Files.walk(root)) {
      for (Path entry : entries.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(entry);
      }
    } catch (IOException ignored) {
      // The original failure is being reported; a stray hidden folder of links is harmless.
    }
  }

  private static String relative(ImageListing listing, int index) {
    String path =
        listing.root().relativize(listing.files().get(index)).toString().replace('\\', '/');
    if (path.indexOf('\n') >= 0 || path.indexOf('\r') >= 0) {
      throw new InputException(
          "expected file names without line ends, got '" + ZipArchive.printable(path) + "'");
    }
    return path;
  }

  private static ImageListing listing(ImageSet images) {
    ImageSet source = images;
    while (source instanceof ReclassedImages view) {
      source = view.source;
    }
    if (source instanceof FolderImages folder) {
      return folder.listing();
    }
    throw new InputException(
        "expected images in files of their own (folder: or imagenet:) for links or a list, got "
            + images.name()
            + "; write a .npz file instead");
  }
}
