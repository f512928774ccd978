package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.PseudoLabels;
import io.github.igdefense.evaluation.AttackPlan;
import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.EvaluationListener;
import io.github.igdefense.evaluation.Timing;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.InputNormalizations;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.model.TorchScriptNetworks;
import io.github.igdefense.report.EvaluationReport;
import io.github.igdefense.report.Protocol;
import io.github.igdefense.report.Provenance;
import io.github.igdefense.report.ResultJson;
import io.github.igdefense.report.RunReport;
import io.github.igdefense.report.Settings;
import io.github.igdefense.report.StudyJson;
import io.github.igdefense.report.StudyPage;
import io.github.igdefense.report.StudyReport;
import io.github.igdefense.report.StudyTable;
import io.github.igdefense.tensor.CpuTopology;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.Version;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What the commands that evaluate have in common: progress, provenance and reports. */
final class Reporting {
  private final String kind;
  private final ModelOptions model;
  private final DataOptions data;
  private final Output output;
  private final Instant start = Instant.now();
  private final long startNanos = System.nanoTime();

  Reporting(String kind, ModelOptions model, DataOptions data, Output output) {
    this.kind = kind;
    this.model = model;
    this.data = data;
    this.output = output;
  }

  /** A bar per task on a terminal, a line per finished task elsewhere. Close it. */
  Bars bars() {
    return new Bars();
  }

  /** Turns progress into bars. */
  final class Bars implements EvaluationListener, AutoCloseable {
    private static final int PARTS = 1000;
    private String task;
    private Output.Progress bar;
    private long start;
    private double startFraction;

    @Override
    public void progress(EvaluationListener.Progress progress) {
      if (!progress.task().equals(task)) {
        close();
        task = progress.task();
        output.note(task + ", " + progress.images() + " images");
        bar = output.progress(task, PARTS);
        start = System.nanoTime();
        // Batches read from a state are done at once: they say nothing about the speed.
        startFraction = progress.fraction();
      }
      bar.to(Math.round(progress.fraction() * PARTS));
      bar.message(message(progress));
    }

    private String message(EvaluationListener.Progress progress) {
      int size = model.compute.batchSize;
      int batches = (progress.images() + size - 1) / size;
      int batch = Math.min(batches, progress.done() / size + 1);
      double seconds = (System.nanoTime() - start) / 1e9;
      double rate = (progress.fraction() - startFraction) / seconds;
      String speed =
          rate > 0 && seconds > 1
              ? String.format(
                  Locale.ROOT,
                  ", %.3g images/s, %s left",
                  rate * progress.images(),
                  duration((1 - progress.fraction()) / rate))
              : "";
      return "batch " + batch + "/" + batches + ", " + progress.standing() + " robust" + speed;
    }

    private static String duration(double seconds) {
      long whole = Math.round(seconds);
      return whole < 90
          ? whole + " s"
          : whole < 5400 ? (whole + 30) / 60 + " min" : (whole + 1800) / 3600 + " h";
    }

    @Override
    public void close() {
      if (bar != null) {
        bar.close();
        bar = null;
      }
    }
  }

  double seconds() {
    return (System.nanoTime() - startNanos) / 1e9;
  }

  /** A report with everything but results. */
  RunReport.Builder builder(
      String title,
      StagedNetwork network,
      ImageSet images,
      String rankingFile,
      String rankingSha256) {
    return RunReport.builder(kind)
        .title(title)
        .commandLine(Invocation.text())
        .time(start, seconds())
        .provenance(provenance(network, images, rankingFile, rankingSha256));
  }

  /** The same for an analysis or a study. */
  StudyReport.Builder study(
      StagedNetwork network, ImageSet images, String rankingFile, String rankingSha256) {
    return StudyReport.builder(kind)
        .commandLine(Invocation.text())
        .provenance(provenance(network, images, rankingFile, rankingSha256));
  }

  /** Writes page and JSON of a study into a folder, and prints its tables. */
  void write(Path out, StudyReport.Builder builder) {
    StudyReport report = builder.time(start, seconds()).build();
    StudyJson.write(out.resolve("result.json"), report);
    StudyPage.write(out.resolve("report.html"), report);
    output.result(StudyTable.text(report));
    output.note("report: " + out.resolve("report.html"));
    if (output.json) {
      System.out.println(StudyJson.line(report));
    }
  }

