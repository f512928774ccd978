package io.github.igdefense.importance;

import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * How well the top units of one arithmetic agree with those of another, on a sample of images and
 * units.
 *
 * @param dtype the arithmetic judged, as {@link StagedNetwork#arithmetic}
 * @param reference the one it is compared with
 * @param images in the sample
 * @param units in the sample, evenly spaced
 * @param top units compared per class
 * @param overlap mean share of the reference's top units that the other finds, 0 to 1
 * @param worst the same of the worst class
 */
public record DtypeAgreement(
    String dtype, String reference, int images, int units, int top, double overlap, double worst) {
  private static final int IMAGES = 64;
  private static final int UNITS = 64;

  /**
   * Ranks a sample with both networks.
   *
   * @param network the arithmetic judged
   * @param reference the same model in the arithmetic to compare with
   * @param keep units that matter of the whole layer; of the sample, the same share
   */
  public static DtypeAgreement measure(
      StagedNetwork network,
      StagedNetwork reference,
      String layer,
      ImageSet data,
      LeaveOneOutOptions options,
      int keep) {
    ImageSet sample = data.withClassCount(network.classCount()).balanced(IMAGES);
    int all = network.layer(layer).units();
    int count = Math.min(UNITS, all);
    int[] units = new int[count];
    Arrays.setAll(units, i -> (int) ((long) i * all / count));
    int top = (int) Math.max(1, Math.round((double) keep * count / all));
    Ranking judged = rank(network, network.layer(layer), sample, options, units);
    Ranking expected = rank(reference, reference.layer(layer), sample, options, units);
    double sum = 0;
    double worst = 1;
    for (int c = 0; c < network.classCount(); c++) {
      int[] found = judged.topK(c, top);
      Arrays.sort(found);
      long common =
          Arrays.stream(expected.topK(c, top))
              .filter(unit -> Arrays.binarySearch(found, unit) >= 0)
              .count();
      sum += (double) common / top;
      worst = Math.min(worst, (double) common / top);
    }
    return new DtypeAgreement(
        network.arithmetic(),
        reference.arithmetic(),
        sample.size(),
        count,
        top,
        sum / network.classCount(),
        worst);
  }

  private static Ranking rank(
      StagedNetwork network,
      MaskableLayer layer,
      ImageSet sample,
      LeaveOneOutOptions options,
      int[] units) {
    int classes = network.classCount();
    double[] sums = new double[units.length * classes];
    if (layer.penultimate()) {
      Ranking whole = new LeaveOneOut(network, layer, options).rank(sample, done -> {});
      for (int i = 0; i < units.length; i++) {
        for (int c = 0; c < classes; c++) {
          sums[i * classes + c] = whole.importance(units[i], c);
        }
      }
    } else {
      add(network, layer, sample, options, units, sums);
    }
    return new Ranking(
        layer.name(), units.length, classes, sums, RankingProvenance.unknown(layer.name()));
  }

  /** Class sums instead of means: the order within a class is the same. */
  private static void add(
      StagedNetwork network,
      MaskableLayer layer,
      ImageSet sample,
      LeaveOneOutOptions options,
      int[] units,
      double[] sums) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false);
        Ablation ablation = new Ablation(network, layer, options.signed());
        ImageBatches batches = ImageBatches.of(sample, options.batchSize())) {
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        try (PointerScope inner = new PointerScope()) {
          Tensor activation = network.prefix(network.tensor(batch), layer);
          Tensor labels = Tensors.of(batch.labels(), batch.size());
          int[] unit = new int[units.length * batch.size()];
          int[] image = new int[unit.length];
          Arrays.setAll(unit, i -> units[i / batch.size()]);
          Arrays.setAll(image, i -> i % batch.size());
          try (Ablation.Batch prepared = ablation.batch(activation, labels, batch.indices())) {
            int block = BlockSize.fixed(prepared, options.memory());
            double[] differences = prepared.differences(unit, image, unit.length, block);
            for (int i = 0; i < unit.length; i++) {
              int label = (int) batch.labels()[image[i]];
              sums[i / batch.size() * network.classCount() + label] += differences[i];
            }
          }
        }
      }
    }
  }

  /** The ranking with these figures in its provenance. */
  public Ranking into(Ranking ranking) {
    Map<String, Object> parameters = new LinkedHashMap<>();
    if (ranking.provenance().parameters() != null) {
      parameters.putAll(ranking.provenance().parameters());
    }
    Map<String, Object> figures = new LinkedHashMap<>();
    figures.put("with", reference);
    figures.put("images", images);
    figures.put("units", units);
    figures.put("top", top);
    figures.put("overlap", overlap);
    figures.put("worst_class", worst);
    parameters.put("agreement", figures);
    return new Ranking(
        ranking.layer(),
        ranking.units(),
        ranking.classCount(),
        ranking.toArray(),
        ranking.provenance().with(parameters));
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%s against %s on %d images and %d units: of the top %d units of a class, %.1f %% agree"
            + " (worst class %.1f %%)",
        dtype,
        reference,
        images,
        units,
        top,
        100 * overlap,
        100 * worst);
  }
}
