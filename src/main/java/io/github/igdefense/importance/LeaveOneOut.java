package io.github.igdefense.importance;

import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.FusedOps;
import io.github.igdefense.tensor.Tensors;
import io.github.igdefense.tensor.Version;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Leave-one-out importance ranking (LO-IR): I[u,c] = mean over images of class c of |f_c(x without
 * unit u) − f_c(x)| (paper eq. 5, with the absolute value of the published code).
 *
 * <p>At the penultimate layer the difference is −W[c,u]·a_u, so one forward pass gives all units
 * (closed form, exact). At other layers the network before the layer runs once per image; of the
 * rest, the first convolution is corrected and what follows runs on blocks of pairs (unit, image);
 * see {@link Ablation}.
 *
 * <p>The same settings give the same bytes, whether in one piece, resumed or in shards: work is cut
 * at fixed places (batches of images, groups of units, blocks of pairs), and sums are exact ({@link
 * ExactSums}). Not for use by several threads at once.
 */
public final class LeaveOneOut {
  private final StagedNetwork network;
  private final MaskableLayer layer;
  private final LeaveOneOutOptions options;

  /** Told of a run's state after every task (batch × group of units); it may save it. */
  @FunctionalInterface
  public interface Checkpoint {
    /** The sums so far, consistent at this moment. */
    void reached(LeaveOneOutSums sums);
  }

  /**
   * With a block size by measurement. See {@link #LeaveOneOut(StagedNetwork, MaskableLayer,
   * LeaveOneOutOptions)}.
   */
  public LeaveOneOut(
      StagedNetwork network,
      MaskableLayer layer,
      Normalization normalization,
      boolean signed,
      int batchSize) {
    this(
        network,
        layer,
        new LeaveOneOutOptions(
            normalization, signed, batchSize, 0, LeaveOneOutOptions.DEFAULT_MEMORY));
  }

  /**
   * @param network not owned
   * @param layer of the network
   */
  public LeaveOneOut(StagedNetwork network, MaskableLayer layer, LeaveOneOutOptions options) {
    this.network = network;
    this.layer = layer;
    this.options = options;
  }

  /**
   * Ranks all units.
   *
   * @param data probe images; every class must have one
   * @param progress told how many images are done, after each batch
   * @throws InputException if labels exceed the model's classes, a class has no image, or an
   *     activation or a logit is not finite (naming image and layer)
   */
  public Ranking rank(ImageSet data, IntConsumer progress) {
    return sum(data, Shard.WHOLE, null, sums -> {}, progress).ranking();
  }

