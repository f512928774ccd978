package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Our native kernels on libtorch tensors: no copies, the kernels work on the tensors' own memory.
 *
 * <p>Activations are [N,U,H,W] or [N,U], float32 or float64 (bfloat16 is widened first), in any
 * layout; contiguous and channels-last ones are read in place. Results come in the caller's scope.
 * Threads: any number of calls may run at the same time on different outputs.
 *
 * <p>Where the activation is on a CUDA device, our CUDA kernels run, queued on libtorch's current
 * stream; parameters must be on that device, everything else is moved there. Results stay there,
 * but for sums, which are added to where the caller has them.
 */
public final class FusedOps {
  static final int FLOAT32 = 0;
  static final int FLOAT64 = 1;

  static {
    NativeRuntime.load();
  }

  private FusedOps() {}

  /** What the masked head gives, all in the caller's scope. */
  public record MaskedHead(
      Tensor logits, Tensor pooled, Tensor firstLogits, Tensor softWeights, Tensor softMask) {}

  /**
   * Masked head, forward (Kulkarni and Weng 2024, Sec. 4): pool, first logits, softmax with
   * temperature, class-weighted mask, final logits in one pass.
   *
   * @param activation [N,U,H,W] or [N,U]
   * @param weight [K,U], contiguous, in the head's type
   * @param bias [K]
   * @param masks uint8 [K,U], 1 = kept
   * @param firstLogits [N,K] from a smoothed pass, or null to compute them from the same activation
   * @throws IllegalArgumentException if shapes or types do not fit each other
   */
  public static MaskedHead maskedHead(
      Tensor activation,
      Tensor weight,
      Tensor bias,
      Tensor masks,
      double temperature,
      Tensor firstLogits) {
    Operands.requireHead(activation, weight, bias, masks);
    if (firstLogits != null) {
      requireSize("firstLogits", firstLogits, activation.size(0), weight.size(0));
    }
    if (activation.is_cuda()) {
      return CudaOps.maskedHead(activation, weight, bias, masks, temperature, firstLogits);
    }
    Tensor[] out = new Tensor[5];
    try (PointerScope scope = new PointerScope()) {
      Strided a = Strided.of(activation, weight.scalar_type().intern());
      long k = weight.size(0);
      ScalarType type = weight.scalar_type().intern();
      Tensor given = firstLogits == null ? null : firstLogits.to(type).contiguous();
      out[0] = Tensors.keep(empty(type, a.n(), k));
      out[1] = Tensors.keep(empty(type, a.n(), a.u()));
      out[2] = Tensors.keep(given != null ? given : empty(type, a.n(), k));
      out[3] = Tensors.keep(empty(type, a.n(), k));
      out[4] = Tensors.keep(empty(type, a.n(), a.u()));
      Operands.check(
          IgdKernels.igd_jni_masked_head_forward(
              a.dtype(),
              a.address(),
              a.strideN(),
              a.strideU(),
              a.strideS(),
              a.n(),
              a.u(),
              a.s(),
              Tensors.address(weight),
              bias == null ? 0 : Tensors.address(bias),
              k,
              Tensors.address(masks),
              temperature,
              given == null ? 0 : Tensors.address(given),
              Tensors.address(out[1]),
              given == null ? Tensors.address(out[2]) : 0,
              Tensors.address(out[3]),
              Tensors.address(out[4]),
              Tensors.address(out[0])));
    }
    for (Tensor tensor : out) {
      Tensors.adopt(tensor);
    }
    return new MaskedHead(out[0], out[1], out[2], out[3], out[4]);
  }

  /**
   * Gradients of the masked head.
   *
   * @param activation gradient with respect to the activation, in its shape and layout
   * @param firstLogits gradient [N,K] with respect to given first logits; null if the head computed
   *     its own
   */
  public record MaskedHeadGradient(Tensor activation, Tensor firstLogits) {}

  /**
   * Masked head, backward.
   *
   * @param gradLogits [N,K]
   * @param head what the forward gave
   * @param activation the forward's activation; only its shape, type and layout are used
   * @param ownFirstLogits whether the forward computed the first logits itself
   * @throws IllegalArgumentException if shapes or types do not fit each other
   */
  public static MaskedHeadGradient maskedHeadBackward(
      Tensor gradLogits,
      MaskedHead head,
      Tensor activation,
      Tensor weight,
      Tensor masks,
      double temperature,
      boolean ownFirstLogits) {
    Operands.requireHead(activation, weight, null, masks);
    ScalarType headType = weight.scalar_type().intern();
    long n = activation.size(0);
    long units = activation.size(1);
    long classes = weight.size(0);
    requireSize("gradLogits", gradLogits, n, classes);
    Operands.require("head.pooled", head.pooled(), headType, n, units);
    Operands.require("head.softWeights", head.softWeights(), headType, n, classes);
    Operands.require("head.softMask", head.softMask(), headType, n, units);
    if (activation.is_cuda()) {
      return CudaOps.maskedHeadBackward(
          gradLogits, head, activation, weight, masks, temperature, ownFirstLogits);
    }
    Tensor gradActivation;
    Tensor gradFirst;
    try (PointerScope scope = new PointerScope()) {
      ScalarType type = weight.scalar_type().intern();
      Tensor g = gradLogits.to(type).contiguous();
      Tensor target =
          activation.dim() == 4
              ? torch.empty(
                  Tensors.shape(activation), Tensors.options(type), Tensors.channelsLast())
              : empty(type, Tensors.shape(activation));
      Strided a = Strided.of(target, type);
      long k = weight.size(0);
      gradFirst = Tensors.keep(empty(type, a.n(), k));
      Operands.check(
          IgdKernels.igd_jni_masked_head_backward(
              a.dtype(),
              Tensors.address(g),
              Tensors.address(head.pooled()),
              Tensors.address(head.softWeights()),
              Tensors.address(head.softMask()),
              Tensors.address(weight),
              Tensors.address(masks),
              temperature,
              a.n(),
              a.u(),
              a.s(),
              k,
              ownFirstLogits ? 1 : 0,
              a.address(),
              a.strideN(),
              a.strideU(),
              a.strideS(),
              Tensors.address(gradFirst)));
      gradActivation = Tensors.keep(target.to(activation.scalar_type().intern()));
    }
    Tensors.adopt(gradActivation);
    Tensors.adopt(gradFirst);
    return new MaskedHeadGradient(gradActivation, ownFirstLogits ? null : gradFirst);
  }

