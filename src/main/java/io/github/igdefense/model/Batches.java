package io.github.igdefense.model;

import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.pytorch.Tensor;

/** Decoded images as tensors. */
public final class Batches {
  private Batches() {}

  /** [N,C,H,W] of the given type, copied, in the caller's scope. */
  public static Tensor tensor(ImageBatch batch, Dtype dtype) {
    long[] shape = {batch.size(), batch.channels(), batch.height(), batch.width()};
    return Tensors.scoped(
        () ->
            Tensors.to(
                batch.isDouble()
                    ? Tensors.of(batch.doubles(), shape)
                    : Tensors.of(batch.floats(), shape),
                dtype));
  }
}
