package io.github.igdefense.importance;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Pooled activations q [N,U] of named stages over a set of images, any number of stages in one
 * pass, kept as {@code .npy} files where a cache folder is given.
 *
 * <p>A stage is taken where its mask acts. The published CD-IR takes the last block group of a wide
 * ResNet before the final batch normalisation and ReLU; where a network has that point as a stage
 * of its own, it can be named. Not thread-safe; native memory is the caller's scope's.
 */
public final class PooledActivations {
  private final StagedNetwork network;
  private final Pool pool;
  private final int batchSize;
  private final Path cache;

  /** How the positions of a channel become one number. */
  public enum Pool {
    /** Their mean: the default. */
    AVG,
    /** The largest. */
    MAX;

    /** Parses {@code avg} or {@code max}. */
    public static Pool parse(String text) {
      for (Pool value : values()) {
        if (value.toString().equals(text)) {
          return value;
        }
      }
      throw new InputException("expected --pool avg or max, got '" + text + "'");
    }

    @Override
    public String toString() {
      return name().toLowerCase(java.util.Locale.ROOT);
    }
  }

  /**
   * @param network not owned
   * @param cache folder of the {@code .npy} files, made when needed; null: none
   */
  public PooledActivations(StagedNetwork network, Pool pool, int batchSize, Path cache) {
    this.network = network;
    this.pool = pool;
    this.batchSize = batchSize;
    this.cache = cache;
  }

  /**
   * Collects the activations.
   *
   * @param stages names of stages, maskable or not
   * @param progress told how many images are done, after each batch; not called where all is cached
   * @return per stage, in the given order, q [N,U] in the caller's scope: float64 for a float64
   *     network, else float32
   * @throws InputException if there is no such stage (listing those there are), or an activation is
   *     not finite (naming stage and image)
   */
  public Map<String, Tensor> collect(ImageSet images, List<String> stages, IntConsumer progress) {
    Map<String, MaskableLayer> wanted = new LinkedHashMap<>();
    for (String stage : stages) {
      wanted.put(stage, stage(stage));
    }
    Map<String, Tensor> found = new LinkedHashMap<>();
    List<MaskableLayer> missing = new ArrayList<>();
    for (MaskableLayer layer : wanted.values()) {
      Tensor cached = cache == null ? null : read(file(images, layer), images.size(), layer);
      if (cached != null) {
        found.put(layer.name(), cached);
      } else {
        missing.add(layer);
      }
    }
    if (!missing.isEmpty()) {
      missing.sort(Comparator.comparingInt(MaskableLayer::stage));
      run(images, missing, found, progress);
      for (MaskableLayer layer : missing) {
        if (cache != null) {
          write(file(images, layer), found.get(layer.name()));
        }
      }
    }
    Map<String, Tensor> ordered = new LinkedHashMap<>();
    wanted.keySet().forEach(name -> ordered.put(name, found.get(name)));
    return ordered;
  }

  private MaskableLayer stage(String name) {
    List<StagedNetwork.Stage> stages = network.stages();
    for (int i = 0; i < stages.size(); i++) {
      if (stages.get(i).name().equals(name)) {
        return new MaskableLayer(name, stages.get(i).units(), i, false);
      }
    }
    throw new InputException(
        "expected a layer of "
            + network.architecture()
            + " "
            + stages.stream().map(StagedNetwork.Stage::name).toList()
            + ", got '"
            + name
            + "'");
  }

  private void run(
      ImageSet images,
      List<MaskableLayer> layers,
      Map<String, Tensor> found,
      IntConsumer progress) {
    ScalarType type = network.dtype() == Dtype.FLOAT64 ? ScalarType.Double : ScalarType.Float;
    for (MaskableLayer layer : layers) {
      found.put(
          layer.name(),
          torch.zeros(new long[] {images.size(), layer.units()}, Tensors.options(type)));
    }
    try (AutoGradMode off = new AutoGradMode(false);
        ImageBatches batches =
            ImageBatches.of(images, batchSize, null, network.dtype() == Dtype.FLOAT64)) {
      int done = 0;
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        try (PointerScope scope = new PointerScope()) {
          Tensor current = network.prefix(network.tensor(batch), layers.get(0));
          int at = layers.get(0).stage();
          for (MaskableLayer layer : layers) {
            for (; at < layer.stage(); at++) {
              current = network.stages().get(at + 1).step().apply(current);
            }
            Tensor pooled = pooled(current, type);
            checkFinite(pooled, layer, batch);
            found.get(layer.name()).narrow(0, done, batch.size()).copy_(pooled);
          }
        }
        done += batch.size();
        progress.accept(done);
      }
    }
  }

  private Tensor pooled(Tensor activation, ScalarType type) {
    return Tensors.scoped(
        () -> {
          Tensor wide = activation.to(type);
          if (wide.dim() == 2) {
            return wide;
          }
          return pool == Pool.AVG
              ? wide.mean(new long[] {2, 3})
              : wide.amax(new long[] {2, 3}, false);
        });
  }

  private static void checkFinite(Tensor pooled, MaskableLayer layer, ImageBatch batch) {
    // A sum of finite numbers can overflow, never the other way round.
    if (Double.isFinite(Tensors.sum(pooled))) {
      return;
    }
    double[] values = Tensors.toDoubles(pooled);
    for (int i = 0; i < values.length; i++) {
      if (!Double.isFinite(values[i])) {
        throw new InputException(
            "expected finite activations of "
                + layer.name()
                + ", got "
                + values[i]
                + " at unit "
                + i % layer.units()
                + " for image "
                + batch.indices()[i / layer.units()]
                + "; check the checkpoint and this image");
      }
    }
  }

  private Path file(ImageSet images, MaskableLayer layer) {
    String key =
        Hashes.builder()
            .text(network.sha256())
            .text(network.architecture())
            .text(network.arithmetic())
            .text(images.sha256())
            .ints(images.size())
            .text(images.preprocessing())
            .text(layer.name())
            .text(pool.toString())
            .hex();
    return cache.resolve(
        "activations-" + layer.name() + "-" + pool + "-" + key.substring(0, 24) + ".npy");
  }

  private static Tensor read(Path file, int n, MaskableLayer layer) {
    return Features.cached(file, n, layer.units());
  }

  private static void write(Path file, Tensor q) {
    boolean wide = q.scalar_type().intern() == ScalarType.Double;
    long[] shape = Tensors.shape(q);
    Npy.write(
        file,
        wide ? NpyArray.of(Tensors.toDoubles(q), shape) : NpyArray.of(Tensors.toFloats(q), shape));
  }
}
