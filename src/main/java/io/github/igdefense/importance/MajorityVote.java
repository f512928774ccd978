package io.github.igdefense.importance;

import io.github.igdefense.tensor.ConceptOps;
import io.github.igdefense.tensor.Tensors;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * {@code majority_vote_gt}: how many of the unit's top images carry the label. Needs no cosines
 * (only their number of concepts).
 *
 * @param topK images per unit; 0: all images
 */
public record MajorityVote(int topK) implements Similarity {
  /** The published parameters. */
  public static final MajorityVote DEFAULT = new MajorityVote(100);

  @Override
  public String name() {
    return "majority_vote_gt";
  }

  @Override
  public Map<String, Object> parameters() {
    return new LinkedHashMap<>(Map.of("top_k", topK));
  }

  @Override
  public boolean needsLabels() {
    return true;
  }

  @Override
  public MajorityVote withTopK(int images) {
    return new MajorityVote(images);
  }

  @Override
  public Tensor score(Tensor similarity, Tensor activations, Tensor labels) {
    int top = Similarities.images(topK, activations);
    int units = (int) activations.size(1);
    int concepts = (int) similarity.size(1);
    double[] votes = new double[units * concepts];
    try (PointerScope scope = new PointerScope()) {
      long[] classes = Tensors.toLongs(labels);
      long[] images = Tensors.toLongs(ConceptOps.topImages(activations, top));
      for (int i = 0; i < images.length; i++) {
        votes[i / top * concepts + (int) classes[(int) images[i]]]++;
      }
    }
    return Tensors.of(votes, units, concepts);
  }
}
