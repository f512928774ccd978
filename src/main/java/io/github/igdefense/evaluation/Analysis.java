package io.github.igdefense.evaluation;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.RunOrder;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * The activation analysis of the paper (Sec. 3, Fig. 2): images that the model classifies correctly
 * are attacked, and the changes of a layer's activations, averaged over height and width, are
 * compared between groups of units; successful and failed attacks apart.
 *
 * <p>Batched, unlike the published code. For a successful attack the activations are those of the
 * adversarial point, for a failed one those of the point of highest loss. Attacks run to their end
 * ({@link RunOrder#REFERENCE}), also on images they have broken. Immutable.
 *
 * @param layer the layer
 * @param topK units per class that count as important
 * @param images images of the set
 * @param correct those classified correctly, which were attacked
 * @param attack the attack with its parameters
 * @param seconds wall time of the attack
 * @param successful changes where the attack succeeded
 * @param failed changes where it did not
 */
@JsonPropertyOrder({
  "layer",
  "top_k",
  "images",
  "correct",
  "attack",
  "seconds",
  "successful",
  "failed"
})
public record Analysis(
    @JsonProperty("layer") String layer,
    @JsonProperty("top_k") int topK,
    @JsonProperty("images") int images,
    @JsonProperty("correct") int correct,
    @JsonProperty("attack") String attack,
    @JsonProperty("seconds") double seconds,
    @JsonProperty("successful") Part successful,
    @JsonProperty("failed") Part failed) {

  /**
   * One kind of attacks.
   *
   * @param images how many
   * @param changes per group of units; empty without images
   */
  @JsonPropertyOrder({"images", "changes"})
  public record Part(
      @JsonProperty("images") int images,
      @JsonProperty("changes") List<ActivationChanges.Change> changes) {
    /** The change of a group; null where there is none. */
    public Double percent(ActivationChanges.Group group) {
      return changes.stream()
          .filter(c -> c.group() == group)
          .map(ActivationChanges.Change::percent)
          .findFirst()
          .orElse(null);
    }
  }

  /**
   * Runs the analysis: the cost of the attack, and three forward passes.
   *
   * @param ranking of a layer of the network
   * @param settings batch size and seed (also that of the bootstrap)
   * @throws InputException if ranking, images and network do not fit, k is not in 1..U, or no image
   *     is classified correctly
   */
  public static Analysis run(
      StagedNetwork network,
      Ranking ranking,
      int topK,
      ImageSet images,
      Attack attack,
      Evaluation.Settings settings,
      EvaluationListener listener) {
    MaskableLayer layer = network.layer(ranking.layer());
    if (ranking.units() != layer.units() || ranking.classCount() != network.classCount()) {
      throw new InputException(
          "expected a ranking of "
              + layer.units()
              + " units x "
              + network.classCount()
              + " classes for "
              + layer.name()
              + ", got "
              + ranking.units()
              + " x "
              + ranking.classCount());
    }
    ActivationChanges groups = ActivationChanges.of(ranking, topK);
    // Every attack goes to its end: where it stopped at the first success, activations would too.
    Evaluation.Settings whole =
        new Evaluation.Settings(
            settings.batchSize(), settings.seed(), settings.judge(), RunOrder.REFERENCE);
    Evaluation evaluation = Evaluation.of(network, images, whole, listener);
    boolean[] correct = evaluation.clean().correct();
    if (Accuracy.count(correct) == 0) {
      throw new InputException(
          "expected images that "
              + network.name()
              + " classifies correctly in "
              + images.name()
              + ", found none: check that labels and model belong together");
    }
    AttackRun run = evaluation.attack(attack, false);
    boolean[] success = run.success();
    double[][] before = pooled(network, layer, images, settings.batchSize());
    int[] post = Predictions.of(network, run.adversarial(), settings.batchSize()).classes();
    double[][] broken = pooled(network, layer, run.adversarial(), settings.batchSize());
    double[][] standing = pooled(network, layer, run.best(), settings.batchSize());
    int[] labels = images.labels();
    int[] broke = rows(success.length, i -> success[i]);
    int[] held = rows(success.length, i -> correct[i] && !success[i]);
    return new Analysis(
        layer.name(),
        topK,
        images.size(),
        Accuracy.count(correct),
        attack.toString(),
        run.seconds(),
        part(groups, broke, before, broken, labels, post, settings.seed()),
        part(groups, held, before, standing, labels, labels, settings.seed()));
  }

  private static int[] rows(int n, java.util.function.IntPredicate chosen) {
    return IntStream.range(0, n).filter(chosen).toArray();
  }

  private static Part part(
      ActivationChanges groups,
      int[] rows,
      double[][] before,
      double[][] after,
      int[] labels,
      int[] post,
      long seed) {
    if (rows.length == 0) {
      return new Part(0, List.of());
    }
    double[][] clean = Arrays.stream(rows).mapToObj(i -> before[i]).toArray(double[][]::new);
    double[][] attacked = Arrays.stream(rows).mapToObj(i -> after[i]).toArray(double[][]::new);
    int[] trueClasses = Arrays.stream(rows).map(i -> labels[i]).toArray();
    int[] postClasses = Arrays.stream(rows).map(i -> post[i]).toArray();
    return new Part(rows.length, groups.mean(clean, attacked, trueClasses, postClasses, seed));
  }

  /** Activations of the layer averaged over height and width, [N][U]. */
  static double[][] pooled(
      StagedNetwork network, MaskableLayer layer, ImageSet images, int batchSize) {
    double[][] all = new double[images.size()][];
    int[] done = new int[1];
    Predictions.forEach(
        network,
        images,
        batchSize,
        null,
        (batch, x) -> {
          try (PointerScope scope = new PointerScope();
              AutoGradMode off = new AutoGradMode(false)) {
            Tensor pooled = network.pool(network.prefix(x, layer));
            double[] values = Tensors.toDoubles(pooled);
            int units = layer.units();
            for (int i = 0; i < batch.size(); i++) {
              all[done[0]++] = Arrays.copyOfRange(values, i * units, (i + 1) * units);
            }
          }
        });
    return all;
  }
}
