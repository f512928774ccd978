package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.model.Batches;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.tensor.Dtype;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * A base model and classifiers built on it, evaluated over the same images by the same attacks.
 *
 * <p>The base is attacked first; its highest-loss points are shown to every other classifier, which
 * is attacked directly as well. Both count for its worst case: a test-time defense is only as
 * robust as the weaker of the two. Not thread-safe; owns nothing native.
 */
public final class Comparison {
  private final ImageSet images;
  private final List<Attack> attacks;
  private final Evaluation.Settings settings;
  private final EvaluationListener listener;
  private final boolean transfer;
  private final Row base;
  private final List<Row> rows = new ArrayList<>();

  /**
   * One classifier's results.
   *
   * @param name short unique name
   * @param title the name to print
   * @param evaluation its clean accuracy, attacks and transfers
   */
  public record Row(String name, String title, Evaluation evaluation) {
    /** The classifier. */
    public DifferentiableClassifier classifier() {
      return evaluation.classifier();
    }
  }

  /**
   * Attacks the base model.
   *
   * @param transfer whether other classifiers will be added: the base's misclassified images are
   *     attacked too
   */
  public Comparison(
      DifferentiableClassifier base,
      String title,
      ImageSet images,
      List<Attack> attacks,
      Evaluation.Settings settings,
      boolean transfer,
      EvaluationListener listener) {
    this.images = images;
    this.attacks = List.copyOf(attacks);
    this.settings = settings;
    this.transfer = transfer;
    this.listener = listener;
    Evaluation evaluation = Evaluation.of(base, images, settings, named("base", listener));
    for (Attack attack : attacks) {
      evaluation.attack(attack, transfer);
    }
    this.base = new Row("base", title, evaluation);
    rows.add(this.base);
  }

  /**
   * Attacks a classifier built on the base and shows it the base's adversarial images.
   *
   * @throws IllegalStateException if this comparison was made without transfer
   */
  public Row add(String name, String title, DifferentiableClassifier classifier) {
    if (!transfer) {
      throw new IllegalStateException("this comparison was made for the base model alone");
    }
    Evaluation evaluation = Evaluation.of(classifier, images, settings, named(name, listener));
    for (Attack attack : attacks) {
      evaluation.attack(attack, false);
    }
    for (AttackRun run : base.evaluation().attacks().values()) {
      evaluation.transfer(run);
    }
    Row row = new Row(name, title, evaluation);
    rows.add(row);
    return row;
  }

  private static EvaluationListener named(String name, EvaluationListener listener) {
    return progress ->
        listener.progress(
            new EvaluationListener.Progress(
                name + ": " + progress.task(),
                progress.done(),
                progress.images(),
                progress.standing(),
                progress.fraction()));
  }

  /** The images. */
  public ImageSet images() {
    return images;
  }

  /** The attacks, in their order. */
  public List<Attack> attacks() {
    return attacks;
  }

  /** The base model's results. */
  public Row base() {
    return base;
  }

  /** All classifiers, the base first. */
  public List<Row> rows() {
    return List.copyOf(rows);
  }

  /** How classifiers were judged. */
  public Evaluation.Settings settings() {
    return settings;
  }

  /**
   * Inference time of every classifier as a multiple of the base model's, measured in this call on
   * the first images.
   *
   * @param repetitions pairs of calls per classifier
   */
  public List<Timing> timings(int batchSize, int repetitions) {
    List<Timing> timings = new ArrayList<>();
    try (ImageBatches batches =
            ImageBatches.of(
                images.limit(batchSize),
                batchSize,
                null,
                base.classifier().dtype() == Dtype.FLOAT64);
        PointerScope scope = new PointerScope()) {
      ImageBatch batch = batches.next();
      Tensor x = Batches.tensor(batch, base.classifier().dtype());
      for (Row row : rows) {
        timings.add(
            row == base
                ? Timing.of(row.classifier(), x, repetitions)
                : Timing.compare(row.classifier(), base.classifier(), x, repetitions));
      }
    }
    return timings;
  }
}
