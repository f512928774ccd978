package io.github.igdefense.evaluation;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.Rng;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Evaluates points of a study: classifiers over one base model and one image set, each attacked
 * directly and shown the images made on the base. The base is attacked once per attack; finished
 * points come from the {@link PointStore}.
 *
 * <p>A point's numbers do not depend on the points before it: every one starts its own stream of
 * random numbers from the seed. Not thread-safe; owns nothing native beyond a call.
 */
public final class StudyRunner {
  /** No attack: clean accuracy alone. */
  public static final Comparison.Plans NOTHING = Comparison.Plans.same(List.of());

  private final StagedNetwork network;
  private final ImageSet images;
  private final PointStore store;
  private final Evaluation.Settings settings;
  private final EvaluationListener listener;
  private final String version;
  private final RunState baseState;
  private final Map<String, AttackRun> baseRuns = new LinkedHashMap<>();

  /**
   * A runner.
   *
   * @param network the base model; not owned
   * @param store opened for this model; the base's adversarial images are kept beside its points,
   *     under the hash of what decides them
   * @throws InputException for a model in less than float32 at highest precision
   */
  public StudyRunner(
      StagedNetwork network,
      ImageSet images,
      PointStore store,
      Evaluation.Settings settings,
      EvaluationListener listener) {
    this.network = network;
    this.images = images;
    this.store = store;
    this.settings = settings;
    this.listener = listener;
    this.version = io.github.igdefense.tensor.Version.get();
    if (network.dtype().bytes() < Dtype.FLOAT32.bytes()
        || network.float32Precision() != Float32Precision.HIGHEST) {
      throw new InputException(
          "expected float32 at highest precision or float64 for a study, got "
              + network.arithmetic()
              + "; use --dtype float32 without --float32-precision");
    }
    Map<String, String> decides = parameters("base attacks", Map.of(), NOTHING);
    decides.put("model_sha256", network.sha256());
    baseState = RunState.cached(store.folder().resolve("base"), decides);
  }

  /** The base model. */
  public StagedNetwork network() {
    return network;
  }

  /** The images. */
  public ImageSet images() {
    return images;
  }

  /** How classifiers are judged. */
  public Evaluation.Settings settings() {
    return settings;
  }

  /** Who is told of the progress. */
  public EvaluationListener listener() {
    return listener;
  }

  /** The finished points. */
  public PointStore store() {
    return store;
  }

  /**
   * The base model under attack.
   *
   * @param plans of which those on the base count
   */
  public EvaluationResult base(Comparison.Plans plans) {
    return store.point(
        parameters("base", Map.of(), plans),
        EvaluationResult.class,
        () -> {
          Evaluation evaluation = startBase();
          for (AttackPlan plan : plans.onBase()) {
            baseRuns.put(key(plan), evaluation.attack(plan, true));
          }
          return evaluation.result();
        });
  }

  /**
   * A classifier over the base, attacked directly and by transfer.
   *
   * @param name for progress, such as {@code k=50}
   * @param what everything that decides the classifier, by name
   * @param plans on the base (for transfer) and on the classifier; {@link #NOTHING} for clean
   *     accuracy alone
   * @param maker makes the classifier from a stream seeded for this point; it is closed here
   */
  public EvaluationResult point(
      String name,
      Map<String, String> what,
      Comparison.Plans plans,
      Function<Rng, DifferentiableClassifier> maker) {
    return store.point(
        parameters("defended", what, plans),
        EvaluationResult.class,
        () -> {
          // The base first: its random draws must not depend on whether it is computed or read.
          List<AttackRun> transferred = plans.onBase().stream().map(this::baseRun).toList();
          try (Rng rng = new Rng(settings.seed());
              Made made = new Made(maker.apply(rng), network)) {
            Evaluation evaluation = Evaluation.of(made.classifier(), images, settings, named(name));
            plans.direct().forEach(plan -> evaluation.attack(plan, false));
            transferred.forEach(evaluation::transfer);
            return evaluation.result();
          }
        });
  }

  /** A classifier that is closed unless it is the network. */
  private record Made(DifferentiableClassifier classifier, StagedNetwork network)
      implements AutoCloseable {
    @Override
    public void close() {
      if (classifier != network && classifier instanceof AutoCloseable closeable) {
        try {
          closeable.close();
        } catch (Exception e) {
          throw new IllegalStateException("cannot close " + classifier.name(), e);
        }
      }
    }
  }

  private Evaluation startBase() {
    return Evaluation.of(network, network, images, settings, baseState, "base", named("base"));
  }

  private EvaluationListener named(String name) {
    return p ->
        listener.progress(
            new EvaluationListener.Progress(
                name + ": " + p.task(), p.done(), p.images(), p.standing(), p.fraction()));
  }

  /** The base's adversarial images of a plan, misclassified images attacked too. */
  public AttackRun baseRun(AttackPlan plan) {
    AttackRun run = baseRuns.get(key(plan));
    if (run == null) {
      run = startBase().attack(plan, true);
      baseRuns.put(key(plan), run);
    }
    return run;
  }

  private static String key(AttackPlan plan) {
    return plan.name() + plan.stages() + plan.parameters();
  }

  /** What decides a point besides the model's weights. */
  public Map<String, String> parameters(
      String kind, Map<String, String> what, Comparison.Plans plans) {
    Map<String, String> all = new LinkedHashMap<>(what);
    all.put("kind", kind);
    all.put("version", version);
    all.put("architecture", network.architecture());
    all.put("dtype", network.arithmetic());
    all.put("data_sha256", images.sha256());
    all.put("images", Integer.toString(images.size()));
    all.put("on_base", keys(plans.onBase()));
    all.put("direct", kind.equals("base") ? "" : keys(plans.direct()));
    all.put("batch_size", Integer.toString(settings.batchSize()));
    all.put("seed", Long.toString(settings.seed()));
    all.put("evaluations", Integer.toString(settings.judge().repetitions()));
    all.put("order", settings.order().toString());
    return all;
  }

  private static String keys(List<AttackPlan> plans) {
    return plans.stream().map(StudyRunner::key).collect(Collectors.joining("; "));
  }
}
