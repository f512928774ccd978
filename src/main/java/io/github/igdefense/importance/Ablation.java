package io.github.igdefense.importance;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Convolution;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.Opening;
import io.github.igdefense.model.Opening.Nonlinearity;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.AblationOps;
import io.github.igdefense.tensor.AblationOps.Pairs;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Leaves units of one interior layer out, for pairs (unit, image) of a batch: |f_c(x without unit
 * u) − f_c(x)|, c the true class.
 *
 * <p>The suffix's first convolution and its shortcut are linear in the layer's channels: their
 * results with all units, computed once per batch, are corrected by one channel's contribution per
 * pair (native kernel); everything after runs on blocks of pairs. Where a unit is zero on an image
 * all over, nothing changes and the suffix is not run: the difference is exactly 0.
 *
 * <p>Owns its packed weights; close it. For one thread at a time, grad mode off. The network must
 * stay open.
 */
final class Ablation implements AutoCloseable {
  /** Blocks are filled up to a multiple of this part of their size: few shapes, little waste. */
  private static final int PARTS = 8;

  private final StagedNetwork network;
  private final MaskableLayer layer;
  private final boolean signed;
  private final Opening opening;
  private final Tensor firstWeight;
  private final Tensor shortcutWeight;
  private final Tensor removed;

  Ablation(StagedNetwork network, MaskableLayer layer, boolean signed) {
    this.network = network;
    this.layer = layer;
    this.signed = signed;
    this.opening = network.opening(layer).filter(Ablation::supported).orElse(null);
    try (PointerScope scope = new PointerScope()) {
      this.firstWeight = opening == null ? null : pack(opening.first());
      this.shortcutWeight =
          opening == null || opening.shortcut() == null ? null : pack(opening.shortcut());
      this.removed = opening == null || opening.entry() == null ? null : removed(opening.entry());
    }
  }

  private static boolean supported(Opening opening) {
    return AblationOps.supports(opening.first().weight().size(2))
        && (opening.shortcut() == null
            || AblationOps.supports(opening.shortcut().weight().size(2)));
  }

  private static Tensor pack(Convolution convolution) {
    return Tensors.keep(AblationOps.pack(convolution.weight(), convolution.groups()));
  }

  /** What the entry makes of a zero, per unit [U], in the network's type. */
  private Tensor removed(Opening.ChannelActivation entry) {
    Tensor zero = network.device().zeros(network.dtype().scalarType(), 1, layer.units(), 1, 1);
    return Tensors.keep(
        entry.apply(zero).to(network.dtype().scalarType()).reshape(layer.units()).contiguous());
  }

  /** Whether pairs take the corrected convolution; else the whole suffix runs for each. */
  boolean corrected() {
    return opening != null;
  }

  /**
   * Prepares a batch: the convolutions with all units, the logits, and which pairs can matter.
   *
   * @param activation [N,U,H,W] of the layer; not owned, must outlive the result
   * @param labels int64 [N]; likewise
   * @param indices the images' numbers in their set [N], for messages
   */
  Batch batch(Tensor activation, Tensor labels, int[] indices) {
    return new Batch(activation, labels, indices);
  }

  /** One batch of images. Owns its tensors; close it. */
  final class Batch implements AutoCloseable {
    private final Tensor activation;
    private final Tensor labels;
    private final int[] indices;
    private final Tensor input;
    private final Tensor first;
    private final Tensor shortcut;
    private final Tensor logits;
    private final boolean[] active;

    private Batch(Tensor activation, Tensor labels, int[] indices) {
      this.labels = labels;
      this.indices = indices;
      try (PointerScope scope = new PointerScope()) {
        this.activation =
            Tensors.keep(
                activation.dim() == 4
                    ? activation.contiguous(torch.MemoryFormat.ChannelsLast)
                    : activation.contiguous());
        Tensor matters = anyNonZero(activation);
        if (opening == null) {
          input = null;
          first = null;
          shortcut = null;
          logits = Tensors.keep(network.suffix(activation, layer));
        } else {
          Tensor entered =
              opening.entry() == null ? this.activation : opening.entry().apply(activation);
          input = Tensors.keep(entered.contiguous(torch.MemoryFormat.ChannelsLast));
          first = Tensors.keep(opening.first().apply(input));
          shortcut =
              opening.shortcut() == null ? null : Tensors.keep(opening.shortcut().apply(input));
          logits =
              Tensors.keep(
                  opening
                      .rest()
                      .apply(
                          opening.middle().apply(first.clone()),
                          shortcut == null ? this.activation : shortcut));
          if (opening.entry() != null) {
            Tensor changed = anyNonZero(input.sub(removed.view(1, -1, 1, 1)));
            // Without a shortcut the layer's own output goes on as the residual.
            matters = shortcut == null ? changed.logical_or(matters) : changed;
          }
        }
        active = Tensors.toBooleans(matters);
      }
    }

