package io.github.igdefense.cli;

import io.github.igdefense.attack.Attack;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.evaluation.AttackRun;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.RepeatedEvaluation;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.ResultJson;
import io.github.igdefense.report.RunReport;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd attack}: adversarial images of one attack on one classifier. */
@Command(
    name = "attack",
    description = "Make adversarial images of the model, or of the defended model with --ranking.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class AttackCommand implements Callable<Integer> {
  @Mixin DataOptions data;
  @Mixin ModelOptions model;
  @Mixin DefenseOptions defense;

  @Option(
      names = "--attack",
      required = true,
      paramLabel = "NAME",
      description =
          "fgsm, pgd, apgd-ce, apgd-dlr, apgd-cw, apgd-t, fab, fab-t, square, gama-pgd or rays.")
  String attack;

  @Mixin AttackListOptions attackOptions;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Writes DIR/adversarial.npz (x, y, x_adv, success) and DIR/result.json.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    boolean defended = defense.enabled();
    Values.outputFolder(out);
    List<Attack> attacks = attackOptions.make(attack);
    if (attacks.size() != 1) {
      throw new InputException("expected one attack, got '" + attack + "'; igd eval takes a list");
    }
    try (StagedNetwork network = model.open();
        ImageSet images = data.open(output).withClassCount(network.classCount());
        Rng noise = new Rng(model.compute.seed)) {
      network.notes().forEach(output::note);
      if (!defended) {
        return run(network, network, images, attacks.get(0));
      }
      try (IgDefense classifier = defense.open(network, noise, output)) {
        return run(network, classifier, images, attacks.get(0));
      }
    }
  }

  private int run(
      StagedNetwork network, DifferentiableClassifier classifier, ImageSet images, Attack chosen) {
    Reporting reporting = new Reporting("attack", model, data, output);
    AttackRun run;
    Evaluation evaluation;
    try (Reporting.Bars bars = reporting.bars()) {
      evaluation =
          Evaluation.of(
              classifier,
              images,
              new Evaluation.Settings(
                  model.compute.batchSize,
                  model.compute.seed,
                  RepeatedEvaluation.DEFAULT,
                  attackOptions.order()),
              bars);
      run = evaluation.attack(chosen, false);
    }
    Npz.write(out.resolve("adversarial.npz"), arrays(images, run, classifier.dtype()));
    RunReport report =
        reporting.single(network, classifier, evaluation, attackOptions, defense, images, chosen);
    ResultJson.write(out.resolve("result.json"), report);
    output.result(
        String.format(
            Locale.ROOT,
            "%s on %s: clean %.2f %%, robust %.2f %% of %d images; %s",
            chosen.name(),
            classifier.name(),
            100 * evaluation.clean().accuracy(),
            100 * run.robustAccuracy(),
            images.size(),
            out.resolve("adversarial.npz")));
    reporting.printJson(report);
    return 0;
  }

  private static Map<String, NpyArray> arrays(ImageSet images, AttackRun run, Dtype dtype) {
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("x", pixels(images, dtype));
    long[] labels = new long[images.size()];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = images.label(i);
    }
    arrays.put("y", NpyArray.of(labels, labels.length));
    arrays.put("x_adv", pixels(run.adversarial(), dtype));
    boolean[] success = run.success();
    arrays.put("success", NpyArray.of(success, success.length));
    return arrays;
  }

  private static NpyArray pixels(ImageSet images, Dtype dtype) {
    int length = images.imageLength();
    long[] shape = {images.size(), images.channels(), images.height(), images.width()};
    int total = Math.multiplyExact(images.size(), length);
    if (dtype == Dtype.FLOAT64) {
      double[] values = new double[total];
      for (int i = 0; i < images.size(); i++) {
        images.read(i, values, i * length);
      }
      return NpyArray.of(values, shape);
    }
    float[] values = new float[total];
    for (int i = 0; i < images.size(); i++) {
      images.read(i, values, i * length);
    }
    return NpyArray.of(values, shape);
  }
}
