package io.github.igdefense.defense;

import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.pytorch.Tensor;

/** Where the standard normals of the smoothed pass come from. */
@FunctionalInterface
public interface NoiseSource {
  /** Standard normals of the given shape, in the caller's scope. */
  Tensor draw(Dtype dtype, long... shape);

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
}
