package io.github.igdefense.cli;

import static io.github.igdefense.data.GoldenFiles.golden;

import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Files for command lines, made from the golden ones. */
final class CliData {
  static final int VALUES = 3 * 32 * 32;
  static final String MODEL = golden("a1.pt").toString();

  /** 16 images, float32. */
  static final String IMAGES = "npz:" + golden("images32.npz");

  private CliData() {}

  /** Writes images and labels. */
  static String images(Path file, NpyArray x, NpyArray y) {
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("x", x);
    if (y != null) {
      arrays.put("y", y);
    }
    Npz.write(file, arrays);
    return "npz:" + file;
  }

  /** The points (1−t)·x[i] + t·x[j] of the defended model's golden file, float64. */
  static String mixtures(Path file) {
    Npz expected = Npz.open(golden("defended.npz"));
    double[] images = Npz.open(golden("images32.npz")).get("x").asDouble();
    long[] i = expected.get("a1_mix_i").asLong();
    long[] j = expected.get("a1_mix_j").asLong();
    double[] t = expected.get("a1_mix_t").asDouble();
    double[] x = new double[i.length * VALUES];
    for (int n = 0; n < i.length; n++) {
      for (int v = 0; v < VALUES; v++) {
        x[n * VALUES + v] =
            (1 - t[n]) * images[(int) i[n] * VALUES + v] + t[n] * images[(int) j[n] * VALUES + v];
      }
    }
    return images(file, NpyArray.of(x, i.length, 3, 32, 32), expected.get("a1_y"));
  }

  /** The 200 probe images, each pixel repeated 4×4. */
  static String probe(Path file, String labels) {
    Npz golden = Npz.open(golden("loir_cifar.npz"));
    float[] small = golden.get("x_small").asFloat();
    float[] x = new float[200 * VALUES];
    for (int plane = 0; plane < 200 * 3; plane++) {
      for (int row = 0; row < 32; row++) {
        for (int column = 0; column < 32; column++) {
          x[(plane * 32 + row) * 32 + column] = small[(plane * 8 + row / 4) * 8 + column / 4];
        }
      }
    }
    return images(file, NpyArray.of(x, 200, 3, 32, 32), golden.get(labels));
  }

  static NpyArray importance(String layer) {
    return Npz.open(golden("loir_cifar.npz")).get("a1_" + layer + "_importance");
  }

  /**
   * Writes the golden ranking of a layer as {@code root/a1/<layer>/unit<u>.npy}; gives that folder.
   */
  static Path unitFiles(Path root, String layer) throws Exception {
    NpyArray importance = importance(layer);
    int k = (int) importance.shape()[1];
    double[] values = importance.asDouble();
    Path folder = Files.createDirectories(root.resolve("a1").resolve(layer));
    for (int u = 0; u < importance.shape()[0]; u++) {
      Npy.write(
          folder.resolve("unit" + u + ".npy"),
          NpyArray.of(Arrays.copyOfRange(values, u * k, (u + 1) * k), k));
    }
    return folder;
  }

  /** Writes the golden ranking of a layer as one file. */
  static Path singleFile(Path file, String layer) {
    Npz.write(file, Map.of("importance", importance(layer)));
    return file;
  }
}
