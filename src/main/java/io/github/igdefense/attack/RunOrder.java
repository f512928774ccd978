package io.github.igdefense.attack;

/**
 * In which order an attack works through restarts, targets and images. What it may do and when it
 * counts an image as broken are the same; the random draws of an image, and so single borderline
 * images, can differ.
 */
public enum RunOrder {
  /**
   * As little work as the answer needs. On deterministic models and for {@link
   * PointSelection#CORRECT}: an image leaves as soon as a misclassified point is found, and where
   * the images left fill the batch only in part, several restarts or targets run side by side in
   * it. Draws are made for the rows of such a batch in order (all images of the first restart or
   * target, then all of the next), so the same seed and batch give the same points. Otherwise equal
   * to {@link #REFERENCE}.
   */
  FAST,
  /**
   * The reference implementation's: one restart or target after another, each to its end, over the
   * images that were still robust when it began. With a seed, its very draws.
   */
  REFERENCE
}
