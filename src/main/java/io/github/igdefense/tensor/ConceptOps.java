package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Our native kernels for concept-based rankings (CD-IR) on libtorch tensors, without copies of
 * contiguous ones.
 *
 * <p>Threads: any number of calls may run at the same time. Results come in the caller's scope.
 */
public final class ConceptOps {
  private static final int FLOAT32 = 0;
  private static final int FLOAT64 = 1;

  static {
    NativeRuntime.load();
  }

  private ConceptOps() {}

  /**
   * The images that activate each unit most, in descending order, equal ones by index.
   *
   * @param activations q [N,U], float32 or float64 (other types are widened)
   * @param top images per unit, 1 to N
   * @return int32 [U,top]
   * @throws IllegalArgumentException if {@code top} is out of range or an activation is NaN
   */
  public static Tensor topImages(Tensor activations, int top) {
    return Tensors.scoped(
        () -> {
          Tensor q = dense(activations);
          // The kernel checks `top`; an allocation must not fail before it does.
          Tensor indices = empty(ScalarType.Int, q.size(1), Math.max(0, top));
          Operands.check(
              IgdKernels.igd_jni_top_images(
                  dtype(q), Tensors.address(q), q.size(0), q.size(1), top, address(indices)));
          return indices;
        });
  }

  /**
   * Soft WPMI and its relatives over each unit's images, with S = softmax(scale·P) over concepts:
   * {@code L[u,k] = Σ_r log(1 + weight[r]·(S[image(u,r),k] − 1) + minProb)}, {@code scores = L −
   * lambda·(logsumexp_u L − log U)}. Nothing of size [U,top,K] or [N,K] is made.
   *
   * @param similarity P [N,K], float32 or float64, finite
   * @param labels int64 [N]: S counts only where the concept is the image's label; or null
   * @param images int32 [U,top], as {@link #topImages} gives them
   * @param rankWeight one weight in [0,1] per rank
   * @return float64 [U,K]
   * @throws IllegalArgumentException if a cosine is not finite (naming image and concept), or an
   *     argument is out of range
   */
  public static Tensor scores(
      Tensor similarity,
      double scale,
      Tensor labels,
      Tensor images,
      double[] rankWeight,
      double minProb,
      double lambda) {
    if (similarity.dim() != 2 || images.dim() != 2) {
      throw new IllegalArgumentException(
          "expected similarity [N,K] and images [U,top], got "
              + java.util.Arrays.toString(Tensors.shape(similarity))
              + " and "
              + java.util.Arrays.toString(Tensors.shape(images)));
    }
    Operands.require("images", images, ScalarType.Int, Operands.ANY, Operands.ANY);
    if (rankWeight.length != images.size(1)) {
      throw new IllegalArgumentException(
          "expected a weight for each of " + images.size(1) + " ranks, got " + rankWeight.length);
    }
    if (labels != null) {
      Operands.require("labels", labels, ScalarType.Long, similarity.size(0));
    }
    if (similarity.is_cuda()) {
      return CudaOps.conceptScores(similarity, scale, labels, images, rankWeight, minProb, lambda);
    }
    return Tensors.scoped(
        () -> {
          Tensor p = dense(similarity);
          Tensor out = empty(ScalarType.Double, images.size(0), p.size(1));
          Tensor weight = Tensors.of(rankWeight, rankWeight.length);
          Operands.check(
              IgdKernels.igd_jni_cdir_score(
                  dtype(p),
                  Tensors.address(p),
                  p.size(0),
                  p.size(1),
                  scale,
                  labels == null ? 0 : Tensors.address(labels),
                  Tensors.address(images),
                  images.size(0),
                  images.size(1),
                  Tensors.address(weight),
                  minProb,
                  lambda,
                  Tensors.address(out)));
          return out;
        });
  }

  static Tensor dense(Tensor tensor) {
    boolean wide = tensor.scalar_type().intern() == ScalarType.Double;
    return tensor.to(wide ? ScalarType.Double : ScalarType.Float).contiguous();
  }

  static int dtype(Tensor tensor) {
    return tensor.scalar_type().intern() == ScalarType.Double ? FLOAT64 : FLOAT32;
  }

  private static Tensor empty(ScalarType type, long... shape) {
    return torch.empty(shape, Tensors.options(type), new MemoryFormatOptional());
  }

  /** An empty tensor has no address, which the kernel refuses after the sizes. */
  private static long address(Tensor tensor) {
    return tensor.numel() == 0 ? 0 : Tensors.address(tensor);
  }
}
