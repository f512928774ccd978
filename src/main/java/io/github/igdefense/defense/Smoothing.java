package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;

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

  /**
   * A row for every draw: row i·samples + s is row i. The tensor itself where there is one draw;
   * else a new one in the caller's scope.
   */
  static Tensor forEachDraw(Tensor rows, long samples) {
    return samples == 1
        ? rows
        : rows.repeat_interleave(samples, new LongOptional(0), new LongOptional());
  }

  /** The mean over the draws of each image: [N,…] of [N·samples,…]. As {@link #forEachDraw}. */
  static Tensor meanOfDraws(Tensor rows, long samples) {
    return samples == 1 ? rows : byImage(rows, samples).mean(1);
  }

  /** The sum over the draws of each image: [N,…] of [N·samples,…]. As {@link #forEachDraw}. */
  static Tensor sumOfDraws(Tensor rows, long samples) {
    return samples == 1 ? rows : byImage(rows, samples).sum(new long[] {1});
  }

  private static Tensor byImage(Tensor rows, long samples) {
    return rows.unflatten(0, new long[] {rows.size(0) / samples, samples});
  }
}
