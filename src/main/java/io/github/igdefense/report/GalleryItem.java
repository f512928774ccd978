package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;

/**
 * One image of the gallery, before and after an attack. Classes are given by name.
 *
 * <p>The pictures go into the HTML page only; {@code result.json} leaves them out.
 *
 * @param index position of the image in its data set
 * @param trueClass the label
 * @param cleanPrediction what the base model sees in the unchanged image
 * @param adversarialPrediction what the base model sees in the attacked image
 * @param defendedPrediction what the defended classifier sees in the attacked image; null without a
 *     defense
 * @param pseudoLabel the defense's first-pass label of the attacked image; null without a defense
 * @param attack name of the attack that made the image
 * @param clean the unchanged image; null if it is not kept
 * @param adversarial the attacked image, of the same shape; null if it is not kept
 */
@JsonPropertyOrder({
  "index",
  "trueClass",
  "cleanPrediction",
  "adversarialPrediction",
  "defendedPrediction",
  "pseudoLabel",
  "attack"
})
@JsonIgnoreProperties({"clean", "adversarial"})
public record GalleryItem(
    long index,
    String trueClass,
    String cleanPrediction,
    String adversarialPrediction,
    String defendedPrediction,
    String pseudoLabel,
    String attack,
    Picture clean,
    Picture adversarial) {
  /**
   * Checks that the two pictures match.
   *
   * @throws IllegalArgumentException if only one is given or their shapes differ
   */
  public GalleryItem {
    if ((clean == null) != (adversarial == null)
        || clean != null && !clean.sameShape(adversarial)) {
      throw new IllegalArgumentException(
          "gallery image " + index + ": expected a clean and an adversarial picture of one shape");
    }
  }

  /** True if the pictures are there to be drawn. */
  boolean drawable() {
    return clean != null;
  }
}
