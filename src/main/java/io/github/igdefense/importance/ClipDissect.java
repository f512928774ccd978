package io.github.igdefense.importance;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * CLIP-Dissect importance ranking (CD-IR): I[u,k] = similarity of the unit's pooled activations to
 * class name k over the probe images (paper Sec. 3.2). Immutable; safe for any thread.
 */
public final class ClipDissect {
  private final Similarity similarity;

  /** A ranking by this similarity. */
  public ClipDissect(Similarity similarity) {
    this.similarity = similarity;
  }

  /**
   * Ranks the units of a layer.
   *
   * @param cosines P [N,K] (see {@link Cosines}), float32 or float64, finite
   * @param activations q [N,U] (see {@link PooledActivations}), float32 or float64, finite
   * @param labels one per image, or null where the similarity needs none
   * @param provenance kept with the ranking
   * @throws InputException if the lengths differ, labels are missing or reach K, or the
   *     similarity's number of images exceeds N
   */
  public Ranking rank(
      String layer,
      Tensor cosines,
      Tensor activations,
      long[] labels,
      RankingProvenance provenance) {
    long n = activations.size(0);
    if (cosines.size(0) != n) {
      throw new InputException(
          "expected as many rows of the similarity matrix as of the activations ("
              + n
              + " images), got "
              + cosines.size(0)
              + "; make both from the same images");
    }
    if (labels == null && similarity.needsLabels()) {
      throw new InputException(
          similarity.name() + " needs the images' labels; give --labels or --data");
    }
    int concepts = Math.toIntExact(cosines.size(1));
    if (labels != null) {
      if (labels.length != n) {
        throw new InputException("expected " + n + " labels, one per image, got " + labels.length);
      }
      long highest = Arrays.stream(labels).max().orElse(-1);
      if (similarity.needsLabels() && highest >= concepts) {
        throw new InputException(
            "expected labels below the number of concepts, "
                + concepts
                + ", got "
                + highest
                + "; give one concept per class, in the order of the labels");
      }
    }
    checkFinite(activations, layer);
    try (PointerScope scope = new PointerScope()) {
      Tensor classes = labels == null ? null : Tensors.of(labels, labels.length);
      double[] scores = Tensors.toDoubles(similarity.score(cosines, activations, classes));
      int units = Math.toIntExact(activations.size(1));
      return new Ranking(layer, units, concepts, scores, provenance);
    }
  }

  private static void checkFinite(Tensor activations, String layer) {
    if (Double.isFinite(Tensors.sum(activations))) {
      return;
    }
    try (PointerScope scope = new PointerScope()) {
      double[] values = Tensors.toDoubles(activations.to(ScalarType.Double));
      int units = (int) activations.size(1);
      for (int i = 0; i < values.length; i++) {
        if (!Double.isFinite(values[i])) {
          throw new InputException(
              "expected finite activations of "
                  + layer
                  + ", got "
                  + values[i]
                  + " at unit "
                  + i % units
                  + " for image "
                  + i / units);
        }
      }
    }
  }
}
