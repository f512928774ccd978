package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
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
    description = "Train a ResNet-18 adversarially (L∞). Resumes a run in --out with the same settings.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class TrainCommand implements Callable<Integer> {
  @Option(
      names = "--data",
      paramLabel = "SPEC",
      defaultValue = "embedded:train",
      description = "Training images. Default: ${DEFAULT-VALUE}.")
  String data;

  @Option(
      names = "--test-data",
      paramLabel = "SPEC",
      defaultValue = "embedded:test",
      description = "Images for the accuracies after each epoch. Default: ${DEFAULT-VALUE}.")
  String testData;

  @Option(names = "--limit", paramLabel = "N", description = "Use a class-balanced N training images.")
  Integer limit;

  @Option(
      names = "--test-limit",
      paramLabel = "N",
      defaultValue = "500",
      description = "Use a class-balanced N test images. Default: ${DEFAULT-VALUE}.")
  int testLimit;

  @Option(
      names = "--method",
      defaultValue = "n-fgsm",
      description = "n-fgsm, pgd, trades or clean. Default: ${DEFAULT-VALUE}.")
  String method;

  @Option(names = "--width", defaultValue = "16", description = "Stem channels. Default: ${DEFAULT-VALUE}.")
  int width;

  @Option(names = "--epochs", defaultValue = "15", description = "Default: ${DEFAULT-VALUE}.")
  int epochs;

  @Option(names = "--batch-size", defaultValue = "128", description = "Default: ${DEFAULT-VALUE}.")
  int batchSize;

  @Option(
      names = "--learning-rate",
      defaultValue = "0.2",
      description = "Peak of the one-cycle schedule. Default: ${DEFAULT-VALUE}.")
  double learningRate;

  @Option(names = "--weight-decay", defaultValue = "5e-4", description = "Default: ${DEFAULT-VALUE}.")
  double weightDecay;

  @Option(
      names = "--eps",
      defaultValue = "8/255",
      converter = Values.Fraction.class,
      description = "Radius of the attack. Default: ${DEFAULT-VALUE}.")
  double epsilon;

  @Option(
      names = "--steps",
      defaultValue = "10",
      description = "Attack steps of pgd and trades. Default: ${DEFAULT-VALUE}.")
  int steps;

  @Option(
      names = "--step-size",
      converter = Values.Fraction.class,
      description = "Step of the attack. Default: eps for n-fgsm, eps/4 else.")
  Double stepSize;

  @Option(
      names = "--noise",
      defaultValue = "2",
      description = "Start noise of n-fgsm as a multiple of eps. Default: ${DEFAULT-VALUE}.")
  double noise;

  @Option(names = "--beta", defaultValue = "6", description = "Robust weight of trades. Default: ${DEFAULT-VALUE}.")
  double beta;

  @Option(
      names = "--average",
      defaultValue = "0.999",
      description = "Decay of the running average of weights that becomes the model; 0: none. Default: ${DEFAULT-VALUE}.")
  double average;

  @Option(names = "--crop", defaultValue = "4", description = "Padding for random crops. Default: ${DEFAULT-VALUE}.")
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
      defaultValue = "float32",
      description = "float32 or bfloat16 arithmetic in convolutions. Default: ${DEFAULT-VALUE}.")
  String dtype;

  @Option(names = "--threads", description = "Threads. Default: physical cores.")
  Integer threads;

  @Option(names = "--seed", defaultValue = "0", description = "Default: ${DEFAULT-VALUE}.")
  long seed;

  @Option(names = "--out", required = true, paramLabel = "DIR", description = "Folder of the run.")
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
            dtype,
            seed);
    if (threads != null) {
      NativeRuntime.setThreads(Values.positive("--threads", threads));
    }
    try (ImageSet train = balanced(data, limit);
        ImageSet test = balanced(testData, testLimit);
        AdversarialTrainer trainer = new AdversarialTrainer(settings, train, test, out)) {
      output.note(
          "train: " + train.size() + " images of " + data + ", " + method + ", width " + width + ", "
              + trainer.history().size() + " of " + epochs + " epochs done before");
      AdversarialTrainer.Epoch[] last = new AdversarialTrainer.Epoch[1];
      try (Output.Progress bar = output.progress("train", (long) epochs * (train.size() / batchSize))) {
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
      output.json(Map.of("model", out.resolve("model.safetensors").toString(), "last_epoch", last[0]));
    }
    return 0;
  }

  /** The first images of every class, in the set's order, up to {@code limit} in all. */
  private static ImageSet balanced(String spec, Integer limit) {
    ImageSet all = ImageSets.open(spec);
    if (limit == null) {
      return all;
    }
    int perClass = Math.max(1, Values.positive("--limit", limit) / all.classCount());
    int[] seen = new int[all.classCount()];
    return all.select(
        java.util.stream.IntStream.range(0, all.size())
            .filter(i -> seen[all.label(i)]++ < perClass)
            .toArray());
  }
}