  private Provenance provenance(
      StagedNetwork network, ImageSet images, String rankingFile, String rankingSha256) {
    return Provenance.builder()
        .version(Version.get(), System.getProperty("igd.commit"))
        .model(network.architecture(), model.source(), network.sha256())
        .inputNormalization(normalization(network))
        .ranking(rankingFile, rankingSha256)
        .data(
            images.name(),
            images.sha256(),
            data.limit == null ? images.size() : data.limit,
            images.size())
        .preprocessing(images.preprocessing())
        .machine(
            CpuTopology.modelName(), model.compute.deviceDescription(), NativeRuntime.threads())
        .arithmetic(network.dtype().toString(), network.engine(), Version.libtorch())
        .float32Precision(
            network.dtype() == Dtype.FLOAT32 ? network.float32Precision().toString() : null)
        .seed(model.compute.seed)
        .build();
  }

  /** An exported network's own normalisation is part of what was exported, and not known. */
  private static String normalization(StagedNetwork network) {
    return network.architecture().equals(TorchScriptNetworks.ARCHITECTURE)
        ? "that of the exported network"
        : InputNormalizations.text(network.normalization());
  }

  /** The report of a comparison. */
  RunReport comparison(
      String title,
      StagedNetwork network,
      Comparison comparison,
      List<Timing> timings,
      Settings settings,
      Protocol protocol,
      Ranking ranking,
      int keep,
      String rankingFile,
      String rankingSha256,
      String evaluated) {
    RunReport.Builder builder =
        builder(title, network, comparison.images(), rankingFile, rankingSha256)
            .settings(settings)
            .protocol(protocol)
            .evaluated(evaluated);
    EvaluationReport.add(builder, comparison, timings);
    if (ranking != null) {
      builder.ranking(EvaluationReport.picture(ranking, keep, comparison.images().classNames()));
    }
    return builder.build();
  }

  /** The report of one attack on one classifier. */
  RunReport single(
      StagedNetwork network,
      DifferentiableClassifier classifier,
      Evaluation evaluation,
      AttackListOptions attacks,
      DefenseOptions defense,
      ImageSet images,
      AttackPlan plan,
      int evaluations,
      PseudoLabels agreement) {
    RunReport.Builder builder =
        builder(
                plan.name() + " on " + classifier.name(),
                network,
                images,
                defense.ranking == null ? null : defense.ranking.toString(),
                defense.rankingSha256())
            .settings(
                settings(
                    attacks,
                    classifier,
                    classifier.deterministic() ? null : evaluations,
                    agreement));
    EvaluationReport.addSingle(builder, classifier.name(), evaluation, images);
    return builder.build();
  }

  Settings settings(
      AttackListOptions attacks,
      DifferentiableClassifier classifier,
      Integer evaluationRuns,
      PseudoLabels agreement) {
    Map<String, String> other = new LinkedHashMap<>();
    if (agreement != null) {
      other.put("pseudo-label dtype", agreement.arithmetic());
      other.put("pseudo-label agreement", agreement.toString());
    }
    if (attacks.referenceOrder) {
      other.put("order", "reference");
    }
    if (classifier instanceof IgDefense defense) {
      return new Settings(
          attacks.parsedNorm().toString(),
          attacks.parsedEpsilon().value(),
          attacks.epsilon,
          defense.masks().origin(),
          defense.masks().layer(),
          defense.masks().keep(),
          defense.temperature(),
          evaluationRuns,
          model.compute.batchSize,
          other);
    }
    return new Settings(
        attacks.parsedNorm().toString(),
        attacks.parsedEpsilon().value(),
        attacks.epsilon,
        null,
        null,
        null,
        null,
        evaluationRuns,
        model.compute.batchSize,
        other);
  }

  /** The report as the JSON object on standard output, when asked for. */
  void printJson(RunReport report) {
    if (output.json) {
      System.out.println(ResultJson.line(report));
    }
  }
}
