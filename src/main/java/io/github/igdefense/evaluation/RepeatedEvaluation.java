package io.github.igdefense.evaluation;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.model.Classifier;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * The rule by which an image counts as classified correctly. A deterministic classifier is asked
 * once. A random one is asked {@code repetitions} times, and the image counts as correct if more
 * than half of the answers are: a single lucky or unlucky draw decides nothing.
 *
 * @param repetitions evaluations of a random classifier, odd
 */
public record RepeatedEvaluation(int repetitions) {
  /** Five evaluations. */
  public static final RepeatedEvaluation DEFAULT = new RepeatedEvaluation(5);

  /**
   * Checks the number.
   *
   * @throws InputException unless it is odd and positive
   */
  public RepeatedEvaluation {
    if (repetitions < 1 || repetitions % 2 == 0) {
      throw new InputException(
          "expected an odd number of evaluations per image, so that a majority exists, got "
              + repetitions);
    }
  }

  /** How often the classifier is asked. */
  public int repetitions(Classifier classifier) {
    return classifier.deterministic() ? 1 : repetitions;
  }

  /**
   * What a classifier makes of images.
   *
   * @param votes correct answers per image [N]
   * @param repetitions answers per image
   * @param classes classes of the first answer [N]
   */
  public record Judgement(int[] votes, int repetitions, int[] classes) {
    /** Whether the majority of the answers is correct, per image. */
    public boolean[] correct() {
      boolean[] correct = new boolean[votes.length];
      for (int i = 0; i < correct.length; i++) {
        correct[i] = 2 * votes[i] > repetitions;
      }
      return correct;
    }

    /** Share of images judged correct. */
    public double accuracy() {
      return Accuracy.of(correct());
    }

    /** Images on which the answers differ. */
    public int undecided() {
      int count = 0;
      for (int vote : votes) {
        count += vote > 0 && vote < repetitions ? 1 : 0;
      }
      return count;
    }
  }

  /**
   * Judges a batch.
   *
   * @param x images [N,C,H,W] in the classifier's type
   * @param labels [N]
   */
  public Judgement judge(Classifier classifier, Tensor x, long[] labels) {
    int asked = repetitions(classifier);
    int[] votes = new int[labels.length];
    int[] classes = new int[labels.length];
    for (int r = 0; r < asked; r++) {
      double[] logits = Predictions.logits(classifier, x);
      for (int i = 0; i < labels.length; i++) {
        int predicted = Predictions.argmax(logits, i, classifier.classCount());
        votes[i] += predicted == labels[i] ? 1 : 0;
        classes[i] = r == 0 ? predicted : classes[i];
      }
    }
    return new Judgement(votes, asked, classes);
  }

  /**
   * Judges all images of a set, batch by batch.
   *
   * @param task what the listener is told
   * @throws InputException if a label is no class of the classifier or the images do not fit it
   */
  public Judgement judge(
      String task,
      Classifier classifier,
      ImageSet images,
      int batchSize,
      EvaluationListener listener) {
    return judge(task, classifier, images, batchSize, Journal.NONE, listener);
  }

  Judgement judge(
      String task,
      Classifier classifier,
      ImageSet images,
      int batchSize,
      Journal journal,
      EvaluationListener listener) {
    Predictions.checkLabels(classifier, images);
    int[] votes = new int[images.size()];
    int[] classes = new int[images.size()];
    int[] done = new int[1];
    int[] standing = new int[1];
    Predictions.forEach(
        classifier,
        images,
        batchSize,
        null,
        (batch, x) -> {
          Map<String, NpyArray> kept =
              journal.step(() -> arrays(judge(classifier, x, batch.labels())));
          Judgement part = judgement(kept, repetitions(classifier), batch.size());
          System.arraycopy(part.votes(), 0, votes, done[0], batch.size());
          System.arraycopy(part.classes(), 0, classes, done[0], batch.size());
          done[0] += batch.size();
          standing[0] += Accuracy.count(part.correct());
          listener.progress(
              new EvaluationListener.Progress(
                  task, done[0], images.size(), standing[0], (double) done[0] / images.size()));
        });
    return new Judgement(votes, repetitions(classifier), classes);
  }

  private static Map<String, NpyArray> arrays(Judgement judgement) {
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("votes", NpyArray.of(judgement.votes(), judgement.votes().length));
    arrays.put("classes", NpyArray.of(judgement.classes(), judgement.classes().length));
    return arrays;
  }

  private static Judgement judgement(Map<String, NpyArray> arrays, int repetitions, int size) {
    NpyArray votes = arrays.get("votes");
    NpyArray classes = arrays.get("classes");
    if (votes == null || classes == null || votes.size() != size || classes.size() != size) {
      throw new InputException(
          "expected votes and classes of "
              + size
              + " images in the state of a batch; delete the state to start anew");
    }
    return new Judgement(ints(votes), repetitions, ints(classes));
  }

  private static int[] ints(NpyArray array) {
    return Arrays.stream(array.asLong()).mapToInt(Math::toIntExact).toArray();
  }
}
