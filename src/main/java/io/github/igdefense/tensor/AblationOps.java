package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Our native kernels of leave-one-out inside a network, on libtorch tensors: they write a block of
 * P pairs (unit left out, image) at once. Float32, float64 and bfloat16.
 *
 * <p>Where activations are on a CUDA device, our CUDA kernels run there, on libtorch's current
 * stream. Results are channels-last and come in the caller's scope. Threads: any number of calls
 * may run at the same time. A refused argument is an {@link IllegalArgumentException}.
 */
public final class AblationOps {
  private static final long LARGEST_KERNEL = 7;

  static {
    NativeRuntime.load();
  }

  private AblationOps() {}

  /**
   * The pairs of a block.
   *
   * @param units int64 [P]
   * @param images int64 [P], positions in the batch
   */
  public record Pairs(Tensor units, Tensor images) {
    /**
     * Checks the pairs.
     *
     * @throws IllegalArgumentException unless both are int64 [P]
     */
    public Pairs {
      Operands.require("units of pairs", units, ScalarType.Long, Operands.ANY);
      Operands.require("images of pairs", images, ScalarType.Long, units.size(0));
    }

    /** Number of pairs P. */
    public long size() {
      return units.size(0);
    }
  }

  /** Whether {@link #convolution} takes kernels of this size. */
  public static boolean supports(long kernel) {
    return kernel <= LARGEST_KERNEL;
  }

  /**
   * A convolution's weight as {@link #convolution} takes it.
   *
   * @param weight [O,U/groups,k,k]
   * @return [U,k·k,O/groups] contiguous; float32 where the weight is bfloat16
   */
  public static Tensor pack(Tensor weight, long groups) {
    return Tensors.scoped(
        () -> {
          ScalarType type = weight.scalar_type().intern();
          long o = weight.size(0) / groups;
          long i = weight.size(1);
          long taps = weight.size(2) * weight.size(3);
          return weight
              .to(type == ScalarType.BFloat16 ? ScalarType.Float : type)
              .contiguous()
              .view(groups, o, i, taps)
              .permute(0, 2, 3, 1)
              .contiguous()
              .view(groups * i, taps, o);
        });
  }

  /**
   * A convolution without one input channel, from its result with all of them: {@code out[p] =
   * f(base[n] + conv_u(removed[u] − input[n,u]))} for pair p = (u,n).
   *
   * @param base [N,O,H',W'], the convolution of {@code input} plus bias
   * @param input [N,U,H,W]
   * @param removed [U], what the channel is once its unit is left out; null for zeros
   * @param packed of {@link #pack}
   * @param relu whether f is max(·, 0), else the identity
   * @return [P,O,H',W']
   */
  public static Tensor convolution(
      Tensor base,
      Tensor input,
      Tensor removed,
      Tensor packed,
      long kernel,
      long stride,
      long padding,
      long groups,
      boolean relu,
      Pairs pairs) {
    ScalarType type = base.scalar_type().intern();
    ScalarType real = type == ScalarType.BFloat16 ? ScalarType.Float : type;
    long channels = input.size(1);
    requireMap("base", base, type, input.size(0), Operands.ANY);
    requireMap("input", input, type, base.size(0), Operands.ANY);
    if (removed != null) {
      Operands.require("removed", removed, real, channels);
    }
    Operands.require("packed", packed, real, channels, kernel * kernel, base.size(1) / groups);
    if (base.is_cuda()) {
      return CudaAblationOps.convolution(
          base, input, removed, packed, kernel, stride, padding, groups, relu, pairs);
    }
    long p = pairs.size();
    Tensor out = empty(type, p, base.size(1), base.size(2), base.size(3));
    try (PointerScope scope = new PointerScope()) {
      Tensor b = channelsLast(base);
      Tensor e = channelsLast(input);
      Operands.check(
          IgdKernels.igd_jni_loo_ablate_convolution(
              code(type),
              Tensors.address(b),
              b.size(0),
              b.size(2),
              b.size(3),
              b.size(1),
              Tensors.address(e),
              e.size(2),
              e.size(3),
              e.size(1),
              removed == null ? 0 : Tensors.address(removed),
              Tensors.address(packed),
              kernel,
              stride,
              padding,
              groups,
              relu ? 1 : 0,
              Tensors.address(pairs.units()),
              Tensors.address(pairs.images()),
              p,
              Tensors.address(out)));
    }
    return out;
  }

