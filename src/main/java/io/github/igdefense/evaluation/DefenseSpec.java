package io.github.igdefense.evaluation;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Rng;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Everything that decides an {@link IgDefense} besides its base model. Immutable.
 *
 * @param ranking which units matter
 * @param keep k
 * @param temperature τ
 * @param smoothing of the first pass
 */
public record DefenseSpec(Ranking ranking, int keep, double temperature, Smoothing smoothing) {
  /**
   * Checks k.
   *
   * @throws InputException if it is not in 1..U
   */
  public DefenseSpec {
    if (keep < 1 || keep > ranking.units()) {
      throw new InputException(
          "expected to keep between 1 and "
              + ranking.units()
              + " units of "
              + ranking.layer()
              + ", got "
              + keep);
    }
    if (!(temperature > 0) || Double.isInfinite(temperature)) {
      throw new InputException("expected a temperature above 0, got " + temperature);
    }
  }

  /** The same with another k. */
  public DefenseSpec withKeep(int k) {
    return new DefenseSpec(ranking, k, temperature, smoothing);
  }

  /** The same with another ranking, and k units of it. */
  public DefenseSpec withRanking(Ranking other, int k) {
    return new DefenseSpec(other, k, temperature, smoothing);
  }

  /** The same with another τ. */
  public DefenseSpec withTemperature(double value) {
    return new DefenseSpec(ranking, keep, value, smoothing);
  }

  /** The same with another smoothing. */
  public DefenseSpec withSmoothing(Smoothing other) {
    return new DefenseSpec(ranking, keep, temperature, other);
  }

  /** What decides the defense, by name, for the key of a point. */
  public Map<String, String> parameters() {
    Map<String, String> all = new LinkedHashMap<>();
    double[] values = ranking.toArray();
    ByteBuffer bytes = ByteBuffer.allocate(8 * values.length);
    bytes.asDoubleBuffer().put(values);
    all.put("layer", ranking.layer());
    all.put("ranking_sha256", Hashes.sha256(bytes.array()));
    all.put("keep", Integer.toString(keep));
    all.put("temperature", Double.toString(temperature));
    all.put("sigma", Double.toString(smoothing.sigma()));
    all.put("samples", Integer.toString(smoothing.samples()));
    return all;
  }

  /** The defended classifier; the caller closes it. */
  public IgDefense open(StagedNetwork network, Rng rng) {
    return open(network, rng, ClassMasks.of(ranking, keep));
  }

  /** The same with other masks of the same layer. */
  IgDefense open(StagedNetwork network, Rng rng, ClassMasks masks) {
    return new IgDefense(
        network,
        masks,
        temperature,
        smoothing,
        smoothing.enabled() ? NoiseSource.fresh(rng) : null);
  }
}
