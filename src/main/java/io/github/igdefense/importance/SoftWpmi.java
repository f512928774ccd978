package io.github.igdefense.importance;

import io.github.igdefense.tensor.ConceptOps;
import io.github.igdefense.tensor.Tensors;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Soft weighted pointwise mutual information, the default of CD-IR. With S = softmax(a·P) over
 * concepts and the unit's top images i(0), i(1), … by activation: {@code L[u,k] = Σ_r log(1 +
 * p_r·(S[i(r),k] − 1) + minProb)}, p_r = pStart − r/topK·(pStart − pEnd), and the score is {@code L
 * − lambda·(logsumexp_u L − log U)}.
 *
 * @param topK images per unit; 0: all images
 * @param byLabel {@code soft_wpmi_gt}: S is zero but at the image's label
 */
public record SoftWpmi(
    int topK, double a, double lambda, double pStart, double pEnd, double minProb, boolean byLabel)
    implements Similarity {
  /** {@code soft_wpmi} with its published parameters. */
  public static final SoftWpmi DEFAULT = new SoftWpmi(100, 10, 1, 0.998, 0.97, 1e-7, false);

  /** {@code soft_wpmi_gt}: all images (published: 50,000, the size of CIFAR's training sets). */
  public static final SoftWpmi BY_LABEL = new SoftWpmi(0, 10, 1, 0.998, 0.97, 1e-7, true);

  @Override
  public String name() {
    return byLabel ? "soft_wpmi_gt" : "soft_wpmi";
  }

  @Override
  public Map<String, Object> parameters() {
    Map<String, Object> parameters = new LinkedHashMap<>();
    parameters.put("top_k", topK);
    parameters.put("a", a);
    parameters.put("lam", lambda);
    parameters.put("p_start", pStart);
    parameters.put("p_end", pEnd);
    parameters.put("min_prob", minProb);
    return parameters;
  }

  @Override
  public boolean needsLabels() {
    return byLabel;
  }

  @Override
  public SoftWpmi withTopK(int images) {
    return new SoftWpmi(images, a, lambda, pStart, pEnd, minProb, byLabel);
  }

  @Override
  public Tensor score(Tensor similarity, Tensor activations, Tensor labels) {
    int top = Similarities.images(topK, activations);
    double[] weight = new double[top];
    for (int r = 0; r < top; r++) {
      weight[r] = pStart - (double) r / top * (pStart - pEnd);
    }
    return Tensors.scoped(
        () ->
            ConceptOps.scores(
                similarity,
                a,
                byLabel ? labels : null,
                ConceptOps.topImages(activations, top),
                weight,
                minProb,
                lambda));
  }
}
