package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.RunOrder;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.evaluation.EvaluationResult.AttackOutcome;
import io.github.igdefense.evaluation.EvaluationResult.TransferOutcome;
import io.github.igdefense.evaluation.EvaluationResult.WorstCaseOutcome;
import io.github.igdefense.evaluation.RepeatedEvaluation.Judgement;
import io.github.igdefense.model.DifferentiableClassifier;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * The evaluation of one classifier on one image set: attacks and transfers are added one by one,
 * and every one becomes a column of the worst case.
 *
 * <pre>{@code
 * Evaluation base = Evaluation.of(network, images, Settings.DEFAULT, listener);
 * AttackRun onBase = base.attack(new Apgd(CE, LINF, epsilon, 100), true);
 * Evaluation defended = Evaluation.of(defense, images, Settings.DEFAULT, listener);
 * defended.attack(new Apgd(CE, LINF, epsilon, 100), false);
 * defended.transfer(onBase);
 * EvaluationResult result = defended.result();
 * }</pre>
 *
 * <p>Not thread-safe. Owns nothing native; classifier and images must stay open.
 */
public final class Evaluation {

  /**
   * How to evaluate.
   *
   * @param batchSize images at a time
   * @param seed of every batch's random draws
   * @param judge rule for random classifiers
   * @param order in which attacks work
   */
  public record Settings(int batchSize, long seed, RepeatedEvaluation judge, RunOrder order) {
    /** Batches of 64, seed 0, majority of 5. */
    public static final Settings DEFAULT = new Settings(64, 0, RepeatedEvaluation.DEFAULT);

    /** In the fast order. */
    public Settings(int batchSize, long seed, RepeatedEvaluation judge) {
      this(batchSize, seed, judge, RunOrder.FAST);
    }
  }

  private final DifferentiableClassifier classifier;
  private final ImageSet images;
  private final Settings settings;
  private final EvaluationListener listener;
  private final int[] labels;
  private final Judgement clean;
  private final Map<String, AttackRun> attacks = new LinkedHashMap<>();
  private final Map<String, Judgement> transfers = new LinkedHashMap<>();
  private final Map<String, String> sources = new LinkedHashMap<>();

  private Evaluation(
      DifferentiableClassifier classifier,
      ImageSet images,
      Settings settings,
      EvaluationListener listener,
      Judgement clean) {
    this.classifier = classifier;
    this.images = images;
    this.settings = settings;
    this.listener = listener;
    this.labels = images.labels();
    this.clean = clean;
  }

  /**
   * Starts an evaluation: judges the unchanged images.
   *
   * @throws io.github.igdefense.data.InputException if images or labels do not fit the classifier
   */
  public static Evaluation of(
      DifferentiableClassifier classifier,
      ImageSet images,
      Settings settings,
      EvaluationListener listener) {
    Judgement clean =
        settings.judge().judge("clean", classifier, images, settings.batchSize(), listener);
    return new Evaluation(
        classifier,
        images,
        Objects.requireNonNull(settings, "settings"),
        Objects.requireNonNull(listener, "listener"),
        clean);
  }

  /** The classifier evaluated. */
  public DifferentiableClassifier classifier() {
    return classifier;
  }

  /** How the unchanged images were judged. */
  public Judgement clean() {
    return clean;
  }

  /** The attacks so far, by name. */
  public Map<String, AttackRun> attacks() {
    return java.util.Collections.unmodifiableMap(attacks);
  }

  /** How the images carried over so far were judged, by the attack's name. */
  public Map<String, Judgement> transfers() {
    return java.util.Collections.unmodifiableMap(transfers);
  }

  /**
   * Attacks the classifier and adds the result as a column.
   *
   * @param forTransfer attack misclassified images too, so that the points can be carried over to
   *     another classifier; restarts and targets then run on all images, which costs more
   * @throws IllegalArgumentException if an attack of this name has been run
   */
  public AttackRun attack(Attack attack, boolean forTransfer) {
    if (attacks.containsKey(attack.name())) {
      throw new IllegalArgumentException("the attack " + attack.name() + " has been run already");
    }
    AttackRun run =
        new AttackEvaluation(
                settings.batchSize(),
                settings.seed(),
                settings.judge(),
                forTransfer,
                settings.order())
            .run(attack, classifier, images, clean.correct(), listener);
    attacks.put(attack.name(), run);
    return run;
  }

  /**
   * Shows the classifier the highest-loss points of an attack on another one and adds the result as
   * a column.
   *
   * @param run over the same images; made with {@code forTransfer}, else images that the other
   *     classifier got wrong from the start arrive unchanged
   * @throws IllegalArgumentException if the run has another number of images, or this transfer was
   *     added
   */
  public Judgement transfer(AttackRun run) {
    String name = run.attack().name();
    if (run.best().size() != images.size() || transfers.containsKey(name)) {
      throw new IllegalArgumentException(
          "expected a first transfer of " + name + " over " + images.size() + " images");
    }
    Judgement judgement =
        settings
            .judge()
            .judge("transfer " + name, classifier, run.best(), settings.batchSize(), listener);
    transfers.put(name, judgement);
    sources.put(name, run.classifier());
    return judgement;
  }

  /**
   * The matrix of images and columns: attacks by their names, transfers as {@code transfer:NAME}.
   */
  public WorstCase worstCase() {
    Map<String, boolean[]> columns = new LinkedHashMap<>();
    attacks.forEach((name, run) -> columns.put(name, run.robust()));
    transfers.forEach((name, judgement) -> columns.put("transfer:" + name, judgement.correct()));
    return WorstCase.of(clean.correct(), columns);
  }

  /** The numbers so far, with the warnings that follow from them. */
  public EvaluationResult result() {
    Map<String, AttackOutcome> attackOutcomes = new LinkedHashMap<>();
    attacks.forEach(
        (name, run) ->
            attackOutcomes.put(
                name,
                new AttackOutcome(
                    run.robustAccuracy(),
                    EvaluationResult.shares(perClass(run.robust())),
                    run.reportedAccuracy(),
                    run.seconds(),
                    run.gradientEvaluations(),
                    run.zeroGradientImages(),
                    run.attack().parameters())));
    Map<String, TransferOutcome> transferOutcomes = new LinkedHashMap<>();
    transfers.forEach(
        (name, judgement) ->
            transferOutcomes.put(
                name,
                new TransferOutcome(
                    judgement.accuracy(),
                    EvaluationResult.shares(perClass(judgement.correct())),
                    sources.get(name))));
    WorstCase worst = worstCase();
    WorstCaseOutcome worstOutcome =
        worst.names().isEmpty()
            ? null
            : new WorstCaseOutcome(
                worst.accuracy(),
                worst.interval().low(),
                worst.interval().high(),
                EvaluationResult.shares(perClass(worst.robust())));
    EvaluationResult bare =
        new EvaluationResult(
            classifier.name(),
            images.size(),
            clean.repetitions(),
            clean.accuracy(),
            EvaluationResult.shares(perClass(clean.correct())),
            attackOutcomes,
            transferOutcomes,
            worstOutcome,
            java.util.List.of());
    return new EvaluationResult(
        bare.classifier(),
        bare.count(),
        bare.evaluationsPerImage(),
        bare.clean(),
        bare.cleanPerClass(),
        bare.attacks(),
        bare.transfer(),
        bare.worstCase(),
        Warnings.of(bare));
  }

  private double[] perClass(boolean[] flags) {
    return Accuracy.perClass(flags, labels, classifier.classCount());
  }
}
