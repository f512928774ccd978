package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.evaluation.Tuning;
import io.github.igdefense.evaluation.TuningCache;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.NativeRuntime;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Where and with how many threads a command computes. */
final class ComputeOptions {
  private static final int TUNED = Integer.MIN_VALUE;
  private static final int USUAL = 64;

  @Option(
      names = "--device",
      defaultValue = "cpu",
      paramLabel = "NAME",
      description =
          "Where to compute: cpu (this build has no CUDA kernels). Default: ${DEFAULT-VALUE}.")
  String device;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that compute. Default: one per physical core.")
  Integer threads;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      defaultValue = "64",
      converter = BatchSize.class,
      description =
          "Images per batch; auto: what igd bench --tune found for this model on this machine, 64"
              + " without it. Default: ${DEFAULT-VALUE}.")
  int batchSize;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of all random numbers. Default: ${DEFAULT-VALUE}.")
  long seed;

  /** A number of images, or {@code auto}. */
  static final class BatchSize implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      if (text.equals("auto")) {
        return TUNED;
      }
      try {
        return Integer.parseInt(text);
      } catch (NumberFormatException e) {
        throw new TypeConversionException(
            "expected a number of images or auto, got '" + text + "'");
      }
    }
  }

  /** Loads the native libraries and sets the threads, where no model is to be opened. */
  void apply() {
    if (batchSize == TUNED) {
      throw new InputException(
          "expected a number as --batch-size here: auto is for commands that open one model");
    }
    start();
  }

  /** The tuned batch size and threads of a network, where {@code auto} asks for them. */
  void tune(StagedNetwork network, Output output) {
    if (batchSize != TUNED) {
      return;
    }
    TuningCache cache = TuningCache.ofUser();
    Optional<Tuning> found = cache.read(TuningCache.key(network), output::warn);
    batchSize = found.map(Tuning::batchSize).orElse(USUAL);
    if (found.isPresent() && threads == null) {
      NativeRuntime.setThreads(found.get().threads());
    }
    if (found.isEmpty()) {
      output.warn(
          "--batch-size auto: this model has not been tuned on this machine (igd bench --tune);"
              + " using "
              + USUAL);
    }
  }

  /** As {@link #apply}, with {@link #tune} to follow. */
  void start() {
    if (batchSize != TUNED) {
      Values.positive("--batch-size", batchSize);
    }
    Values.threads(threads);
    if (!device.equals("cpu")) {
      if (!device.matches("cuda(:\\d+)?")) {
        throw new InputException("expected --device cpu or cuda[:i], got '" + device + "'");
      }
      throw new InputException(
          "--device "
              + device
              + ": this build of igdefense computes on the CPU only; use --device cpu");
    }
    NativeRuntime.load();
    if (threads != null) {
      NativeRuntime.setThreads(threads);
    }
  }
}
