package io.github.igdefense.evaluation;

/** Told of an evaluation's progress on the evaluating thread. Must return quickly. */
@FunctionalInterface
public interface EvaluationListener {
  /** A listener that does nothing. */
  EvaluationListener NONE = progress -> {};

  /** Something is done. */
  void progress(Progress progress);

  /**
   * How far a task has come.
   *
   * @param task what is running, such as {@code clean} or {@code apgd-ce}
   * @param done images finished
   * @param images images of the task
   * @param standing images that are correct (robust) so far, those of an unfinished batch included
   * @param fraction share of the work done, in [0,1], steps within a batch included
   */
  record Progress(String task, int done, int images, int standing, double fraction) {}
}
