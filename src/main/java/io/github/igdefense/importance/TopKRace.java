package io.github.igdefense.importance;

import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import io.github.igdefense.tensor.Version;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.IntConsumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * Leave-one-out at an interior layer, stopped early: only the sets of the k most important units
 * are wanted. Each class's images come in seeded random order, in rounds; a (unit, class) pair
 * leaves the race once it is certainly in or out ({@link UnitRace} states the guarantee and its
 * assumption), and is not left out of further images of that class.
 *
 * <p>The ranking that results has exact sets of k units, with the probability asked for; the values
 * of units that left early are estimates. Not for use by several threads at once.
 */
public final class TopKRace {
  private static final int FIRST_ROUND = 16;
  private static final double GROWTH = 1.3;

  private final StagedNetwork network;
  private final MaskableLayer layer;
  private final LeaveOneOutOptions options;
  private final int k;
  private final double confidence;
  private final double margin;
  private final long seed;

  /**
   * What a race gave.
   *
   * @param ranking with the k units of each class on top
   * @param evaluations pairs (unit, image) looked at
   * @param total pairs there are
   * @param rounds number of rounds
   * @param violations values seen that exceeded the range assumed
   * @param exhausted units per class that needed every image
   * @param tied classes whose k-th and next unit are equal on all images
   */
  public record Result(
      Ranking ranking,
      long evaluations,
      long total,
      int rounds,
      long violations,
      int[] exhausted,
      List<Integer> tied) {
    /** Share of the pairs that the exact computation looks at. */
    public double work() {
      return (double) evaluations / total;
    }

    /** One line for people. */
    public String summary() {
      int most = Arrays.stream(exhausted).max().orElse(0);
      return String.format(
          Locale.ROOT,
          "top-k sets of all classes separated after %d rounds: %d of %d image-passes (%.1f %%),"
              + " %.1f %% saved; up to %d units of a class at its boundary needed every image%s%s",
          rounds,
          evaluations,
          total,
          100 * work(),
          100 * (1 - work()),
          most,
          tied.isEmpty() ? "" : "; equal at the boundary, decided by index: classes " + tied,
          violations == 0
              ? "; the range assumption held"
              : "; the range assumption was broken "
                  + violations
                  + " times: the guarantee does not hold, use a larger --range-margin");
    }

    /** The same as a map for JSON. */
    public Map<String, Object> figures() {
      Map<String, Object> figures = new LinkedHashMap<>();
      figures.put("image_passes", evaluations);
      figures.put("image_passes_exact", total);
      figures.put("work", work());
      figures.put("rounds", rounds);
      figures.put("range_violations", violations);
      figures.put("units_with_every_image", exhausted);
      figures.put("tied_classes", tied);
      return figures;
    }
  }

  /**
   * @param k units to find per class
   * @param confidence above 0 and below 1
   * @param margin of the range assumption, at least 1
   * @throws InputException for values out of range, or the penultimate layer, where one pass gives
   *     everything
   */
  public TopKRace(
      StagedNetwork network,
      MaskableLayer layer,
      LeaveOneOutOptions options,
      int k,
      double confidence,
      double margin,
      long seed) {
    if (layer.penultimate()) {
      throw new InputException(
          "expected an interior layer for --top-k, got "
              + layer.name()
              + ": at the penultimate layer one pass gives every unit exactly; leave --top-k out");
    }
    if (k < 1 || k > layer.units()) {
      throw new InputException(
          "expected --top-k between 1 and "
              + layer.units()
              + " units of "
              + layer.name()
              + ", got "
              + k);
    }
    if (!(confidence > 0 && confidence < 1)) {
      throw new InputException(
          "expected --confidence above 0 and below 1, such as 0.99, got " + confidence);
    }
    if (!(margin >= 1 && margin <= 1e6)) {
      throw new InputException("expected --range-margin of at least 1, got " + margin);
    }
    this.network = network;
    this.layer = layer;
    this.options = options;
    this.k = k;
    this.confidence = confidence;
    this.margin = margin;
    this.seed = seed;
  }