    private Tensor anyNonZero(Tensor x) {
      return x.ne(Tensors.scalar(0)).reshape(x.size(0), x.size(1), -1).any(2);
    }

    /** Whether leaving the unit out changes anything on the image. */
    boolean active(int unit, int image) {
      return active[image * layer.units() + unit];
    }

    /** About how much memory a pair takes in the suffix: what is written first, four times. */
    long bytesPerPair() {
      long elements = 4 * (perImage(first) + perImage(shortcut == null ? activation : shortcut));
      return Math.max(1, elements * network.dtype().bytes());
    }

    private static long perImage(Tensor tensor) {
      return tensor == null ? 0 : tensor.numel() / tensor.size(0);
    }

    /** Number of pairs that change something. */
    long activeCount() {
      long count = 0;
      for (boolean flag : active) {
        count += flag ? 1 : 0;
      }
      return count;
    }

    /**
     * The differences of pairs, at most {@code blockSize} of them through the suffix at once.
     *
     * @param units of the layer
     * @param images positions in the batch
     * @param count how many of the two arrays count
     * @return float64, all finite
     * @throws InputException naming layer, unit and image where one is not
     */
    double[] differences(int[] units, int[] images, int count, int blockSize) {
      double[] all = new double[count];
      int part = Math.max(1, blockSize / PARTS);
      for (int from = 0; from < count; from += blockSize) {
        int length = Math.min(blockSize, count - from);
        int filled = (length + part - 1) / part * part;
        long[] u = new long[filled];
        long[] n = new long[filled];
        for (int i = 0; i < filled; i++) {
          int pair = from + Math.min(i, length - 1);
          u[i] = units[pair];
          n[i] = images[pair];
        }
        System.arraycopy(block(u, n), 0, all, from, length);
      }
      return all;
    }

    private double[] block(long[] units, long[] images) {
      try (PointerScope scope = new PointerScope()) {
        Pairs pairs = new Pairs(Tensors.of(units, units.length), Tensors.of(images, images.length));
        Tensor without;
        if (opening == null) {
          without = network.suffix(copies(pairs), layer);
        } else {
          Tensor hidden = correct(opening.first(), first, firstWeight, opening.middle(), pairs);
          Tensor residual =
              shortcut == null
                  ? copies(pairs)
                  : correct(
                      opening.shortcut(), shortcut, shortcutWeight, Nonlinearity.IDENTITY, pairs);
          without = opening.rest().apply(hidden, residual);
        }
        checkFinite(without, units, images);
        return AblationOps.differences(without, logits, labels, pairs, signed);
      }
    }

    private void checkFinite(Tensor without, long[] units, long[] images) {
      if (Double.isFinite(Tensors.sum(without))) {
        return;
      }
      double[] perPair = Tensors.toDoubles(without.to(ScalarType.Double).sum(1));
      for (int i = 0; i < perPair.length; i++) {
        if (!Double.isFinite(perPair[i])) {
          throw new InputException(
              "expected finite logits after "
                  + layer.name()
                  + " without unit "
                  + units[i]
                  + ", got "
                  + perPair[i]
                  + " in sum for image "
                  + indices[(int) images[i]]);
        }
      }
    }

    /** The layer's output without the pairs' units, [P,U,…]. */
    private Tensor copies(Pairs pairs) {
      if (activation.dim() == 4) {
        return AblationOps.identity(activation, pairs);
      }
      long[] shape = Tensors.shape(activation);
      Tensor positions = activation.reshape(shape[0], shape[1], -1, 1);
      shape[0] = pairs.size();
      return AblationOps.identity(positions, pairs).contiguous().view(shape);
    }

    private Tensor correct(
        Convolution convolution, Tensor base, Tensor packed, Nonlinearity after, Pairs pairs) {
      Tensor out =
          AblationOps.convolution(
              base,
              input,
              removed,
              packed,
              convolution.weight().size(2),
              convolution.stride(),
              convolution.padding(),
              convolution.groups(),
              after == Nonlinearity.RELU,
              pairs);
      return after == Nonlinearity.SILU ? after.apply(out) : out;
    }

    @Override
    public void close() {
      Tensors.free(activation);
      Tensors.free(input);
      Tensors.free(first);
      Tensors.free(shortcut);
      Tensors.free(logits);
    }
  }

  @Override
  public void close() {
    Tensors.free(firstWeight);
    Tensors.free(shortcutWeight);
    Tensors.free(removed);
  }
}
