package io.github.igdefense.model;

import io.github.igdefense.model.Opening.ChannelActivation;
import io.github.igdefense.model.Opening.Nonlinearity;
import io.github.igdefense.tensor.Tensors;
import java.util.List;
import org.bytedeco.pytorch.Tensor;

/**
 * A residual block with its batch normalisations folded. Its tensors belong to the network.
 *
 * @param entry before the first convolution; null in post-activation networks
 * @param path the convolutions of the main path
 * @param shortcut convolution of the residual path; null for the identity
 * @param rawShortcut the shortcut takes the block's input even where there is an entry
 * @param activation between the convolutions
 * @param activateSum whether the activation follows the sum
 */
record CompiledBlock(
    ChannelActivation entry,
    List<Convolution> path,
    Convolution shortcut,
    boolean rawShortcut,
    Nonlinearity activation,
    boolean activateSum) {

  Tensor apply(Tensor x) {
    Tensor entered = entry == null ? x : entry.apply(x);
    Tensor hidden = activation.apply(path.get(0).apply(entered));
    return finish(hidden, shortcut == null ? x : shortcut.apply(rawShortcut ? x : entered));
  }

  /** What follows the first convolution and its activation. */
  Tensor finish(Tensor hidden, Tensor residual) {
    Tensor current = hidden;
    int last = path.size() - 1;
    for (int i = 1; i < last; i++) {
      current = activation.apply(path.get(i).apply(current));
    }
    Tensor sum = path.get(last).apply(current).add_(residual);
    return activateSum ? activation.apply(sum) : sum;
  }

  static Tensor run(List<CompiledBlock> blocks, Tensor x) {
    Tensor current = x;
    for (CompiledBlock block : blocks) {
      Tensor input = current;
      current = Tensors.scoped(() -> block.apply(input));
    }
    return current;
  }

  /** The blocks opened at the first one's first convolution; null where its shortcut is raw. */
  static Opening open(List<CompiledBlock> blocks) {
    CompiledBlock first = blocks.get(0);
    if (first.entry != null && first.shortcut != null && first.rawShortcut) {
      return null;
    }
    List<CompiledBlock> others = blocks.subList(1, blocks.size());
    return new Opening(
        first.entry,
        first.path.get(0),
        first.activation,
        first.shortcut,
        (hidden, residual) -> run(others, first.finish(hidden, residual)));
  }
}
