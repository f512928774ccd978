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
      Tensor index = labels.unsqueeze(1);
      Tensor once = network.prefix(x, layer);
      Tensor plain = network.suffix(once, layer).gather(1, index).squeeze(1);
      double[][] all = new double[units.length][];
      for (int i = 0; i < units.length; i++) {
        try (PointerScope inner = new PointerScope()) {
          Tensor activation =
              repeat == Repeat.FORWARD ? network.prefix(x, layer) : once.clone();
          activation.narrow(1, units[i], 1).zero_();
          Tensor without = network.suffix(activation, layer).gather(1, index).squeeze(1);
          Tensor difference = without.to(ScalarType.Double).sub(plain.to(ScalarType.Double));
          all[i] = Tensors.toDoubles(signed ? difference : difference.abs());
        }
      }
      return all;
    }
  }
}
