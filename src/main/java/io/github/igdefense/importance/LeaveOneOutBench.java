package io.github.igdefense.importance;

import io.github.igdefense.importance.NaiveLeaveOneOut.Repeat;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.NetworkDescription;
import io.github.igdefense.model.NetworkDescription.Block;
import io.github.igdefense.model.NetworkDescription.Conv;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.FusedOps;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What leave-one-out costs beside one mask at a time, in one run on the same images: repetitions of
 * all ways follow each other, medians are taken of ratios within a repetition, so that a machine
 * that becomes slower does so for all.
 *
 * <p>Costs are per image and unit, with what runs once per image shared by all U units. One batch
 * of random images; not for use by several threads at once.
 */
public final class LeaveOneOutBench implements AutoCloseable {
  private final StagedNetwork network;
  private final MaskableLayer layer;
  private final int images;
  private final int[] units;
  private final PointerScope scope = new PointerScope();
  private final Tensor x;
  private final Tensor labels;

  /**
   * @param network float32, not owned
   * @param layer an interior one
   * @param images in the batch
   * @param units how many are left out, evenly spaced
   */
  public LeaveOneOutBench(
      StagedNetwork network, MaskableLayer layer, int images, int units, long seed) {
    this.network = network;
    this.layer = layer;
    this.images = images;
    this.units = new int[Math.min(units, layer.units())];
    Arrays.setAll(this.units, i -> (int) ((long) i * layer.units() / this.units.length));
    try (Rng rng = new Rng(seed)) {
      int size = network.imageSize();
      this.x = rng.uniform(network.dtype(), images, network.inputChannels(), size, size);
    }
    long[] classes = new long[images];
    Arrays.setAll(classes, i -> i % network.classCount());
    this.labels = Tensors.of(classes, images);
  }

  /** Seconds per image and unit of each way, in the order of the repetitions. */
  private record Times(double[] forward, double[] suffix, double[] fast, double[] closed) {
    Times(int repetitions) {
      this(
          new double[repetitions],
          new double[repetitions],
          new double[repetitions],
          new double[repetitions]);
    }
  }

  /**
   * Measures.
   *
   * @param half the same model in bfloat16; or null
   * @param repetitions at least 1
   * @return figures by name: microseconds per image and unit, ratios, block sizes, agreement
   */
  public Map<String, Object> run(StagedNetwork half, int repetitions) {
    Map<String, Object> figures = new LinkedHashMap<>();
    try (PointerScope inner = new PointerScope();
        AutoGradMode off = new AutoGradMode(false);
        Fast single = new Fast(network);
        Fast low = half == null ? null : new Fast(half)) {
      Times times = new Times(repetitions);
      double[] lowTimes = new double[repetitions];
      Tensor once = network.prefix(x, layer);
      Tensor plain = network.suffix(once, layer);
      for (int i = 0; i < repetitions; i++) {
        double forward = naive(x, plain, Repeat.FORWARD);
        // One more forward pass, with all units, is shared by them.
        times.forward[i] = forward * (1 + 1.0 / layer.units());
        times.suffix[i] = naive(once, plain, Repeat.SUFFIX) + forward / layer.units();
        times.fast[i] = single.perPair();
        lowTimes[i] = low == null ? 0 : low.perPair();
        times.closed[i] = closed();
      }
      int all = network.penultimate().units();
      put(figures, "naive_forward_us", times.forward);
      put(figures, "naive_suffix_us", times.suffix);
      put(figures, "fast_float32_us", times.fast);
      figures.put("block_size_float32", single.block);
      figures.put("active_pairs", single.active());
      ratio(figures, "ratio_forward_float32", times.forward, times.fast);
      ratio(figures, "ratio_suffix_float32", times.suffix, times.fast);
      if (low != null) {
        put(figures, "fast_bfloat16_us", lowTimes);
        figures.put("block_size_bfloat16", low.block);
        ratio(figures, "ratio_forward_bfloat16", times.forward, lowTimes);
        ratio(figures, "ratio_suffix_bfloat16", times.suffix, lowTimes);
        figures.put("top_agreement_bfloat16", agreement(single.last, low.last));
      }
      double[] closedPerUnit = Arrays.stream(times.closed).map(t -> t / all).toArray();
      put(figures, "penultimate_us", closedPerUnit);
      ratio(figures, "ratio_forward_penultimate", times.forward, closedPerUnit);
    }
    return figures;
  }