  /**
   * Leave-one-out at the penultimate layer, step 1: adds |pooled activation| to its class's sums.
   *
   * @param activation [N,U,H,W] or [N,U]
   * @param labels int64 [N]
   * @param signed adds the pooled activation itself
   * @param classSums float64 [K,U], in and out
   * @param classCounts int64 [K], in and out
   * @throws IllegalArgumentException if shapes or types do not fit each other, or a label is none
   *     of the K classes
   */
  public static void looPenultimateAccumulate(
      Tensor activation, Tensor labels, boolean signed, Tensor classSums, Tensor classCounts) {
    Operands.requireSums(activation, labels, classSums, classCounts);
    if (activation.is_cuda()) {
      CudaOps.looPenultimateAccumulate(activation, labels, signed, classSums, classCounts);
      return;
    }
    try (PointerScope scope = new PointerScope()) {
      ScalarType type = activation.scalar_type().intern();
      Strided a = Strided.of(activation, type == ScalarType.Double ? type : ScalarType.Float);
      Operands.check(
          IgdKernels.igd_jni_loo_penultimate_accumulate(
              a.dtype(),
              a.address(),
              a.strideN(),
              a.strideU(),
              a.strideS(),
              a.n(),
              a.u(),
              a.s(),
              Tensors.address(labels),
              classSums.size(0),
              signed ? 1 : 0,
              Tensors.address(classSums),
              Tensors.address(classCounts)));
    }
  }

  /**
   * Leave-one-out at the penultimate layer, step 2.
   *
   * @param weight [K,U] of the linear classifier
   * @param reference divides by N/K as the published code does, not by the class's own count
   * @return importance float64 [U,K]
   * @throws IllegalArgumentException if shapes or types do not fit each other
   */
  public static Tensor looPenultimateFinish(
      Tensor weight, Tensor classSums, Tensor classCounts, boolean signed, boolean reference) {
    Operands.requireReal("weight", weight.scalar_type().intern());
    Operands.require("weight", weight, null, Operands.ANY, Operands.ANY);
    Operands.require("classSums", classSums, ScalarType.Double, weight.size(0), weight.size(1));
    Operands.require("classCounts", classCounts, ScalarType.Long, weight.size(0));
    if (weight.is_cuda()) {
      return CudaOps.looPenultimateFinish(weight, classSums, classCounts, signed, reference);
    }
    Tensor importance = empty(ScalarType.Double, weight.size(1), weight.size(0));
    try (PointerScope scope = new PointerScope()) {
      Operands.check(
          IgdKernels.igd_jni_loo_penultimate_finish(
              weight.scalar_type().intern() == ScalarType.Double ? FLOAT64 : FLOAT32,
              Tensors.address(weight),
              weight.size(0),
              weight.size(1),
              Tensors.address(classSums),
              Tensors.address(classCounts),
              signed ? 1 : 0,
              reference ? 1 : 0,
              Tensors.address(importance)));
    }
    return importance;
  }

  /**
   * Standard normals that belong to each image: a function of the seed, the image's values in
   * float32 and the draw's number alone (kernels.h: igd_image_noise).
   *
   * @param images [N,C,H,W], any floating type and layout
   * @return float32 [N·samples,C,H,W]: row i·samples + s is draw s of image i
   */
  public static Tensor imageNoise(Tensor images, int samples, long seed) {
    return Tensors.scoped(
        () -> {
          Tensor x = images.detach().to(ScalarType.Float).contiguous();
          long[] shape = Tensors.shape(x);
          long pixels = x.numel() / shape[0];
          shape[0] *= samples;
          Tensor noise = empty(ScalarType.Float, shape);
          Operands.check(
              IgdKernels.igd_jni_image_noise(
                  Tensors.address(x),
                  images.size(0),
                  pixels,
                  samples,
                  seed,
                  Tensors.address(noise)));
          return noise;
        });
  }

  /** Logits come in any type and layout: they are copied where they do not fit. */
  private static void requireSize(String name, Tensor logits, long n, long classes) {
    if (logits.dim() != 2 || logits.size(0) != n || logits.size(1) != classes) {
      throw new IllegalArgumentException(
          "expected "
              + name
              + " ["
              + n
              + ", "
              + classes
              + "], got "
              + java.util.Arrays.toString(Tensors.shape(logits)));
    }
  }

  private static Tensor empty(ScalarType type, long... shape) {
    return torch.empty(shape, Tensors.options(type), new MemoryFormatOptional());
  }
}
