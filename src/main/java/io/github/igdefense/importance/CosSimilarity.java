package io.github.igdefense.importance;

import io.github.igdefense.tensor.Tensors;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Cosine between a unit's activations and a concept's cosines over the images.
 *
 * @param byLabel {@code cos_similarity_gt}: the normalised concept columns count only where the
 *     image's label is the concept
 */
public record CosSimilarity(boolean byLabel) implements Similarity {
  @Override
  public String name() {
    return byLabel ? "cos_similarity_gt" : "cos_similarity";
  }

  @Override
  public Map<String, Object> parameters() {
    return Map.of();
  }

  @Override
  public boolean needsLabels() {
    return byLabel;
  }

  @Override
  public CosSimilarity withTopK(int images) {
    return this;
  }

  @Override
  public Tensor score(Tensor similarity, Tensor activations, Tensor labels) {
    return Tensors.scoped(
        () -> {
          Tensor concepts = Similarities.unitColumns(similarity, 0);
          Tensor units = Similarities.unitColumns(activations, 0);
          return Similarities.product(units, concepts, byLabel ? labels : null);
        });
  }
}
