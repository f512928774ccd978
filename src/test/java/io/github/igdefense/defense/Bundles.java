package io.github.igdefense.defense;

import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.model.Checkpoint;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Bundles of the shipped CIFAR-10 model, and images that look a little like photographs. */
final class Bundles {
  static final List<String> NAMES =
      List.of(
          "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck");
  static final int LENGTH = 3 * 32 * 32;
  static final double SIGMA = 8 / 255.0;

  private Bundles() {}

  static Bundle of(String layer, Smoothing smoothing) {
    return of(layer, smoothing, Preprocessing.NONE);
  }

  static Bundle of(String layer, Smoothing smoothing, Preprocessing preprocessing) {
    Checkpoint checkpoint = Networks.checkpoint("embedded:cifar10");
    try (StagedNetwork network = Networks.open("rn18", "embedded:cifar10", Dtype.FLOAT32)) {
      ClassMasks masks =
          ClassMasks.random(layer, network.classCount(), network.layer(layer).units(), 12, 5);
      return Bundle.of(
          network,
          checkpoint.state(),
          masks,
          new Bundle.Settings(
              32,
              32,
              preprocessing,
              NAMES,
              IgDefense.DEFAULT_TEMPERATURE,
              smoothing,
              7,
              Map.of("checkpoint_sha256", checkpoint.sha256())));
    }
  }

  /** The same weights and masks, the passes in this arithmetic. */
  static Bundle of(String layer, Smoothing smoothing, BundleManifest.Arithmetic arithmetic) {
    Bundle plain = of(layer, smoothing);
    try (StagedNetwork network = Networks.open("rn18", "embedded:cifar10", Dtype.FLOAT32)) {
      return Bundle.of(
          network,
          plain.weights(),
          plain.masks(),
          new Bundle.Settings(
              32,
              32,
              Preprocessing.NONE,
              NAMES,
              IgDefense.DEFAULT_TEMPERATURE,
              smoothing,
              7,
              plain.manifest().provenance(),
              arithmetic));
    }
  }

  static Path file(Path folder, String layer, Smoothing smoothing) {
    Path file = folder.resolve(layer + smoothing.samples() + smoothing.enabled() + ".igd");
    of(layer, smoothing).write(file);
    return file;
  }

  /** Images of coloured gradients and blobs, [n,3,32,32] in [0,1]. */
  static float[] images(int n, long seed) {
    Random random = new Random(seed);
    float[] x = new float[n * LENGTH];
    for (int plane = 0; plane < 3 * n; plane++) {
      double base = random.nextDouble();
      double slope = random.nextDouble() - 0.5;
      double wave = 2 + 6 * random.nextDouble();
      for (int i = 0; i < 1024; i++) {
        double value =
            base
                + slope * (i / 32 - 16) / 16
                + 0.2 * Math.sin(i % 32 / wave)
                + 0.05 * random.nextGaussian();
        x[plane * 1024 + i] = (float) Math.max(0, Math.min(1, value));
      }
    }
    return x;
  }
}