  /**
   * Runs it.
   *
   * @param progress told how many images have been reached
   * @throws InputException as {@link LeaveOneOut#rank}
   */
  public Result run(ImageSet data, IntConsumer progress) {
    ImageSet images = data.withClassCount(network.classCount());
    LeaveOneOut.checkClasses(images);
    int[][] orders = orders(images);
    int[] population = Arrays.stream(orders).mapToInt(order -> order.length).toArray();
    UnitRace race = new UnitRace(layer.units(), population, k, confidence, margin);
    int rounds = 0;
    int done = 0;
    int blockSize = options.blockSize();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false);
        Ablation ablation = new Ablation(network, layer, false)) {
      int reached = 0;
      int next = FIRST_ROUND;
      int largest = Arrays.stream(population).max().orElse(0);
      while (reached < largest) {
        int[] round = images(orders, race, reached, next);
        if (round.length == 0) {
          break;
        }
        try (ImageBatches batches =
            ImageBatches.of(images, options.batchSize(), round, network.dtype() == Dtype.FLOAT64)) {
          while (batches.hasNext()) {
            ImageBatch batch = batches.next();
            try (PointerScope inner = new PointerScope()) {
              blockSize = draw(batch, race, ablation, blockSize);
            }
            done += batch.size();
            progress.accept(done);
          }
        }
        race.endRound();
        rounds++;
        reached = next;
        next = (int) Math.ceil(next * GROWTH);
      }
    }
    return result(images, race, population, rounds, blockSize);
  }

  /** Each class's images in random order. */
  private int[][] orders(ImageSet images) {
    List<List<Integer>> byClass = new ArrayList<>();
    for (int c = 0; c < images.classCount(); c++) {
      byClass.add(new ArrayList<>());
    }
    int[] labels = images.labels();
    for (int i = 0; i < labels.length; i++) {
      byClass.get(labels[i]).add(i);
    }
    Random random = new Random(seed);
    int[][] orders = new int[byClass.size()][];
    for (int c = 0; c < orders.length; c++) {
      java.util.Collections.shuffle(byClass.get(c), random);
      orders[c] = byClass.get(c).stream().mapToInt(Integer::intValue).toArray();
    }
    return orders;
  }

  /** The images from {@code from} to {@code to} of every class that still races. */
  private static int[] images(int[][] orders, UnitRace race, int from, int to) {
    List<Integer> round = new ArrayList<>();
    for (int c = 0; c < orders.length; c++) {
      if (race.racing(c)) {
        for (int i = from; i < Math.min(to, orders[c].length); i++) {
          round.add(orders[c][i]);
        }
      }
    }
    return round.stream().mapToInt(Integer::intValue).toArray();
  }

  private int draw(ImageBatch batch, UnitRace race, Ablation ablation, int blockSize) {
    Tensor activation = network.prefix(network.tensor(batch), layer);
    LeaveOneOut.checkFinite(activation, layer, batch);
    Tensor labels = Tensors.of(batch.labels(), batch.size());
    try (Ablation.Batch prepared = ablation.batch(activation, labels, batch.indices())) {
      int block = blockSize > 0 ? blockSize : BlockSize.fixed(prepared, options.memory());
      int[] units = new int[layer.units() * batch.size()];
      int[] images = new int[units.length];
      int count = 0;
      for (int image = 0; image < batch.size(); image++) {
        int label = (int) batch.labels()[image];
        for (int unit = 0; unit < layer.units(); unit++) {
          if (race.racing(label, unit) && prepared.active(unit, image)) {
            units[count] = unit;
            images[count++] = image;
          }
        }
      }
      double[] differences = prepared.differences(units, images, count, block);
      int pair = 0;
      for (int image = 0; image < batch.size(); image++) {
        int label = (int) batch.labels()[image];
        for (int unit = 0; unit < layer.units(); unit++) {
          if (race.racing(label, unit)) {
            race.draw(label, unit, prepared.active(unit, image) ? differences[pair++] : 0);
          }
        }
      }
      return block;
    }
  }

  private Result result(
      ImageSet images, UnitRace race, int[] population, int rounds, int blockSize) {
    int classes = population.length;
    double[] importance = new double[layer.units() * classes];
    int[] exhausted = new int[classes];
    List<Integer> tied = new ArrayList<>();
    long[] counts = new long[classes];
    boolean reference = options.normalization() == Normalization.REFERENCE;
    for (int c = 0; c < classes; c++) {
      counts[c] = population[c];
      exhausted[c] = race.exhausted(c);
      if (race.tied(c)) {
        tied.add(c);
      }
      double factor = reference ? (double) population[c] * classes / images.size() : 1;
      for (int unit = 0; unit < layer.units(); unit++) {
        importance[unit * classes + c] = race.estimate(c, unit) * factor;
      }
    }
    long total = (long) layer.units() * images.size();
    Map<String, Object> parameters = new LinkedHashMap<>();
    parameters.put("batch_size", options.batchSize());
    parameters.put("block_size", blockSize);
    parameters.put("top_k", k);
    parameters.put("confidence", confidence);
    parameters.put("range_margin", margin);
    parameters.put("image_passes", race.evaluations());
    parameters.put("image_passes_exact", total);
    parameters.put("range_violations", race.violations());
    RankingProvenance provenance =
        RankingProvenance.of("loir", layer.name())
            .model(network.architecture(), network.sha256())
            .data(images.name(), images.sha256(), images.size(), counts)
            .sums(options.normalization().toString(), false)
            .computed(network.arithmetic(), Version.get())
            .seed(seed)
            .parameters(parameters)
            .build();
    return new Result(
        new Ranking(layer.name(), layer.units(), classes, importance, provenance),
        race.evaluations(),
        total,
        rounds,
        race.violations(),
        exhausted,
        tied);
  }
}
