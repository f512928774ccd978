package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.StagedNetwork;
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
  private final StagedNetwork network;
  private final ImageSet images;
  private final PointStore store;
  private final Evaluation.Settings settings;
  private final EvaluationListener listener;
  private final String version;
  private Evaluation base;
  private final Map<String, AttackRun> baseRuns = new LinkedHashMap<>();

  /**
   * A runner.
   *
   * @param network the base model; not owned
   * @param store opened for this model
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

  /** The finished points. */
  public PointStore store() {
    return store;
  }

  /**
   * The base model under attack.
   *
   * @param attacks each once; none for clean accuracy alone
   */
  public EvaluationResult base(List<Attack> attacks) {
    return store.point(
        parameters("base", Map.of(), attacks),
        EvaluationResult.class,
        () -> {
          Evaluation evaluation = start("base", network);
          for (Attack attack : attacks) {
            evaluation.add(baseRun(attack));
          }
          return evaluation.result();
        });
  }

  /**
   * A classifier over the base, attacked directly and by transfer.
   *
   * @param name for progress, such as {@code k=50}
   * @param what everything that decides the classifier, by name
   * @param attacks each once; none for clean accuracy alone
   * @param maker makes the classifier from a stream seeded for this point; it is closed here
   */
  public EvaluationResult point(
      String name,
      Map<String, String> what,
      List<Attack> attacks,
      Function<Rng, DifferentiableClassifier> maker) {
    return store.point(
        parameters("defended", what, attacks),
        EvaluationResult.class,
        () -> {
          try (Rng rng = new Rng(settings.seed());
              Made made = new Made(maker.apply(rng), network)) {
            Evaluation evaluation = start(name, made.classifier());
            for (Attack attack : attacks) {
              evaluation.attack(attack, false);
            }
            for (Attack attack : attacks) {
              evaluation.transfer(baseRun(attack));
            }
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

  private Evaluation start(String name, DifferentiableClassifier classifier) {
    return Evaluation.of(classifier, images, settings, named(name));
  }

  private EvaluationListener named(String name) {
    return p ->
        listener.progress(
            new EvaluationListener.Progress(
                name + ": " + p.task(), p.done(), p.images(), p.standing(), p.fraction()));
  }

  /** The base's adversarial images of an attack, misclassified images attacked too. */
  public AttackRun baseRun(Attack attack) {
    return baseRuns.computeIfAbsent(
        attack.toString(),
        key -> {
          if (base == null) {
            base = start("base", network);
          }
          return new AttackEvaluation(
                  settings.batchSize(), settings.seed(), settings.judge(), true)
              .run(attack, network, images, base.clean().correct(), named("base"));
        });
  }

  /** What decides a point besides the model's weights. */
  public Map<String, String> parameters(
      String kind, Map<String, String> what, List<Attack> attacks) {
    Map<String, String> all = new LinkedHashMap<>(what);
    all.put("kind", kind);
    all.put("version", version);
    all.put("architecture", network.architecture());
    all.put("dtype", network.dtype().toString());
    all.put("data_sha256", images.sha256());
    all.put("images", Integer.toString(images.size()));
    all.put("attacks", attacks.stream().map(Attack::toString).collect(Collectors.joining("; ")));
    all.put("batch_size", Integer.toString(settings.batchSize()));
    all.put("seed", Long.toString(settings.seed()));
    all.put("evaluations", Integer.toString(settings.judge().repetitions()));
    return all;
  }
}
