package io.github.igdefense.importance;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.ConceptOps;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * The unit's largest activations are dealt out again in the order of the concept's cosines; the
 * score is minus the mean |difference|^p, relative to what five random permutations give and to
 * (mean cosine)^scaleP.
 *
 * <p>Equal cosines are ordered by activation (the published code leaves their order open). Cost:
 * U·K sortings of topFraction·N numbers.
 *
 * @param topFraction part of the images used, above 0 to 1; at least two images
 * @param seed of the permutations, drawn unit after unit, five each
 */
public record RankReorder(double p, double topFraction, double scaleP, long seed)
    implements Similarity {
  /** The published parameters; seed 0. */
  public static final RankReorder DEFAULT = new RankReorder(3, 0.05, 0.5, 0);

  private static final int PERMUTATIONS = 5;

  @Override
  public String name() {
    return "rank_reorder";
  }

  @Override
  public Map<String, Object> parameters() {
    Map<String, Object> parameters = new LinkedHashMap<>();
    parameters.put("p", p);
    parameters.put("top_fraction", topFraction);
    parameters.put("scale_p", scaleP);
    parameters.put("seed", seed);
    return parameters;
  }

  @Override
  public boolean needsLabels() {
    return false;
  }

  @Override
  public RankReorder withTopK(int images) {
    return this;
  }

  @Override
  public Tensor score(Tensor similarity, Tensor activations, Tensor labels) {
    int n = (int) activations.size(0);
    int top = (int) (n * topFraction);
    if (top < 2) {
      throw new InputException(
          "expected at least 2 images for rank_reorder, got " + n + " · " + topFraction);
    }
    int units = (int) activations.size(1);
    int concepts = (int) similarity.size(1);
    double[] scores = new double[units * concepts];
    try (PointerScope scope = new PointerScope();
        Rng rng = new Rng(seed)) {
      long[] images = Tensors.toLongs(ConceptOps.topImages(activations, top));
      double[] q = Tensors.toDoubles(activations);
      double[] cosines = Tensors.toDoubles(similarity);
      int[][] permutations = new int[units * PERMUTATIONS][];
      for (int i = 0; i < permutations.length; i++) {
        permutations[i] = rng.permutation(top);
      }
      IntStream.range(0, units)
          .parallel()
          .forEach(
              u -> {
                double[] target = new double[top];
                for (int r = 0; r < top; r++) {
                  target[r] = q[(int) images[u * top + r] * units + u];
                }
                double baseline = 0;
                for (int i = 0; i < PERMUTATIONS; i++) {
                  baseline += shuffled(target, permutations[u * PERMUTATIONS + i]);
                }
                baseline /= PERMUTATIONS;
                for (int k = 0; k < concepts; k++) {
                  double[] own = new double[top];
                  double sum = 0;
                  for (int r = 0; r < top; r++) {
                    own[r] = cosines[(int) images[u * top + r] * concepts + k];
                    sum += own[r];
                  }
                  if (!(sum > 0)) {
                    throw new InputException(
                        "rank_reorder needs concepts whose cosines are positive on average, got "
                            + sum / top
                            + " for concept "
                            + k
                            + " over the images of unit "
                            + u
                            + "; use another similarity");
                  }
                  // Equal activations in any order: no better than a random one.
                  double error = baseline > 0 ? dealt(target, own) / baseline : 1;
                  scores[u * concepts + k] = -error / Math.pow(sum / top, scaleP);
                }
              });
    }
    return Tensors.of(scores, units, concepts);
  }

  /** Mean |difference|^p of the ascending activations to a permutation of them. */
  private double shuffled(double[] target, int[] permutation) {
    int n = target.length;
    double sum = 0;
    for (int i = 0; i < n; i++) {
      sum += Math.pow(Math.abs(target[n - 1 - i] - target[n - 1 - permutation[i]]), p);
    }
    return sum / n;
  }

  /** Mean |difference|^p of the descending activations to them dealt in the order of cosines. */
  private double dealt(double[] target, double[] cosines) {
    int n = target.length;
    // Indices of equal cosines stay in order: a stable sort of (cosine, index).
    Integer[] order = new Integer[n];
    for (int i = 0; i < n; i++) {
      order[i] = i;
    }
    java.util.Arrays.sort(order, (x, y) -> Double.compare(cosines[x], cosines[y]));
    double sum = 0;
    for (int rank = 0; rank < n; rank++) {
      sum += Math.pow(Math.abs(target[order[rank]] - target[n - 1 - rank]), p);
    }
    return sum / n;
  }
}