  /** Seconds per pair. */
  private double naive(Tensor input, Tensor plain, Repeat repeat) {
    long start = System.nanoTime();
    for (int unit : units) {
      NaiveLeaveOneOut.difference(network, layer, input, plain, labels, unit, false, repeat);
    }
    return (System.nanoTime() - start) / 1e9 / units.length / images;
  }

  /** Seconds per image of the closed form at the penultimate layer, all units. */
  private double closed() {
    MaskableLayer last = network.penultimate();
    long start = System.nanoTime();
    try (PointerScope inner = new PointerScope()) {
      long[] shape = {network.classCount(), last.units()};
      Tensor sums = torch.zeros(shape, Tensors.options(ScalarType.Double));
      Tensor counts =
          torch.zeros(new long[] {network.classCount()}, Tensors.options(ScalarType.Long));
      FusedOps.looPenultimateAccumulate(network.prefix(x, last), labels, false, sums, counts);
      FusedOps.looPenultimateFinish(network.head().weight(), sums, counts, false, false);
    }
    return (System.nanoTime() - start) / 1e9 / images;
  }

  /** Share of the top fifth of the units, per class, that both agree on. */
  private double agreement(double[] one, double[] other) {
    int top = Math.max(1, units.length / 5);
    int classes = Math.min(network.classCount(), images);
    Ranking first = ranking(one, classes);
    Ranking second = ranking(other, classes);
    double common = 0;
    for (int c = 0; c < classes; c++) {
      int[] found = second.topK(c, top);
      Arrays.sort(found);
      common +=
          Arrays.stream(first.topK(c, top))
              .filter(unit -> Arrays.binarySearch(found, unit) >= 0)
              .count();
    }
    return common / top / classes;
  }

  private Ranking ranking(double[] differences, int classes) {
    double[] sums = new double[units.length * classes];
    for (int i = 0; i < differences.length; i++) {
      sums[i / images * classes + i % images % network.classCount()] += differences[i];
    }
    return new Ranking(
        layer.name(), units.length, classes, sums, RankingProvenance.unknown(layer.name()));
  }

  /** The fast way in one arithmetic. */
  private final class Fast implements AutoCloseable {
    private final StagedNetwork own;
    private final MaskableLayer target;
    private final Ablation ablation;
    private final Tensor input;
    private final int[] unit = new int[units.length * images];
    private final int[] image = new int[unit.length];
    private final int block;
    private double[] last;

    Fast(StagedNetwork own) {
      this.own = own;
      this.target = own.layer(layer.name());
      this.ablation = new Ablation(own, target, false);
      this.input = Tensors.to(x, own.dtype());
      Arrays.setAll(unit, i -> units[i / images]);
      Arrays.setAll(image, i -> i % images);
      try (PointerScope inner = new PointerScope();
          Ablation.Batch batch = batch()) {
        block =
            BlockSize.measured(
                batch, images, target.units(), Long.MAX_VALUE, LeaveOneOutOptions.DEFAULT_MEMORY);
      }
    }

    private Ablation.Batch batch() {
      return ablation.batch(own.prefix(input, target), labels, new int[images]);
    }

    double active() {
      try (PointerScope inner = new PointerScope();
          Ablation.Batch batch = batch()) {
        return (double) batch.activeCount() / ((long) images * target.units());
      }
    }

