package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import java.util.Arrays;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What is checked before our kernels, on the processor and on CUDA devices alike, get a tensor's
 * bare address: they know sizes only from their arguments, so a tensor of another size would be
 * read beyond its end.
 */
final class Operands {
  /** In an expected shape: any size. */
  static final long ANY = -1;

  private Operands() {}

  /**
   * Checks one operand.
   *
   * @param name as the caller knows it
   * @param type null for any
   * @param shape expected sizes, {@link #ANY} where none is expected
   * @throws IllegalArgumentException if the tensor is missing, of another type or shape, or has
   *     gaps
   */
  static void require(String name, Tensor tensor, ScalarType type, long... shape) {
    if (tensor == null || tensor.isNull()) {
      throw new IllegalArgumentException("expected " + name + ", got null");
    }
    boolean fits = tensor.dim() == shape.length;
    for (int i = 0; fits && i < shape.length; i++) {
      fits = shape[i] == ANY || tensor.size(i) == shape[i];
    }
    ScalarType actual = tensor.scalar_type().intern();
    boolean contiguous = tensor.is_contiguous();
    if (!fits || (type != null && actual != type) || !contiguous) {
      throw new IllegalArgumentException(
          "expected "
              + name
              + " of shape "
              + Arrays.toString(shape).replace("-1", "any")
              + (type == null ? "" : " and type " + type)
              + ", contiguous; got "
              + Arrays.toString(Tensors.shape(tensor))
              + " and "
              + actual
              + (contiguous ? "" : ", not contiguous"));
    }
  }

  /** The operands of a masked head: K classes, and as many units as the activation has. */
  static void requireHead(Tensor activation, Tensor weight, Tensor bias, Tensor masks) {
    requireActivation(activation);
    ScalarType type = weight.scalar_type().intern();
    requireReal("weight", type);
    long units = activation.size(1);
    require("weight", weight, type, ANY, units);
    if (bias != null) {
      require("bias", bias, type, weight.size(0));
    }
    require("masks", masks, ScalarType.Byte, weight.size(0), units);
  }

  /** The operands of a penultimate leave-one-out sum. */
  static void requireSums(Tensor activation, Tensor labels, Tensor classSums, Tensor classCounts) {
    requireActivation(activation);
    require("labels", labels, ScalarType.Long, activation.size(0));
    require("classSums", classSums, ScalarType.Double, ANY, activation.size(1));
    require("classCounts", classCounts, ScalarType.Long, classSums.size(0));
  }

  private static void requireActivation(Tensor activation) {
    if (activation.dim() != 2 && activation.dim() != 4) {
      throw new IllegalArgumentException(
          "expected an activation [N,U,H,W] or [N,U], got "
              + Arrays.toString(Tensors.shape(activation)));
    }
  }

  static void requireReal(String name, ScalarType type) {
    if (type != ScalarType.Float && type != ScalarType.Double) {
      throw new IllegalArgumentException(
          "expected " + name + " in float32 or float64, got " + type);
    }
  }

  /**
   * Throws what the kernels' last call complained of.
   *
   * @throws IllegalArgumentException unless {@code status} is 0
   */
  static void check(int status) {
    if (status != 0) {
      try (PointerScope scope = new PointerScope()) {
        BytePointer message = IgdKernels.igd_jni_last_error();
        throw new IllegalArgumentException(
            "native kernel refused its arguments (status " + status + "): " + message.getString());
      }
    }
  }
}
