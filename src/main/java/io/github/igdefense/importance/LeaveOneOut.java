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
 * (closed form, exact). At other layers the network before the layer runs once per image and the
 * rest once per unit.
 */
public final class LeaveOneOut {
  private final StagedNetwork network;
  private final MaskableLayer layer;
  private final Normalization normalization;
  private final boolean signed;
  private final int batchSize;

  /**
   * @param network not owned
   * @param signed keeps the sign of the difference instead of its absolute value
   */
  public LeaveOneOut(
      StagedNetwork network,
      MaskableLayer layer,
      Normalization normalization,
      boolean signed,
      int batchSize) {
    this.network = network;
    this.layer = layer;
    this.normalization = normalization;
    this.signed = signed;
    this.batchSize = batchSize;
  }

  /**
   * Ranks all units.
   *
   * @param data probe images; every class must have one
   * @param progress told how many images are done, after each batch
   * @throws InputException if labels exceed the model's classes, a class has no image, or an
   *     activation is NaN (naming image and layer)
   */
  public Ranking rank(ImageSet data, IntConsumer progress) {
    ImageSet images = data.withClassCount(network.classCount());
    int k = network.classCount();
    int u = layer.units();
    Tensor sums;
    Tensor counts;
    try (PointerScope scope = new PointerScope()) {
      sums = Tensors.keep(torch.zeros(new long[] {k, u}, Tensors.options(ScalarType.Double)));
      counts = Tensors.keep(torch.zeros(new long[] {k}, Tensors.options(ScalarType.Long)));
    }
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false);
        ImageBatches batches =
            ImageBatches.of(images, batchSize, null, network.dtype() == Dtype.FLOAT64)) {
      int done = 0;
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        try (PointerScope batchScope = new PointerScope()) {
          Tensor activation = network.prefix(network.tensor(batch), layer);
          checkFinite(activation, batch);
          Tensor labels = Tensors.of(batch.labels(), batch.size());
          if (layer.penultimate()) {
            FusedOps.looPenultimateAccumulate(activation, labels, signed, sums, counts);
          } else {
            ablate(activation, labels, sums, counts);
          }
        }
        done += batch.size();
        progress.accept(done);
      }
      long[] classCounts = Tensors.toLongs(counts);
      for (int c = 0; c < k; c++) {
        if (classCounts[c] == 0) {
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
      double[] importance =
          layer.penultimate()
              ? Tensors.toDoubles(
                  FusedOps.looPenultimateFinish(
                      network.head().weight(),
                      sums,
                      counts,
                      signed,
                      normalization == Normalization.REFERENCE))
              : normalise(Tensors.toDoubles(sums), classCounts, images.size());
      return new Ranking(
          layer.name(),
          u,
          k,
          importance,
          new RankingProvenance(
              "loir",
              network.architecture(),
              network.sha256(),
              layer.name(),
              images.name(),
              images.sha256(),
              images.size(),
              classCounts,
              normalization.toString(),
              signed,
              network.dtype().toString(),
              null,
              io.github.igdefense.tensor.Version.get()));
    } finally {
      Tensors.free(sums);
      Tensors.free(counts);
    }
  }

  /** One unit at a time: prefix shared, suffix repeated. Adds the differences to sums [K,U]. */
  private void ablate(Tensor activation, Tensor labels, Tensor sums, Tensor counts) {
    Tensor index = labels.unsqueeze(1);
    Tensor plain = network.suffix(activation, layer).gather(1, index).squeeze(1);
    for (int unit = 0; unit < layer.units(); unit++) {
      try (PointerScope scope = new PointerScope()) {
        Tensor channel = activation.narrow(1, unit, 1);
        Tensor saved = channel.clone();
        channel.zero_();
        Tensor without = network.suffix(activation, layer).gather(1, index).squeeze(1);
        channel.copy_(saved);
        Tensor difference = without.to(ScalarType.Double).sub(plain.to(ScalarType.Double));
        sums.select(1, unit).index_add_(0, labels, signed ? difference : difference.abs());
      }
    }
    try (PointerScope scope = new PointerScope()) {
      counts.index_add_(0, labels, torch.ones_like(labels));
    }
  }

  private double[] normalise(double[] sums, long[] counts, int images) {
    int k = counts.length;
    int u = layer.units();
    double[] importance = new double[u * k];
    for (int c = 0; c < k; c++) {
      double factor =
          normalization == Normalization.REFERENCE ? (double) k / images : 1.0 / counts[c];
      for (int unit = 0; unit < u; unit++) {
        importance[unit * k + c] = sums[c * u + unit] * factor;
      }
    }
    return importance;
  }

  private void checkFinite(Tensor activation, ImageBatch batch) {
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
