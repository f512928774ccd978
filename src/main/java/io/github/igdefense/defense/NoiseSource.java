package io.github.igdefense.defense;

import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.FusedOps;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.pytorch.Tensor;

/** Where the standard normals of the smoothed pass come from. */
@FunctionalInterface
public interface NoiseSource {
  /** Standard normals of the given shape, in the caller's scope. */
  Tensor draw(Dtype dtype, long... shape);

  /**
   * Standard normals for images, in the caller's scope: by default {@link #draw} of their number
   * and shape.
   *
   * @param images [N,C,H,W]
   * @param samples draws per image
   * @return [N·samples,C,H,W]: row i·samples + s is draw s of image i
   */
  default Tensor drawFor(Tensor images, int samples, Dtype dtype) {
    long[] shape = Tensors.shape(images);
    shape[0] *= samples;
    return draw(dtype, shape);
  }

  /**
   * Fresh noise at every call, from a seeded stream. Safe for any thread; the stream belongs to the
   * caller.
   */
  static NoiseSource fresh(Rng rng) {
    return (dtype, shape) -> {
      synchronized (rng) {
        return rng.normal(dtype, shape);
      }
    };
  }

  /**
   * The same {@code samples} draws for every image and every call, whatever its place in the batch:
   * makes a smoothed classifier deterministic. Its results are to be labelled as fixed-noise: an
   * attacker who knows the draws can use them.
   */
  static NoiseSource fixed(long seed, int samples) {
    return (dtype, shape) -> {
      long[] own = shape.clone();
      own[0] = samples;
      try (Rng rng = new Rng(seed)) {
        return Tensors.scoped(() -> rng.normal(dtype, own).repeat(shape[0] / samples, 1, 1, 1));
      }
    };
  }

  /**
   * Noise that belongs to the image: a function of the seed and of the image's values alone, so
   * that an image is classified alike in any batch, thread and process (FusedOps.imageNoise). Any
   * other image, however near, gets other draws; yet an attacker who knows the seed can compute
   * them, and results are to be labelled so.
   */
  static NoiseSource ofImage(long seed) {
    return new NoiseSource() {
      @Override
      public Tensor draw(Dtype dtype, long... shape) {
        throw new UnsupportedOperationException("noise of an image needs the image: drawFor");
      }

      @Override
      public Tensor drawFor(Tensor images, int samples, Dtype dtype) {
        return Tensors.scoped(() -> Tensors.to(FusedOps.imageNoise(images, samples, seed), dtype));
      }
    };
  }
}