  /**
   * Copies of activations with one channel zeroed.
   *
   * @param activation [N,U,H,W]
   * @return [P,U,H,W]
   */
  public static Tensor identity(Tensor activation, Pairs pairs) {
    requireMap(
        "activation", activation, activation.scalar_type().intern(), Operands.ANY, Operands.ANY);
    if (activation.is_cuda()) {
      return CudaAblationOps.identity(activation, pairs);
    }
    ScalarType type = activation.scalar_type().intern();
    long p = pairs.size();
    Tensor out = empty(type, p, activation.size(1), activation.size(2), activation.size(3));
    try (PointerScope scope = new PointerScope()) {
      Tensor a = channelsLast(activation);
      Operands.check(
          IgdKernels.igd_jni_loo_ablate_identity(
              code(type),
              Tensors.address(a),
              a.size(0),
              a.size(2) * a.size(3),
              a.size(1),
              Tensors.address(pairs.units()),
              Tensors.address(pairs.images()),
              p,
              Tensors.address(out)));
    }
    return out;
  }

  /**
   * |logit of the true class without the unit − with it|, in float64.
   *
   * @param logits [P,K], float32 or float64
   * @param base [N,K], with all units
   * @param labels int64 [N]
   * @param signed keeps the sign
   * @return P differences; all finite
   */
  public static double[] differences(
      Tensor logits, Tensor base, Tensor labels, Pairs pairs, boolean signed) {
    if (logits.dim() != 2
        || base.dim() != 2
        || logits.size(0) != pairs.size()
        || logits.size(1) != base.size(1)
        || logits.scalar_type().intern() != base.scalar_type().intern()) {
      throw new IllegalArgumentException(
          "expected logits ["
              + pairs.size()
              + ",K] and base [N,K] of one type, got "
              + describe(logits)
              + " and "
              + describe(base));
    }
    Operands.require("labels", labels, ScalarType.Long, base.size(0));
    if (logits.is_cuda()) {
      return CudaAblationOps.differences(logits, base, labels, pairs, signed);
    }
    try (PointerScope scope = new PointerScope()) {
      long p = pairs.size();
      ScalarType type = logits.scalar_type().intern();
      Tensor without = logits.contiguous();
      Tensor with = base.contiguous();
      Tensor out = torch.empty(new long[] {p}, Tensors.options(ScalarType.Double), noFormat());
      Operands.check(
          IgdKernels.igd_jni_loo_differences(
              code(type),
              Tensors.address(without),
              without.size(1),
              Tensors.address(with),
              Tensors.address(labels),
              with.size(0),
              Tensors.address(pairs.images()),
              p,
              signed ? 1 : 0,
              Tensors.address(out)));
      return Tensors.toDoubles(out);
    }
  }

  /** Maps [N,C,H,W] come in any layout: they are copied where they are not channels-last. */
  private static void requireMap(String name, Tensor map, ScalarType type, long n, long c) {
    if (map.dim() != 4
        || (n != Operands.ANY && map.size(0) != n)
        || (c != Operands.ANY && map.size(1) != c)
        || map.scalar_type().intern() != type) {
      throw new IllegalArgumentException(
          "expected "
              + name
              + " [N,C,H,W] of type "
              + type
              + (n == Operands.ANY ? "" : " with " + n + " images")
              + ", got "
              + describe(map));
    }
  }

  private static String describe(Tensor tensor) {
    return java.util.Arrays.toString(Tensors.shape(tensor)) + " " + tensor.scalar_type().intern();
  }

  private static MemoryFormatOptional noFormat() {
    return new MemoryFormatOptional();
  }

  private static Tensor empty(ScalarType type, long... shape) {
    return torch.empty(shape, Tensors.options(type), Tensors.channelsLast());
  }

  static Tensor channelsLast(Tensor x) {
    return x.contiguous(torch.MemoryFormat.ChannelsLast);
  }

  static int code(ScalarType type) {
    return switch (type) {
      case Float -> 0;
      case Double -> 1;
      case BFloat16 -> 2;
      default ->
          throw new IllegalArgumentException(
              "expected a float32, float64 or bfloat16 tensor, got " + type);
    };
  }
}
