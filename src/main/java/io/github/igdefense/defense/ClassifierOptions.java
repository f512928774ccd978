package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Engine;
import io.github.igdefense.tensor.Dtype;

/**
 * How a {@link DefendedClassifier} computes. Immutable; start from {@link #DEFAULT}.
 *
 * @param threads that share one call's work, for the whole process; 0 leaves what is set (one per
 *     physical core)
 * @param maxConcurrency calls that compute at the same time, others wait in their order; 0 for as
 *     many as threads fit the cores: 1 where a call uses all of them
 * @param dtype arithmetic; null for the bundle's
 * @param engine what computes
 */
public record ClassifierOptions(int threads, int maxConcurrency, Dtype dtype, Engine engine) {
  /** Threads as they are, one call at a time on all cores, the bundle's type. */
  public static final ClassifierOptions DEFAULT = new ClassifierOptions(0, 0, null, Engine.AUTO);

  private static final int MAX = 1024;

  /** Checks ranges. */
  public ClassifierOptions {
    if (threads < 0 || threads > MAX || maxConcurrency < 0 || maxConcurrency > MAX) {
      throw new InputException(
          "expected 0 to "
              + MAX
              + " threads and calls at once, got "
              + threads
              + " and "
              + maxConcurrency);
    }
    if (engine == null) {
      throw new InputException("expected an engine, got null; use Engine.AUTO");
    }
  }

  /** With this many threads per call, for the whole process. */
  public ClassifierOptions withThreads(int count) {
    return new ClassifierOptions(count, maxConcurrency, dtype, engine);
  }

  /** With this many calls at once. */
  public ClassifierOptions withMaxConcurrency(int count) {
    return new ClassifierOptions(threads, count, dtype, engine);
  }

  /** In this arithmetic. */
  public ClassifierOptions withDtype(Dtype type) {
    return new ClassifierOptions(threads, maxConcurrency, type, engine);
  }

  /** On this engine. */
  public ClassifierOptions withEngine(Engine other) {
    return new ClassifierOptions(threads, maxConcurrency, dtype, other);
  }
}
