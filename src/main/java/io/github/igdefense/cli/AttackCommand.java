package io.github.igdefense.cli;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.PseudoLabels;
import io.github.igdefense.evaluation.AttackPlan;
import io.github.igdefense.evaluation.AttackRun;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.RunState;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.ResultJson;
import io.github.igdefense.report.RunReport;
import io.github.igdefense.report.WorstCaseFiles;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Path;
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
      description = "One of " + AttackPlans.NAMES + ".")
  String attack;

  @Mixin AttackListOptions attackOptions;
  @Mixin RunOptions run;

  @Option(
      names = "--per-image",
      description = "Write DIR/per_image.csv: prediction, loss and cost for every image.")
  boolean perImage;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Writes DIR/adversarial.npz (x, y, x_adv, success) and DIR/result.json.")
  Path out;

  @Mixin Output output;

  private PseudoLabels agreement;

  @Override
  public Integer call() {
    boolean defended = defense.enabled();
    Values.outputFolder(out);
    List<AttackPlan> plans = AttackPlans.of(attack, attackOptions, false, false);
    if (plans.size() != 1) {
      throw new InputException("expected one attack, got '" + attack + "'; igd eval takes a list");
    }
    try (StagedNetwork network = model.open();
        StagedNetwork wide = model.openWide(network);
        ImageSet images = data.open(output).withClassCount(network.classCount());
        Rng noise = new Rng(model.compute.seed);
        StagedNetwork pseudo =
            this.defense.openPseudoLabels(model, network, this.defense.smoothing().enabled());
        IgDefense defense = defended ? this.defense.open(network, noise, pseudo, output) : null;
        IgDefense wideDefense =
            defended && wide != null ? this.defense.open(wide, noise, pseudo, output) : null) {
      network.notes().forEach(output::note);
      agreement =
          this.defense.agreement(
              network, pseudo, this.defense.smoothing(), images, model.compute, output);
      DifferentiableClassifier classifier = defended ? defense : network;
      Classifier judged = wide == null ? classifier : defended ? wideDefense : wide;
      Evaluation.Settings settings = run.settings(model, attackOptions);
      Map<String, String> identity =
          new Identity(model, network, images, settings).with("plan", plans.get(0));
      identity.put("classifier", classifier.name());
      if (defended) {
        identity.put("masks", Hashes.sha256(defense.masks().bits()));
        identity.put("temperature", Double.toString(defense.temperature()));
      }
      RunState state = run.open(out, identity, List.of(noise));
      Reporting reporting = new Reporting("attack", model, data, output);
      Evaluation evaluation;
      AttackRun result;
      try (Reporting.Bars bars = reporting.bars()) {
        evaluation = Evaluation.of(classifier, judged, images, settings, state, "attacked", bars);
        result = evaluation.attack(plans.get(0), false);
      } catch (InputException e) {
        state.abandon();
        throw e;
      }
      write(reporting, network, evaluation, result, images);
      run.finished(state);
      return 0;
    }
  }

  private void write(
      Reporting reporting,
      StagedNetwork network,
      Evaluation evaluation,
      AttackRun result,
      ImageSet images) {
    DifferentiableClassifier classifier = evaluation.classifier();
    WorstCaseFiles.writeAdversarial(
        out.resolve("adversarial.npz"), images, result, classifier.dtype() == Dtype.FLOAT64);
    if (perImage) {
      WorstCaseFiles.writePerImage(out.resolve("per_image.csv"), "attacked", evaluation, images);
    }
    RunReport report =
        reporting.single(
            network,
            classifier,
            evaluation,
            attackOptions,
            defense,
            images,
            result.plan(),
            run.evaluations,
            agreement);
    ResultJson.write(out.resolve("result.json"), report);
    output.result(
        String.format(
            Locale.ROOT,
            "%s on %s: clean %.2f %%, robust %.2f %% of %d images (reported by the attack %.2f %%,"
                + " on the saved images %.2f %%); %s",
            result.plan().name(),
            classifier.name(),
            100 * evaluation.clean().accuracy(),
            100 * result.robustAccuracy(),
            images.size(),
            100 * result.reportedAccuracy(),
            100 * evaluation.saved().get(result.plan().name()).accuracy(),
            out.resolve("adversarial.npz")));
    reporting.printJson(report);
  }
}
