package io.github.igdefense.importance;

import io.github.igdefense.tensor.ConceptOps;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Weighted pointwise mutual information: as {@link SoftWpmi} with {@code L[u,k] = Σ_r log(S[i(r),k]
 * + minProb)}.
 *
 * @param topK images per unit; 0: all images
 */
public record Wpmi(int topK, double a, double lambda, double minProb) implements Similarity {
  /** The published parameters. */
  public static final Wpmi DEFAULT = new Wpmi(28, 2, 0.6, 1e-7);

  @Override
  public String name() {
    return "wpmi";
  }

  @Override
  public Map<String, Object> parameters() {
    Map<String, Object> parameters = new LinkedHashMap<>();
    parameters.put("top_k", topK);
    parameters.put("a", a);
    parameters.put("lam", lambda);
    parameters.put("min_prob", minProb);
    return parameters;
  }

  @Override
  public boolean needsLabels() {
    return false;
  }

  @Override
  public Wpmi withTopK(int images) {
    return new Wpmi(images, a, lambda, minProb);
  }

  @Override
  public Tensor score(Tensor similarity, Tensor activations, Tensor labels) {
    int top = Similarities.images(topK, activations);
    double[] weight = new double[top];
    Arrays.fill(weight, 1);
    return Tensors.scoped(
        () ->
            ConceptOps.scores(
                similarity,
                a,
                null,
                ConceptOps.topImages(activations, top),
                weight,
                minProb,
                lambda));
  }
}
