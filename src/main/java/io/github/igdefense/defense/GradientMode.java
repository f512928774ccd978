package io.github.igdefense.defense;

/**
 * How a defense that moves the image, x ↦ h(x), and then asks its base model is differentiated.
 *
 * <p>Both defenses of this kind here ({@link AntiAdversary}, {@link HedgeDefense}) move by signs of
 * gradients, whose derivative is zero wherever it exists; so nothing is left out by either mode but
 * what is said here.
 */
public enum GradientMode {
  /**
   * The derivative of what is computed, through every step: the Jacobian of h is diagonal, 0 where
   * clipping to [0,1] fixes a pixel and 1 elsewhere. Blind at the fixed pixels.
   */
  FULL,
  /**
   * Backward pass differentiable approximation (Athalye et al. 2018): the Jacobian of h is taken as
   * the identity, since h(x) is near x. The stronger attack where clipping hides gradients.
   */
  BPDA
}
