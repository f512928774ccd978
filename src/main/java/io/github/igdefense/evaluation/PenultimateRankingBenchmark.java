package io.github.igdefense.evaluation;

import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.FusedOps;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What LO-IR of the penultimate layer costs: one batch through prefix and kernel against one plain
 * forward pass of it, in turns.
 *
 * @param ratio LO-IR / plain forward pass
 * @param kernelSeconds median of the kernel alone
 */
public record PenultimateRankingBenchmark(double ratio, double kernelSeconds) {

  /**
   * Measures.
   *
   * @param x images [N,C,H,W] of the network's type
   */
  public static PenultimateRankingBenchmark run(
      StagedNetwork network, Tensor x, int repetitions, double budgetSeconds) {
    MaskableLayer layer = network.penultimate();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      long[] classes = new long[Math.toIntExact(x.size(0))];
      Arrays.setAll(classes, i -> i % network.classCount());
      Tensor labels = Tensors.of(classes, classes.length);
      Tensor sums =
          torch.zeros(
              new long[] {network.classCount(), layer.units()}, Tensors.options(ScalarType.Double));
      Tensor counts =
          torch.zeros(new long[] {network.classCount()}, Tensors.options(ScalarType.Long));
      Tensor activation = network.prefix(x, layer);
      InterleavedTimes times =
          InterleavedTimes.measure(
              List.of(
                  () -> network.logits(x),
                  () ->
                      FusedOps.looPenultimateAccumulate(
                          network.prefix(x, layer), labels, false, sums, counts),
                  () -> FusedOps.looPenultimateAccumulate(activation, labels, false, sums, counts)),
              repetitions,
              budgetSeconds);
      return new PenultimateRankingBenchmark(times.ratio(1, 0), times.median(2));
    }
  }
}
