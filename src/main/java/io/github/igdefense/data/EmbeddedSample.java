package io.github.igdefense.data;

import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.zip.GZIPOutputStream;

/**
 * Makes the embedded sample of Fashion-MNIST from the whole set: equally many images of each class,
 * drawn with a fixed seed, ordered so that classes alternate (any leading multiple of ten images is
 * balanced). Run through {@code scripts/make_embedded_sample.sh}.
 */
public final class EmbeddedSample {
  private static final int CLASSES = 10;
  private static final long SEED = 20240;

  private EmbeddedSample() {}

  /** Takes the directory of the whole set and the directory to write the four files to. */
  public static void main(String[] arguments) {
    if (arguments.length != 2) {
      System.err.println("usage: EmbeddedSample FASHION_MNIST_DIR OUTPUT_DIR");
      System.exit(2);
    }
    Path source = Path.of(arguments[0]);
    Path target = Path.of(arguments[1]);
    try {
      make(source, "train", target, "train", 600);
      make(source, "t10k", target, "test", 100);
    } catch (InputException e) {
      System.err.println(e.getMessage());
      System.exit(2);
    }
  }

  /** Writes one part with {@code perClass} images of each class. */
  static void make(Path source, String part, Path target, String name, int perClass) {
    Idx images = read(source, part + "-images-idx3-ubyte", 3);
    Idx labels = read(source, part + "-labels-idx1-ubyte", 1);
    int[] chosen = choose(labels.values(), perClass);
    int length = images.shape()[1] * images.shape()[2];
    byte[] pixels = new byte[chosen.length * length];
    byte[] classes = new byte[chosen.length];
    for (int i = 0; i < chosen.length; i++) {
      System.arraycopy(images.values(), chosen[i] * length, pixels, i * length, length);
      classes[i] = labels.values()[chosen[i]];
    }
    write(
        target.resolve(name + "-images-idx3-ubyte.gz"),
        new int[] {chosen.length, images.shape()[1], images.shape()[2]},
        pixels);
    write(target.resolve(name + "-labels-idx1-ubyte.gz"), new int[] {chosen.length}, classes);
  }

  private static Idx read(Path directory, String stem, int rank) {
    Path plain = directory.resolve(stem);
    Path file = Files.exists(plain) ? plain : directory.resolve(stem + ".gz");
    return Idx.read(Bytes.ofFile(file), file.toString(), rank);
  }

  private static int[] choose(byte[] labels, int perClass) {
    int[][] chosen = new int[CLASSES][];
    for (int c = 0; c < CLASSES; c++) {
      int wanted = c;
      int[] members =
          java.util.stream.IntStream.range(0, labels.length)
              .filter(i -> labels[i] == wanted)
              .toArray();
      if (members.length < perClass) {
        throw InputException.of(
            "expected %d images of class %d, found %d", perClass, c, members.length);
      }
      Random random = new Random(SEED + c);
      for (int i = 0; i < perClass; i++) {
        int j = i + random.nextInt(members.length - i);
        int swap = members[i];
        members[i] = members[j];
        members[j] = swap;
      }
      chosen[c] = members;
    }
    int[] order = new int[CLASSES * perClass];
    for (int i = 0; i < order.length; i++) {
      order[i] = chosen[i % CLASSES][i / CLASSES];
    }
    return order;
  }

  private static void write(Path file, int[] shape, byte[] values) {
    AtomicFiles.write(
        file,
        out -> {
          // Java's gzip header holds no time and no name, so equal content gives equal bytes.
          try (DataOutputStream data = new DataOutputStream(new BestGzip(out))) {
            data.writeInt(0x0800 | shape.length);
            for (int extent : shape) {
              data.writeInt(extent);
            }
            data.write(values);
          }
        });
  }

  private static final class BestGzip extends GZIPOutputStream {
    BestGzip(OutputStream out) throws IOException {
      super(out, 1 << 16);
      def.setLevel(9);
    }
  }
}
