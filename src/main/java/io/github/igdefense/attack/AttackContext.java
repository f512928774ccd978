package io.github.igdefense.attack;

import io.github.igdefense.tensor.Rng;
import java.util.Objects;

/**
 * What an attack gets besides model and images: the seed of its random draws, who is told of its
 * progress, and which images it works on.
 *
 * <p>Every run seeds the stream again, so the same seed gives the same points whatever ran before.
 * For a smoothed model to take its noise from the same stream as the attack (as in the reference
 * implementation, which has one global generator), give both the same {@link Rng}.
 *
 * <p>Not thread-safe: one per attacking thread. Closing it closes the stream if it was made here.
 */
public final class AttackContext implements AutoCloseable {
  private final Rng rng;
  private final boolean ownsRng;
  private final long seed;
  private final AttackListener listener;
  private final PointSelection selection;
  private final RunOrder order;
  private final Trace trace;

  private AttackContext(
      Rng rng,
      boolean ownsRng,
      long seed,
      AttackListener listener,
      PointSelection selection,
      RunOrder order,
      Trace trace) {
    this.rng = Objects.requireNonNull(rng, "rng");
    this.ownsRng = ownsRng;
    this.seed = seed;
    this.listener = Objects.requireNonNull(listener, "listener");
    this.selection = Objects.requireNonNull(selection, "selection");
    this.order = Objects.requireNonNull(order, "order");
    this.trace = trace;
  }

  /** A context with a stream of its own, for correctly classified images. Close it. */
  public static AttackContext seeded(long seed) {
    return new AttackContext(
        new Rng(seed),
        true,
        seed,
        AttackListener.NONE,
        PointSelection.CORRECT,
        RunOrder.FAST,
        Trace.NONE);
  }

  /** A context that draws from {@code rng}, which stays the caller's. */
  public static AttackContext sharing(Rng rng, long seed) {
    return new AttackContext(
        rng, false, seed, AttackListener.NONE, PointSelection.CORRECT, RunOrder.FAST, Trace.NONE);
  }

  /** The same with another seed, on the same stream; close only the original. */
  public AttackContext withSeed(long other) {
    return new AttackContext(rng, false, other, listener, selection, order, trace);
  }

  /** The same with another listener, on the same stream; close only the original. */
  public AttackContext withListener(AttackListener other) {
    return new AttackContext(rng, false, seed, other, selection, order, trace);
  }

  /** The same for other images, on the same stream; close only the original. */
  public AttackContext withSelection(PointSelection other) {
    return new AttackContext(rng, false, seed, listener, other, order, trace);
  }

  /** The same in another order, on the same stream; close only the original. */
  public AttackContext withOrder(RunOrder other) {
    return new AttackContext(rng, false, seed, listener, selection, other, trace);
  }

  AttackContext withTrace(Trace other) {
    return new AttackContext(rng, false, seed, listener, selection, order, other);
  }

  /** The stream of random draws. */
  public Rng rng() {
    return rng;
  }

  /** The seed that every run starts from. */
  public long seed() {
    return seed;
  }

  /** Who is told of the progress. */
  public AttackListener listener() {
    return listener;
  }

  /** Which images are attacked. */
  public PointSelection selection() {
    return selection;
  }

  /** The order of restarts, targets and images; {@link RunOrder#FAST} unless changed. */
  public RunOrder order() {
    return order;
  }

  Trace trace() {
    return trace;
  }

  @Override
  public void close() {
    if (ownsRng) {
      rng.close();
    }
  }
}
