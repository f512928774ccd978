package io.github.igdefense.evaluation;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.RunOrder;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.evaluation.EvaluationResult.AttackOutcome;
import io.github.igdefense.evaluation.EvaluationResult.StageOutcome;
import io.github.igdefense.evaluation.EvaluationResult.TransferOutcome;
import io.github.igdefense.evaluation.EvaluationResult.WorstCaseOutcome;
import io.github.igdefense.evaluation.RepeatedEvaluation.Judgement;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

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
  private final Classifier judged;
  private final ImageSet images;
  private final Settings settings;
  private final RunState state;
  private final String task;
  private final EvaluationListener listener;
  private final int[] labels;
  private final Judgement clean;
  private final Map<String, AttackRun> attacks = new LinkedHashMap<>();
  private final Map<String, SavedCheck> saved = new LinkedHashMap<>();
  private final Map<String, Judgement> transfers = new LinkedHashMap<>();
  private final Map<String, String> sources = new LinkedHashMap<>();
  private final Set<Finding> findings = new LinkedHashSet<>();

  private Evaluation(
      DifferentiableClassifier classifier,
      Classifier judged,
      ImageSet images,
      Settings settings,
      RunState state,
      String task,
      EvaluationListener listener) {
    this.classifier = classifier;
    this.judged = judged;
    this.images = images;
    this.settings = settings;
    this.state = state;
    this.task = task;
    this.listener = listener;
    this.labels = images.labels();
    this.clean = judge("clean", images);
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
    return of(classifier, classifier, images, settings, RunState.NONE, "evaluated", listener);
  }

  /**
   * Starts an evaluation that can be resumed, and whose classifier may be judged in another form
   * than it is attacked in.
   *
   * @param judged the form that counts, such as the float32 one of a bfloat16 classifier; else
   *     {@code classifier} itself
   * @param state keeps finished batches, or {@link RunState#NONE}
   * @param task the classifier's name within the state
   * @throws io.github.igdefense.data.InputException if images or labels do not fit the classifier
   */
  public static Evaluation of(
      DifferentiableClassifier classifier,
      Classifier judged,
      ImageSet images,
      Settings settings,
      RunState state,
      String task,
      EvaluationListener listener) {
    return new Evaluation(
        classifier,
        judged,
        images,
        Objects.requireNonNull(settings, "settings"),
        Objects.requireNonNull(state, "state"),
        task,
        Objects.requireNonNull(listener, "listener"));
  }

  private Judgement judge(String what, ImageSet set) {
    Journal journal = state.journal(task + "/" + what, set.name() + settings.judge());
    return settings.judge().judge(what, judged, set, settings.batchSize(), journal, listener);
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
   * What re-reading the images an attack left behind gives.
   *
   * @param accuracy share classified correctly; equal to the run's for deterministic classifiers
   * @param largest size of the largest perturbation
   */
  public record SavedCheck(double accuracy, double largest) {}

  /** The check of the saved images, by the attack's name. */
  public Map<String, SavedCheck> saved() {
    return java.util.Collections.unmodifiableMap(saved);
  }

  /** What was noticed about the classifier while it was attacked. */
  public List<Finding> findings() {
    return List.copyOf(findings);
  }

  /** As {@link #attack(AttackPlan, boolean)} for a single attack. */
  public AttackRun attack(Attack attack, boolean forTransfer) {
    return attack(AttackPlan.of(attack), forTransfer);
  }

  /**
   * Attacks the classifier and adds the result as a column. Then the images that were left behind
   * are checked: size of the perturbation, range, and the accuracy on them, computed anew.
   *
   * @param forTransfer attack misclassified images too, so that the points can be carried over to
   *     another classifier; restarts and targets of a single attack then run on all images, which
   *     costs more
   * @throws IllegalArgumentException if an attack of this name has been run
   * @throws io.github.igdefense.data.InputException if the classifier has too few classes
   * @throws IllegalStateException if an image left the ball or the range: a defect of the attack
   */
  public AttackRun attack(AttackPlan plan, boolean forTransfer) {
    if (attacks.containsKey(plan.name())) {
      throw new IllegalArgumentException("the attack " + plan.name() + " has been run already");
    }
    if (plan instanceof AutoAttack autoAttack) {
      AutoAttackChecks.requireClasses(plan, classifier);
      findings.addAll(
          AutoAttackChecks.before(autoAttack, classifier, images, settings.batchSize()));
    }
    AttackRun run =
        new AttackEvaluation(
                settings.batchSize(),
                settings.seed(),
                settings.judge(),
                forTransfer,
                settings.order())
            .run(plan, classifier, judged, images, clean.correct(), state, task, listener);
    if (plan instanceof AutoAttack) {
      findings.addAll(AutoAttackChecks.after(run));
    }
    attacks.put(plan.name(), run);
    double largest = Perturbations.check(images, run.adversarial(), plan);
    Perturbations.check(images, run.best(), plan);
    saved.put(
        plan.name(),
        new SavedCheck(judge("saved " + plan.name(), run.adversarial()).accuracy(), largest));
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
    String name = run.plan().name();
    if (run.best().size() != images.size() || transfers.containsKey(name)) {
      throw new IllegalArgumentException(
          "expected a first transfer of " + name + " over " + images.size() + " images");
    }
    Judgement judgement = judge("transfer " + name, run.best());
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
                    saved.get(name).accuracy(),
                    saved.get(name).largest(),
                    run.seconds(),
                    run.gradientEvaluations(),
                    run.queries(),
                    run.zeroGradientImages(),
                    stages(run),
                    run.plan().parameters())));
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
            findings(),
            List.of());
    return new EvaluationResult(
        bare.classifier(),
        bare.count(),
        bare.evaluationsPerImage(),
        bare.clean(),
        bare.cleanPerClass(),
        bare.attacks(),
        bare.transfer(),
        bare.worstCase(),
        bare.findings(),
        Warnings.of(bare));
  }

  /** The stages of a cascade; none for a single attack. */
  private static List<StageOutcome> stages(AttackRun run) {
    if (run.plan().stages().size() == 1) {
      return List.of();
    }
    return run.stages().stream()
        .map(
            stage ->
                new StageOutcome(
                    stage.attack().name(),
                    stage.accuracy(),
                    stage.attacked(),
                    stage.seconds(),
                    stage.attack().parameters()))
        .toList();
  }

  private double[] perClass(boolean[] flags) {
    return Accuracy.perClass(flags, labels, classifier.classCount());
  }
}
