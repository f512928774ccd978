package io.github.igdefense.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.evaluation.CorruptionEvaluation;
import io.github.igdefense.evaluation.EvaluationListener;
import io.github.igdefense.evaluation.RepeatedEvaluation;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.CorruptionReport;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Version;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd corruptions}: accuracy under the common corruptions of CIFAR-10-C and CIFAR-100-C. */
@Command(
    name = "corruptions",
    description = {
      "Accuracy of the model, and of the defended one with --ranking, under 15 corruptions at 5"
          + " severities.",
      "The mean corruption error (mCE) is relative to the base model; without a defense, the mean"
          + " error is given."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class CorruptionsCommand implements Callable<Integer> {
  @Option(
      names = "--corruptions",
      required = true,
      paramLabel = "DIR",
      description = "Folder of CIFAR-10-C or CIFAR-100-C: <corruption>.npy and labels.npy.")
  Path folder;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "Use the first N images of every corruption and severity only.")
  Integer limit;

  @Mixin ModelOptions model;
  @Mixin DefenseOptions defense;

  @Option(
      names = "--evaluations",
      paramLabel = "R",
      defaultValue = "5",
      description =
          "Evaluations of a smoothed model, odd; their majority decides. Default:"
              + " ${DEFAULT-VALUE}.")
  int evaluations;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "FILE",
      description = "Writes the accuracies as JSON.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    boolean defended = defense.enabled();
    Values.outputFile(out);
    if (limit != null && limit < 1) {
      throw new InputException("expected --limit of at least 1, got " + limit);
    }
    RepeatedEvaluation judge = new RepeatedEvaluation(evaluations);
    try (StagedNetwork network = model.open();
        Rng noise = new Rng(model.compute.seed);
        StagedNetwork pseudo =
            defense.openPseudoLabels(model, network, defense.smoothing().enabled());
        IgDefense defendedModel = defended ? defense.open(network, noise, pseudo, output) : null) {
      List<CorruptionEvaluation> results = new ArrayList<>();
      Map<String, Object> json = new LinkedHashMap<>();
      EvaluationListener told =
          progress -> {
            if (progress.done() == progress.images()) {
              output.note(progress.task() + ": " + progress.standing() + " of " + progress.done());
            }
          };
      int count = limit == null ? 0 : limit;
      int batch = model.compute.batchSize;
      results.add(CorruptionEvaluation.of(network, folder, count, batch, judge, told));
      if (pseudo != null) {
        json.put("pseudo_label_dtype", pseudo.arithmetic());
      }
      if (defended) {
        results.add(CorruptionEvaluation.of(defendedModel, folder, count, batch, judge, told));
      }
      json.put("version", Version.get());
      json.put("model_sha256", network.sha256());
      json.put("arithmetic", network.arithmetic());
      json.put("corruptions", folder.toString());
      json.put("seed", model.compute.seed);
      json.putAll(CorruptionReport.json(results));
      try {
        AtomicFiles.writeText(
            out,
            new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
      } catch (JsonProcessingException e) {
        throw new IllegalStateException(e);
      }
      output.result(CorruptionReport.text(results));
      output.json(json);
      return 0;
    }
  }
}
