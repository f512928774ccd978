package io.github.igdefense.importance;

import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Leave-one-out as the published code computes it, one mask at a time: what the fast computation is
 * measured and tested against. Stateless; any thread.
 */
public final class NaiveLeaveOneOut {
  /** What is repeated for every unit. */
  public enum Repeat {
    /** The whole forward pass, as in the published code. */
    FORWARD,
    /** What follows the layer; what precedes it runs once. */
    SUFFIX
  }

  private NaiveLeaveOneOut() {}

  /**
   * |f_c(x without unit u) − f_c(x)| for every image of a batch and the given units.
   *
   * @param x [N,C,H,W] in the network's type; not changed
   * @param labels true classes c, int64 [N]
   * @param signed keeps the sign
   * @return [unit][image]
   */
  public static double[][] differences(
      StagedNetwork network,
      MaskableLayer layer,
      Tensor x,
      Tensor labels,
      int[] units,
      boolean signed,
      Repeat repeat) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor once = network.prefix(x, layer);
      Tensor plain = network.suffix(once, layer);
      double[][] all = new double[units.length][];
      for (int i = 0; i < units.length; i++) {
        all[i] =
            difference(
                network,
                layer,
                repeat == Repeat.FORWARD ? x : once,
                plain,
                labels,
                units[i],
                signed,
                repeat);
      }
      return all;
    }
  }

  /**
   * The same for one unit, with everything that is not repeated given.
   *
   * @param input the images, or with {@link Repeat#SUFFIX} the layer's output; not changed
   * @param plain logits [N,K] with all units
   */
  static double[] difference(
      StagedNetwork network,
      MaskableLayer layer,
      Tensor input,
      Tensor plain,
      Tensor labels,
      int unit,
      boolean signed,
      Repeat repeat) {
    try (PointerScope scope = new PointerScope()) {
      Tensor index = labels.unsqueeze(1);
      Tensor activation = repeat == Repeat.FORWARD ? network.prefix(input, layer) : input.clone();
      activation.narrow(1, unit, 1).zero_();
      Tensor without = network.suffix(activation, layer).gather(1, index).squeeze(1);
      Tensor with = plain.gather(1, index).squeeze(1);
      Tensor difference = without.to(ScalarType.Double).sub(with.to(ScalarType.Double));
      return Tensors.toDoubles(signed ? difference : difference.abs());
    }
  }
}
