package io.github.igdefense.evaluation;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.SmoothedClassifier;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Rng;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * The nine rows of the paper's Table 6: one or two passes, no mask, random masks, CD-IR or LO-IR,
 * with and without smoothing. Immutable.
 *
 * @param passes forward passes, 1 or 2
 * @param mask {@code none}, {@code random}, {@code cdir} or {@code loir}
 * @param smoothing whether there is noise
 * @param result the row's numbers; null where no ranking was given for it
 */
@JsonPropertyOrder({"passes", "mask", "smoothing", "result"})
public record Ablation(
    @JsonProperty("passes") int passes,
    @JsonProperty("mask") String mask,
    @JsonProperty("smoothing") boolean smoothing,
    @JsonProperty("result") EvaluationResult result) {

  /**
   * Runs the rows in the table's order.
   *
   * @param loir LO-IR defense at the settings of all rows, its σ above 0
   * @param cdir the same with a CD-IR ranking of the same layer; null leaves its two rows empty
   * @throws InputException without noise, or if the two do not fit
   */
  public static List<Ablation> run(
      StudyRunner runner, DefenseSpec loir, DefenseSpec cdir, Comparison.Plans plans) {
    if (!loir.smoothing().enabled()) {
      throw new InputException(
          "an ablation compares rows with and without smoothing: set --smoothing-sigma above 0");
    }
    if (cdir != null && !cdir.ranking().layer().equals(loir.ranking().layer())) {
      throw new InputException(
          "expected a CD-IR ranking of "
              + loir.ranking().layer()
              + ", got one of "
              + cdir.ranking().layer());
    }
    StagedNetwork network = runner.network();
    Smoothing noise = loir.smoothing();
    List<Ablation> rows = new ArrayList<>();
    rows.add(new Ablation(1, "none", false, runner.base(plans)));
    Map<String, String> smoothed = new LinkedHashMap<>();
    smoothed.put("mask", "none, one pass");
    smoothed.put("sigma", Double.toString(noise.sigma()));
    smoothed.put("samples", Integer.toString(noise.samples()));
    rows.add(
        new Ablation(
            1,
            "none",
            true,
            runner.point(
                "one pass, smoothing",
                smoothed,
                plans,
                rng -> new SmoothedClassifier(network, noise, NoiseSource.fresh(rng)))));
    DefenseSpec plain = loir.withSmoothing(Smoothing.NONE);
    MaskableLayer layer = network.layer(loir.ranking().layer());
    ClassMasks full = ClassMasks.full(layer.name(), network.classCount(), layer.units());
    ClassMasks random =
        ClassMasks.random(
            layer.name(),
            network.classCount(),
            layer.units(),
            loir.keep(),
            runner.settings().seed());
    rows.add(row(runner, "none", plain, plans, rng -> plain.open(network, rng, full)));
    rows.add(row(runner, "random", plain, plans, rng -> plain.open(network, rng, random)));
    rows.add(row(runner, "random", loir, plans, rng -> loir.open(network, rng, random)));
    if (cdir == null) {
      rows.add(new Ablation(2, "cdir", false, null));
      rows.add(new Ablation(2, "cdir", true, null));
    } else {
      DefenseSpec quiet = cdir.withSmoothing(Smoothing.NONE);
      rows.add(row(runner, "cdir", quiet, plans, rng -> quiet.open(network, rng)));
      rows.add(row(runner, "cdir", cdir, plans, rng -> cdir.open(network, rng)));
    }
    rows.add(row(runner, "loir", plain, plans, rng -> plain.open(network, rng)));
    rows.add(row(runner, "loir", loir, plans, rng -> loir.open(network, rng)));
    return rows;
  }

  private static Ablation row(
      StudyRunner runner,
      String mask,
      DefenseSpec spec,
      Comparison.Plans plans,
      Function<Rng, DifferentiableClassifier> maker) {
    Map<String, String> what = new LinkedHashMap<>(spec.parameters());
    if (mask.equals("none") || mask.equals("random")) {
      what.put("mask", mask);
      what.remove("ranking_sha256");
    }
    boolean noisy = spec.smoothing().enabled();
    String name = "two passes, " + mask + (noisy ? ", smoothing" : "");
    return new Ablation(2, mask, noisy, runner.point(name, what, plans, maker));
  }
}
