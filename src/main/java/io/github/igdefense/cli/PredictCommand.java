package io.github.igdefense.cli;

import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.PseudoLabels;
import io.github.igdefense.evaluation.Predictions;
import io.github.igdefense.model.Batches;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.bytedeco.javacpp.PointerScope;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd predict}: logits of the base or the defended model. */
@Command(
    name = "predict",
    description = "Write the logits of the model, or of the defended model with --ranking.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class PredictCommand implements Callable<Integer> {
  @Mixin DataOptions data;
  @Mixin ModelOptions model;
  @Mixin DefenseOptions defense;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "FILE",
      description = "Logits [N,K] as .npy: float64 with --dtype float64, else float32.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    boolean defended = defense.enabled();
    Values.outputFile(out);
    try (StagedNetwork network = model.open();
        ImageSet images = data.open(output).withClassCount(network.classCount());
        Rng noise = new Rng(model.compute.seed);
        StagedNetwork pseudo =
            defense.openPseudoLabels(model, network, defense.smoothing().enabled())) {
      network.notes().forEach(output::note);
      if (!defended) {
        return predict(network, network, images, null);
      }
      PseudoLabels agreement =
          defense.agreement(network, pseudo, defense.smoothing(), images, model.compute, output);
      try (IgDefense classifier = defense.open(network, noise, pseudo, output)) {
        return predict(network, classifier, images, agreement);
      }
    }
  }

  private int predict(
      StagedNetwork network, Classifier classifier, ImageSet images, PseudoLabels agreement) {
    int k = classifier.classCount();
    double[] logits = new double[Math.multiplyExact(images.size(), k)];
    int correct = 0;
    int done = 0;
    int broken = 0;
    long start = System.nanoTime();
    try (ImageBatches batches =
            ImageBatches.of(
                images, model.compute.batchSize, null, classifier.dtype() == Dtype.FLOAT64);
        Output.Progress bar = output.progress("predict", images.size())) {
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        double[] values;
        try (PointerScope scope = new PointerScope()) {
          values = Tensors.toDoubles(classifier.logits(Batches.tensor(batch, classifier.dtype())));
        }
        System.arraycopy(values, 0, logits, done * k, values.length);
        for (int i = 0; i < batch.size(); i++) {
          boolean finite = true;
          for (int c = 0; c < k; c++) {
            finite &= Double.isFinite(values[i * k + c]);
          }
          int best = Predictions.argmax(values, i, k);
          broken += finite ? 0 : 1;
          correct += finite && best == batch.labels()[i] ? 1 : 0;
        }
        done += batch.size();
        bar.to(done);
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    if (broken > 0) {
      output.warn(
          "the logits of "
              + broken
              + " of "
              + images.size()
              + " images are not finite (counted as wrong); the checkpoint may be damaged");
    }
    if (classifier.dtype() == Dtype.FLOAT64) {
      Npy.write(out, NpyArray.of(logits, images.size(), k));
    } else {
      float[] narrow = new float[logits.length];
      for (int i = 0; i < narrow.length; i++) {
        narrow[i] = (float) logits[i];
      }
      Npy.write(out, NpyArray.of(narrow, images.size(), k));
    }
    double accuracy = (double) correct / images.size();
    output.result(
        String.format(
            Locale.ROOT,
            "%s: accuracy %.2f %% on %d images in %.2f s; logits in %s",
            classifier.name(),
            100 * accuracy,
            images.size(),
            seconds,
            out));
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("classifier", classifier.name());
    json.put("accuracy", accuracy);
    json.put("arithmetic", network.arithmetic());
    json.put("images", images.size());
    json.put("seconds", seconds);
    json.put("logits", out.toString());
    if (agreement != null) {
      json.put("pseudo_label_dtype", agreement.arithmetic());
      json.put("pseudo_label_agreement", agreement.agreement());
    }
    output.json(json);
    return 0;
  }
}
