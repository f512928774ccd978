package io.github.igdefense.data;

import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.Random;

/** Where the golden files are, and how they are damaged. */
public final class GoldenFiles {
  private GoldenFiles() {}

  /** A file under {@code src/test/resources/goldens}. */
  public static Path golden(String name) {
    URL url = GoldenFiles.class.getResource("/goldens/" + name);
    if (url == null) {
      throw new AssertionError("no golden file " + name);
    }
    try {
      return Path.of(url.toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  /** The content after a random flip, overwrite, cut, removal, insertion or repetition. */
  public static byte[] mutate(byte[] original, Random random) {
    byte[] bytes = original.clone();
    int rounds = 1 + random.nextInt(4);
    for (int round = 0; round < rounds && bytes.length > 0; round++) {
      int at = random.nextInt(bytes.length);
      int length = 1 + random.nextInt(Math.min(16, bytes.length - at));
      switch (random.nextInt(6)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) (random.nextBoolean() ? 0xff : random.nextInt(256));
        case 2 -> bytes = java.util.Arrays.copyOf(bytes, at);
        case 3 -> bytes = splice(bytes, at, at + length, new byte[0]);
        case 4 -> {
          byte[] noise = new byte[length];
          random.nextBytes(noise);
          bytes = splice(bytes, at, at + length, noise);
        }
        default ->
            bytes = splice(bytes, at, at, java.util.Arrays.copyOfRange(bytes, at, at + length));
      }
    }
    return bytes;
  }

  private static byte[] splice(byte[] bytes, int from, int to, byte[] middle) {
    byte[] result = new byte[bytes.length - (to - from) + middle.length];
    System.arraycopy(bytes, 0, result, 0, from);
    System.arraycopy(middle, 0, result, from, middle.length);
    System.arraycopy(bytes, to, result, from + middle.length, bytes.length - to);
    return result;
  }

  /** Square planes of {@code size}, each pixel repeated {@code factor}×{@code factor}. */
  public static double[] upsample(double[] small, int planes, int size, int factor) {
    int large = size * factor;
    double[] x = new double[planes * large * large];
    for (int i = 0; i < x.length; i++) {
      int row = i / large % large / factor;
      int column = i % large / factor;
      x[i] = small[(i / (large * large) * size + row) * size + column];
    }
    return x;
  }
}
