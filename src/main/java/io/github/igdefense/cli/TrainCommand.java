package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.SourceOptions;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.training.AdversarialTrainer;
import io.github.igdefense.training.TrainingSettings;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd train}: adversarial training of a CIFAR ResNet-18 of any width. */
@Command(
    name = "train",
    description =
        "Train a ResNet-18 adversarially (Linf). Resumes a run in --out with the same settings.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class TrainCommand implements Callable<Integer> {
  @Option(
      names = "--data",
      paramLabel = "SPEC",
      defaultValue = "embedded:train",
      description = "Training images: " + ImageSets.FORMS + ". Default: ${DEFAULT-VALUE}.")
  String data;

  @Mixin ImageSourceOptions source;

  @Option(
      names = "--test-data",
      paramLabel = "SPEC",
      defaultValue = "embedded:test",
      description = "Images for the accuracies after each epoch. Default: ${DEFAULT-VALUE}.")
  String testData;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "Use N training images, equally many of each class.")
  Integer limit;

  @Option(
      names = "--test-limit",
      paramLabel = "N",
      defaultValue = "500",
      description = "Use N test images, equally many of each class. Default: ${DEFAULT-VALUE}.")
  int testLimit;

  @Option(
      names = "--method",
      paramLabel = "NAME",
      defaultValue = "n-fgsm",
      description = "Training: n-fgsm, pgd, trades or clean. Default: ${DEFAULT-VALUE}.")
  String method;

  @Option(
      names = "--width",
      paramLabel = "N",
      defaultValue = "16",
      description = "Channels of the first layer. Default: ${DEFAULT-VALUE}.")
  int width;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      defaultValue = "15",
      description = "Passes over the training images. Default: ${DEFAULT-VALUE}.")
  int epochs;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      defaultValue = "128",
      description = "Images per step. Default: ${DEFAULT-VALUE}.")
  int batchSize;

  @Option(
      names = "--learning-rate",
      paramLabel = "X",
      defaultValue = "0.2",
      description = "Peak of the one-cycle schedule. Default: ${DEFAULT-VALUE}.")
  double learningRate;

  @Option(
      names = "--weight-decay",
      paramLabel = "X",
      defaultValue = "5e-4",
      description = "Weight decay of convolutions and classifier. Default: ${DEFAULT-VALUE}.")
  double weightDecay;

  @Option(
      names = "--eps",
      paramLabel = "E",
      defaultValue = "8/255",
      converter = Values.Fraction.class,
      description = "Radius of the attack (Linf) for pixels in [0,1]. Default: ${DEFAULT-VALUE}.")
  double epsilon;

  @Option(
      names = "--steps",
      paramLabel = "N",
      defaultValue = "10",
      description = "Attack steps of pgd and trades. Default: ${DEFAULT-VALUE}.")
  int steps;

  @Option(
      names = "--step-size",
      paramLabel = "E",
      converter = Values.Fraction.class,
      description =
          "Step of the attack, in the unit of --eps. Default: eps for n-fgsm, eps/4 else.")
  Double stepSize;

  @Option(
      names = "--noise",
      paramLabel = "X",
      defaultValue = "2",
      description = "Start noise of n-fgsm as a multiple of eps. Default: ${DEFAULT-VALUE}.")
  double noise;

  @Option(
      names = "--beta",
      paramLabel = "X",
      defaultValue = "6",
      description = "Weight of the robust term of trades. Default: ${DEFAULT-VALUE}.")
  double beta;

  @Option(
      names = "--average",
      paramLabel = "X",
      defaultValue = "0.999",
      description =
          "Decay per step of the running average of weights that becomes the model; 0: none."
              + " Default: ${DEFAULT-VALUE}.")
  double average;

  @Option(
      names = "--crop",
      paramLabel = "N",
      defaultValue = "4",
      description = "Pixels of padding for random crops; 0: none. Default: ${DEFAULT-VALUE}.")
  int crop;

  @Option(
      names = "--flip",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "Random horizontal flips. Default: ${DEFAULT-VALUE}.")
  boolean flip;

  @Option(
      names = "--dtype",
      paramLabel = "NAME",
      defaultValue = "float32",
      converter = ModelOptions.DtypeConverter.class,
      description = "Arithmetic of convolutions: float32 or bfloat16. Default: ${DEFAULT-VALUE}.")
  Dtype dtype;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that compute. Default: one per physical core.")
  Integer threads;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of weights, order, crops and attacks. Default: ${DEFAULT-VALUE}.")
  long seed;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description =
          "Folder of the run: model.safetensors, training.json, and the state to resume from.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    TrainingSettings settings =
        new TrainingSettings(
            method,
            width,
            epochs,
            batchSize,
            learningRate,
            0.9,
            weightDecay,
            epsilon,
            steps,
            stepSize != null ? stepSize : method.equals("n-fgsm") ? epsilon : epsilon / 4,
            noise,
            beta,
            average,
            crop,
            flip,
            dtype.toString(),
            seed);
    Values.outputFolder(out);
    Values.threads(threads);
    if (threads != null) {
      NativeRuntime.setThreads(threads);
    }
    try (ImageSet train = balanced("--limit", data, limit, source.parsed());
        ImageSet test = balanced("--test-limit", testData, testLimit, source.parsed());
        AdversarialTrainer trainer = new AdversarialTrainer(settings, train, test, out)) {
      output.note(
          "train: "
              + train.size()
              + " images of "
              + data
              + ", "
              + method
              + ", width "
              + width
              + ", "
              + trainer.history().size()
              + " of "
              + epochs
              + " epochs done before");
      AdversarialTrainer.Epoch[] last = new AdversarialTrainer.Epoch[1];
      try (Output.Progress bar =
          output.progress("train", (long) epochs * (train.size() / batchSize))) {
        trainer.run(
            new AdversarialTrainer.Progress() {
              @Override
              public void step(int epoch, int step, int steps, double loss) {
                bar.to((epoch - 1L) * steps + step);
                bar.message(String.format(Locale.ROOT, "epoch %d loss %.3f", epoch, loss));
              }

              @Override
              public void epoch(AdversarialTrainer.Epoch epoch) {
                last[0] = epoch;
                output.note(
                    String.format(
                        Locale.ROOT,
                        "epoch %d/%d: loss %.4f, clean %.1f %%, PGD-10 %.1f %%, %.0f s",
                        epoch.epoch(),
                        epochs,
                        epoch.loss(),
                        100 * epoch.cleanAccuracy(),
                        100 * epoch.pgdAccuracy(),
                        epoch.seconds()));
              }
            });
      }
      if (!trainer.history().isEmpty()) {
        last[0] = trainer.history().get(trainer.history().size() - 1);
      }
      output.result("model: " + out.resolve("model.safetensors"));
      output.json(
          Map.of("model", out.resolve("model.safetensors").toString(), "last_epoch", last[0]));
    }
    return 0;
  }

  /** About {@code limit} images, the same number of every class. */
  private ImageSet balanced(String option, String spec, Integer limit, SourceOptions options) {
    ImageSet all = ImageSets.open(spec, options);
    ImageSet used = limit == null ? all : all.balanced(Values.positive(option, limit));
    DataOptions.say(all, used, limit, output);
    return used;
  }
}
