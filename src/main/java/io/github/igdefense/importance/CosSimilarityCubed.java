package io.github.igdefense.importance;

import io.github.igdefense.tensor.Tensors;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * Both sides centred over the images, cubed, divided by their norm (at least {@code minNorm}), then
 * their dot product.
 *
 * @param byLabel {@code cos_similarity_cubed_gt}: the normalised concept columns count only where
 *     the image's label is the concept
 */
public record CosSimilarityCubed(double minNorm, boolean byLabel) implements Similarity {
  /** The published parameters. */
  public static final CosSimilarityCubed DEFAULT = new CosSimilarityCubed(1e-3, false);

  @Override
  public String name() {
    return byLabel ? "cos_similarity_cubed_gt" : "cos_similarity_cubed";
  }

  @Override
  public Map<String, Object> parameters() {
    return new LinkedHashMap<>(Map.of("min_norm", minNorm));
  }

  @Override
  public boolean needsLabels() {
    return byLabel;
  }

  @Override
  public CosSimilarityCubed withTopK(int images) {
    return this;
  }

  @Override
  public Tensor score(Tensor similarity, Tensor activations, Tensor labels) {
    return Tensors.scoped(
        () -> Similarities.product(cubed(activations), cubed(similarity), byLabel ? labels : null));
  }

  private Tensor cubed(Tensor columns) {
    return Tensors.scoped(
        () -> {
          Tensor centred = columns.sub(columns.mean(new long[] {0}));
          return Similarities.unitColumns(centred.pow(new Scalar(3.0)), minNorm);
        });
  }
}