  /**
   * Sums the differences of one shard.
   *
   * @param data the whole probe set; every class must have an image
   * @param shard which part of the work
   * @param resumed an earlier state of the same run, continued and changed; or null
   * @param checkpoint told of the state after every task
   * @param progress told how many images are done, after each batch
   * @throws InputException as {@link #rank}, and if {@code resumed} is of other settings or another
   *     shard, or there are more shards than can be cut
   */
  public LeaveOneOutSums sum(
      ImageSet data,
      Shard shard,
      LeaveOneOutSums resumed,
      Checkpoint checkpoint,
      IntConsumer progress) {
    ImageSet images = data.withClassCount(network.classCount());
    checkClasses(images);
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false);
        Ablation ablation =
            layer.penultimate() ? null : new Ablation(network, layer, options.signed())) {
      LeaveOneOutSums sums = start(images, shard, resumed, ablation);
      LeaveOneOutSettings settings = sums.settings();
      int groups = sums.groupTo() - sums.groupFrom();
      int chunk = sums.chunkFrom() + (int) (sums.done() / groups);
      int done = Math.min(settings.images(), chunk * settings.batchSize());
      int first = sums.chunkFrom() * settings.batchSize();
      int end = Math.min(settings.images(), sums.chunkTo() * settings.batchSize());
      try (ImageBatches batches = batches(images, done, Math.max(done, end))) {
        while (batches.hasNext()) {
          ImageBatch batch = batches.next();
          try (PointerScope inner = new PointerScope()) {
            run(batch, sums, ablation, checkpoint);
          }
          done += batch.size();
          progress.accept(done - first);
        }
      }
      return sums;
    }
  }

  private ImageBatches batches(ImageSet images, int from, int to) {
    int[] order = new int[to - from];
    Arrays.setAll(order, i -> from + i);
    return ImageBatches.of(images, options.batchSize(), order, network.dtype() == Dtype.FLOAT64);
  }

  /** Every class must have an image. */
  static void checkClasses(ImageSet images) {
    int[] counts = new int[images.classCount()];
    for (int label : images.labels()) {
      counts[label]++;
    }
    for (int c = 0; c < counts.length; c++) {
      if (counts[c] == 0) {
        throw new InputException(
            "expected probe images of every class, got none of class "
                + c
                + " ("
                + images.classNames().get(c)
                + ") in "
                + images.name()
                + "; use more images");
      }
    }
    if (images.size() > ExactSums.MOST_TERMS) {
      throw new InputException(
          "expected at most " + ExactSums.MOST_TERMS + " probe images, got " + images.size());
    }
  }

  private LeaveOneOutSums start(
      ImageSet images, Shard shard, LeaveOneOutSums resumed, Ablation ablation) {
    int blockSize = 0;
    int unitGroup = layer.units();
    if (ablation != null) {
      blockSize =
          resumed != null && options.blockSize() == 0
              ? resumed.settings().blockSize()
              : blockSize(images, shard, ablation);
      unitGroup = BlockSize.unitGroup(blockSize, options.batchSize(), layer.units());
    }
    LeaveOneOutSettings settings =
        new LeaveOneOutSettings(
            network.architecture(),
            network.sha256(),
            layer.name(),
            layer.units(),
            network.classCount(),
            images.name(),
            images.sha256(),
            images.size(),
            options.normalization().toString(),
            options.signed(),
            network.arithmetic(),
            options.batchSize(),
            blockSize,
            unitGroup,
            Version.get());
    if (resumed != null) {
      List<String> wrong = settings.differences(resumed.settings());
      if (!wrong.isEmpty()) {
        throw new InputException(
            "the saved state is of another run ("
                + String.join("; ", wrong)
                + "); start over without --resume, or use the settings it was made with");
      }
      if (!resumed.shard().equals(shard)) {
        throw new InputException(
            "the saved state is of shard " + resumed.shard() + ", not " + shard);
      }
      return resumed;
    }
    double[] weight = layer.penultimate() ? Tensors.toDoubles(network.head().weight()) : null;
    LeaveOneOutSums sums = new LeaveOneOutSums(settings, shard, weight);
    int parts = shard.by().equals("images") ? settings.chunks() : settings.groups();
    if (shard.of() > parts) {
      throw new InputException(
          shard.by().equals("images")
              ? "expected at most "
                  + parts
                  + " shards (batches of "
                  + settings.batchSize()
                  + " images), got "
                  + shard.of()
                  + "; use a smaller --batch-size"
              : "expected at most "
                  + parts
                  + " shards (groups of "
                  + settings.unitGroup()
                  + " units of "
                  + layer.name()
                  + "), got "
                  + shard.of()
                  + "; share the images instead, with --shard-by images");
    }
    return sums;
  }

  private int blockSize(ImageSet images, Shard shard, Ablation ablation) {
    if (options.blockSize() > 0) {
      return options.blockSize();
    }
    try (PointerScope scope = new PointerScope();
        ImageBatches batches = batches(images, 0, Math.min(images.size(), options.batchSize()))) {
      ImageBatch batch = batches.next();
      Tensor activation = network.prefix(network.tensor(batch), layer);
      checkFinite(activation, layer, batch);
      try (Ablation.Batch prepared =
          ablation.batch(activation, Tensors.of(batch.labels(), batch.size()), batch.indices())) {
        // Shards must agree without having met.
        return shard.isPart()
            ? BlockSize.fixed(prepared, options.memory())
            : BlockSize.measured(
                prepared,
                batch.size(),
                layer.units(),
                (long) images.size() * layer.units(),
                options.memory());
      }
    }
  }

  private void run(
      ImageBatch batch, LeaveOneOutSums sums, Ablation ablation, Checkpoint checkpoint) {
    Tensor activation = network.prefix(network.tensor(batch), layer);
    checkFinite(activation, layer, batch);
    Tensor labels = Tensors.of(batch.labels(), batch.size());
    int groups = sums.groupTo() - sums.groupFrom();
    int group = (int) (sums.done() % groups);
    if (ablation == null) {
      closedForm(activation, labels, sums);
      finish(batch, sums, true, checkpoint);
      return;
    }
    int size = sums.settings().unitGroup();
    try (Ablation.Batch prepared = ablation.batch(activation, labels, batch.indices())) {
      int[] units = new int[size * batch.size()];
      int[] images = new int[units.length];
      for (; group < groups; group++) {
        int from = (sums.groupFrom() + group) * size;
        int to = Math.min(layer.units(), from + size);
        int count = 0;
        for (int unit = from; unit < to; unit++) {
          for (int image = 0; image < batch.size(); image++) {
            if (prepared.active(unit, image)) {
              units[count] = unit;
              images[count++] = image;
            }
          }
        }
        double[] differences =
            prepared.differences(units, images, count, sums.settings().blockSize());
        for (int i = 0; i < count; i++) {
          sums.add((int) batch.labels()[images[i]], units[i], differences[i]);
        }
        finish(batch, sums, group == 0, checkpoint);
      }
    }
  }

  private static void finish(
      ImageBatch batch, LeaveOneOutSums sums, boolean count, Checkpoint checkpoint) {
    if (count) {
      for (long label : batch.labels()) {
        sums.count((int) label);
      }
    }
    sums.finishTask();
    checkpoint.reached(sums);
  }

  /** Penultimate layer: sums of |a_u| by class; the weights come in at the end. */
  private void closedForm(Tensor activation, Tensor labels, LeaveOneOutSums sums) {
    int k = network.classCount();
    int u = layer.units();
    Tensor batchSums = torch.zeros(new long[] {k, u}, Tensors.options(ScalarType.Double));
    Tensor counts = torch.zeros(new long[] {k}, Tensors.options(ScalarType.Long));
    FusedOps.looPenultimateAccumulate(activation, labels, options.signed(), batchSums, counts);
    double[] values = Tensors.toDoubles(batchSums);
    long[] seen = Tensors.toLongs(counts);
    for (int c = 0; c < k; c++) {
      for (int unit = 0; seen[c] > 0 && unit < u; unit++) {
        sums.add(c, unit, values[c * u + unit]);
      }
    }
  }

  /** No activation may be NaN or infinite. */
  static void checkFinite(Tensor activation, MaskableLayer layer, ImageBatch batch) {
    if (Double.isFinite(Tensors.sum(activation))) {
      return;
    }
    double[] perImage =
        Tensors.toDoubles(activation.to(ScalarType.Double).reshape(activation.size(0), -1).sum(1));
    for (int i = 0; i < perImage.length; i++) {
      if (!Double.isFinite(perImage[i])) {
        throw new InputException(
            "expected finite activations of "
                + layer.name()
                + ", got "
                + perImage[i]
                + " in sum for image "
                + batch.indices()[i]);
      }
    }
  }
}
