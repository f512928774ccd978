package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;

/**
 * Randomised smoothing of the pseudo-label pass: z = mean over {@code samples} draws of f(x + σ·v),
 * v ~ N(0,I), no clipping (paper Sec. 4).
 *
 * @param sigma σ in pixels of [0,1]; 0 turns smoothing off
 * @param samples n_s, draws per image
 */
public record Smoothing(double sigma, int samples) {
  /** No smoothing: both passes see the clean image and share one prefix. */
  public static final Smoothing NONE = new Smoothing(0, 1);

  /** Checks ranges. */
  public Smoothing {
    if (!(sigma >= 0) || Double.isInfinite(sigma)) {
      throw new InputException("expected a smoothing sigma of 0 or more, got " + sigma);
    }
    if (samples < 1) {
      throw new InputException("expected at least 1 smoothing sample, got " + samples);
    }
  }

  /** Whether there is any noise. */
  public boolean enabled() {
    return sigma > 0;
  }
}