    double perPair() {
      long start = System.nanoTime();
      try (PointerScope inner = new PointerScope();
          Ablation.Batch batch = batch()) {
        long prepared = System.nanoTime();
        int count = 0;
        int[] u = new int[unit.length];
        int[] n = new int[unit.length];
        int[] at = new int[unit.length];
        for (int i = 0; i < unit.length; i++) {
          if (batch.active(unit[i], image[i])) {
            u[count] = unit[i];
            n[count] = image[i];
            at[count++] = i;
          }
        }
        double[] differences = batch.differences(u, n, count, block);
        last = new double[unit.length];
        for (int i = 0; i < count; i++) {
          last[at[i]] = differences[i];
        }
        double once = (prepared - start) / 1e9 / images / target.units();
        return once + (System.nanoTime() - prepared) / 1e9 / unit.length;
      }
    }

    @Override
    public void close() {
      ablation.close();
    }
  }

  /**
   * The arithmetic floors: multiply-accumulates per image and unit, of a forward pass, of the
   * layers behind {@code layer}, and of what the fast way repeats.
   */
  public static Map<String, Object> floors(NetworkDescription net, MaskableLayer layer) {
    long forward = net.macs();
    long suffix = (long) net.classifier().features() * net.classifier().classCount();
    long saved = 0;
    int size = sizeAfter(net, layer);
    boolean first = true;
    for (NetworkDescription.Stage stage :
        net.stages().subList(indexOf(net, layer) + 1, net.stages().size())) {
      for (Block block : stage.blocks()) {
        int input = size;
        for (Conv conv : block.path()) {
          size = (size - 1) / conv.stride() + 1;
          long macs = macs(conv, size);
          suffix += macs;
          // One of the convolution's input channels remains.
          saved += first && conv == block.path().get(0) ? macs - macs / conv.in() : 0;
        }
        if (block.shortcut() != null) {
          Conv shortcut = block.shortcut();
          long macs = macs(shortcut, (input - 1) / shortcut.stride() + 1);
          suffix += macs;
          saved += first ? macs - macs / shortcut.in() : 0;
        }
        first = false;
      }
    }
    Map<String, Object> figures = new LinkedHashMap<>();
    figures.put("macs_forward", forward);
    figures.put("macs_suffix", suffix);
    figures.put("macs_repeated", suffix - saved);
    figures.put("floor_forward", (double) forward / (suffix - saved));
    figures.put("floor_suffix", (double) suffix / (suffix - saved));
    return figures;
  }

  private static int indexOf(NetworkDescription net, MaskableLayer layer) {
    for (int i = 0; i < net.stages().size(); i++) {
      if (net.stages().get(i).name().equals(layer.name())) {
        return i;
      }
    }
    throw new IllegalArgumentException("no stage " + layer.name());
  }

  private static int sizeAfter(NetworkDescription net, MaskableLayer layer) {
    int size = (net.imageSize().usual() - 1) / net.stem().conv().stride() + 1;
    size = net.stem().maxPool() ? (size - 1) / 2 + 1 : size;
    for (NetworkDescription.Stage stage : net.stages().subList(0, indexOf(net, layer) + 1)) {
      for (Block block : stage.blocks()) {
        for (Conv conv : block.path()) {
          size = (size - 1) / conv.stride() + 1;
        }
      }
    }
    return size;
  }

  private static long macs(Conv conv, long size) {
    return (long) conv.in()
        / conv.groups()
        * conv.out()
        * conv.kernel()
        * conv.kernel()
        * size
        * size;
  }

  private static void put(Map<String, Object> figures, String name, double[] seconds) {
    figures.put(name, median(seconds) * 1e6);
  }

  private static void ratio(
      Map<String, Object> figures, String name, double[] slow, double[] fast) {
    double[] ratios = new double[slow.length];
    Arrays.setAll(ratios, i -> slow[i] / fast[i]);
    figures.put(name, median(ratios));
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  @Override
  public void close() {
    scope.close();
  }
}
