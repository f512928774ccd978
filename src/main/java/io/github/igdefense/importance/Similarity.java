package io.github.igdefense.importance;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * How well a unit's activations over the probe images agree with a concept's cosines: the scoring
 * step of CLIP-Dissect (Oikarinen and Weng 2023, Sec. 3), as its published code computes it.
 *
 * <p>Implementations are small immutable objects, safe for any thread, which print their
 * parameters. Those whose name ends in {@code _gt} look at an image only through the concept that
 * is its label. {@link Similarities} finds them by name.
 */
public sealed interface Similarity
    permits SoftWpmi, Wpmi, RankReorder, CosSimilarity, CosSimilarityCubed, MajorityVote {

  /** The published name, such as {@code soft_wpmi}. */
  String name();

  /** The parameters by their published names, in a fixed order. */
  Map<String, Object> parameters();

  /** Whether the images' labels are needed. */
  boolean needsLabels();

  /** The same with another number of images per unit; itself where it has no such number. */
  Similarity withTopK(int topK);

  /**
   * Scores every unit for every concept; higher = more similar.
   *
   * @param similarity P [N,K], image-text cosines, float32 or float64
   * @param activations q [N,U], pooled activations, float32 or float64
   * @param labels int64 [N], each below K; may be null unless {@link #needsLabels}
   * @return float64 [U,K] in the caller's scope
   * @throws io.github.igdefense.data.InputException if the number of images per unit exceeds N
   */
  Tensor score(Tensor similarity, Tensor activations, Tensor labels);
}
