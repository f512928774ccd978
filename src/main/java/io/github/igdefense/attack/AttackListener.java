package io.github.igdefense.attack;

/** Told of an attack's progress, after every step, on the attacking thread. Must return quickly. */
@FunctionalInterface
public interface AttackListener {
  /** A listener that does nothing. */
  AttackListener NONE = progress -> {};

  /** One more step of one batch is done. */
  void step(Progress progress);

  /**
   * How far the attack on one batch has come.
   *
   * @param attack the attack's name
   * @param round restart or target in progress, from 0
   * @param rounds restarts and targets in all
   * @param step steps done in this round
   * @param steps steps of a round
   * @param robust images of the round not broken so far
   * @param images images in the round
   */
  record Progress(
      String attack, int round, int rounds, int step, int steps, int robust, int images) {}
}
