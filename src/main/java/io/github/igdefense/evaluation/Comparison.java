package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.model.Batches;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.tensor.Dtype;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
  private final Plans plans;
  private final Evaluation.Settings settings;
  private final EvaluationListener listener;
  private final boolean transfer;
  private final RunState state;
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
   * What is run.
   *
   * @param onBase on the base model; every one is carried over to the classifiers built on it
   * @param direct on each of those classifiers
   */
  public record Plans(List<AttackPlan> onBase, List<AttackPlan> direct) {
    /** Copies the lists. */
    public Plans {
      onBase = List.copyOf(onBase);
      direct = List.copyOf(direct);
    }

    /** The same everywhere. */
    public static Plans same(List<AttackPlan> plans) {
      return new Plans(plans, plans);
    }

    /** All plans, those of the base first, each name once. */
    public List<AttackPlan> all() {
      Map<String, AttackPlan> all = new LinkedHashMap<>();
      onBase.forEach(plan -> all.put(plan.name(), plan));
      direct.forEach(plan -> all.putIfAbsent(plan.name(), plan));
      return List.copyOf(all.values());
    }
  }

  /**
   * Where finished batches are kept.
   *
   * @param base of the base model: may be shared by runs about other classifiers built on it
   * @param others of everything else
   */
  public record States(RunState base, RunState others) {
    /** Nothing is kept. */
    public static final States NONE = new States(RunState.NONE, RunState.NONE);
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
    this(
        base,
        base,
        title,
        images,
        Plans.same(AttackPlan.each(attacks)),
        settings,
        transfer,
        States.NONE,
        listener);
  }

  /**
   * Attacks the base model with plans, keeping finished batches.
   *
   * @param judged the form of the base that counts, such as float32 for bfloat16; else the base
   *     itself
   */
  public Comparison(
      DifferentiableClassifier base,
      Classifier judged,
      String title,
      ImageSet images,
      Plans plans,
      Evaluation.Settings settings,
      boolean transfer,
      States states,
      EvaluationListener listener) {
    this.images = images;
    this.plans = plans;
    this.settings = settings;
    this.transfer = transfer;
    this.state = states.others();
    this.listener = listener;
    for (AttackPlan plan : plans.all()) {
      AutoAttackChecks.requireClasses(plan, base);
    }
    Evaluation evaluation =
        Evaluation.of(
            base, judged, images, settings, states.base(), "base", named("base", listener));
    for (AttackPlan plan : plans.onBase()) {
      evaluation.attack(plan, transfer);
    }
    this.base = new Row("base", title, evaluation);
    rows.add(this.base);
  }

  /** As {@link #add(String, String, DifferentiableClassifier, Classifier)}, judged as it is. */
  public Row add(String name, String title, DifferentiableClassifier classifier) {
    return add(name, title, classifier, classifier);
  }

  /**
   * Attacks a classifier built on the base and shows it the base's adversarial images.
   *
   * @param judged the form of the classifier that counts
   * @throws IllegalStateException if this comparison was made without transfer
   */
  public Row add(
      String name, String title, DifferentiableClassifier classifier, Classifier judged) {
    if (!transfer) {
      throw new IllegalStateException("this comparison was made for the base model alone");
    }
    Evaluation evaluation =
        Evaluation.of(classifier, judged, images, settings, state, name, named(name, listener));
    for (AttackPlan plan : plans.direct()) {
      evaluation.attack(plan, false);
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

  /** What is run. */
  public Plans plans() {
    return plans;
  }

  /** The attacks of all plans, in their order, those of cascades one by one. */
  public List<Attack> attacks() {
    return plans.all().stream().flatMap(plan -> plan.stages().stream()).toList();
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
