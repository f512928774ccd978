package io.github.igdefense.importance;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** The matrix P [N,K] of CD-IR: how much each probe image looks like each concept. */
public final class Cosines {
  private Cosines() {}

  /**
   * Cosines of image and text features.
   *
   * @param images [N,D], float32 or float64; need not be normalised
   * @param texts [K,D], the same type
   * @return [N,K] of that type, in the caller's scope
   * @throws InputException if the widths differ
   */
  public static Tensor of(Tensor images, Tensor texts) {
    if (images.dim() != 2 || texts.dim() != 2 || images.size(1) != texts.size(1)) {
      throw new InputException(
          "expected image features [N,D] and text features [K,D] of the same D, got "
              + Arrays.toString(Tensors.shape(images))
              + " and "
              + Arrays.toString(Tensors.shape(texts))
              + "; make both with one CLIP model");
    }
    return Tensors.scoped(() -> unitRows(images).matmul(unitRows(texts).t()));
  }

  /**
   * Labels as concepts, where there is no CLIP: 1 where the image's label is the concept, else 0.
   *
   * @param labels int64 [N], each in [0,K)
   * @return [N,K] of {@code type}
   */
  public static Tensor ofLabels(Tensor labels, int classCount, ScalarType type) {
    return Tensors.scoped(
        () ->
            torch
                .zeros(new long[] {labels.size(0), classCount}, Tensors.options(type))
                .scatter(1, labels.unsqueeze(1), new Scalar(1.0)));
  }

  private static Tensor unitRows(Tensor rows) {
    return rows.div(rows.norm(new ScalarOptional(new Scalar(2.0)), new long[] {1}, true));
  }
}
