package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.evaluation.Tuning;
import io.github.igdefense.evaluation.TuningCache;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.CudaRuntime;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.DeviceException;
import io.github.igdefense.tensor.NativeRuntime;
import java.util.List;
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
          "Where to compute: cpu, or cuda[:i] with a build for CUDA (igd doctor says what is"
              + " missing). Default: ${DEFAULT-VALUE}.")
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

  /**
   * Loads the native libraries and sets the threads, where no model is to be opened and the
   * processor alone computes.
   */
  void apply() {
    requireBatchSize();
    if (device().isCuda()) {
      throw new InputException(
          "--device " + device + ": this command computes on the CPU only; use --device cpu");
    }
    prepare();
  }

  /** Refuses {@code auto} where it is not known which model is computed with. */
  void requireBatchSize() {
    if (batchSize == TUNED) {
      throw new InputException(
          "expected a number as --batch-size here: auto is for commands that open one model");
    }
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

  /**
   * Loads the native libraries, sets the threads and makes the device ready, with {@link #tune} to
   * follow.
   *
   * @return where to compute
   * @throws InputException naming the library or device that is missing, and what to do
   */
  Device start() {
    Device chosen = device();
    try {
      // Before anything is loaded: the answer may be that it cannot be.
      CudaRuntime.require(chosen);
    } catch (DeviceException e) {
      throw new InputException("--device " + device + ": " + e.getMessage(), e);
    }
    prepare();
    return chosen;
  }

  private void prepare() {
    if (batchSize != TUNED) {
      Values.positive("--batch-size", batchSize);
    }
    Values.threads(threads);
    NativeRuntime.load();
    if (threads != null) {
      NativeRuntime.setThreads(threads);
    }
  }

  /** The device as given; nothing is loaded. */
  Device device() {
    List<Device> devices;
    try {
      devices = Device.parseList(device);
    } catch (IllegalArgumentException e) {
      throw new InputException("--device: " + e.getMessage());
    }
    if (devices.size() > 1) {
      throw new InputException(
          "--device "
              + device
              + ": one process computes on one device; share a ranking among devices with igd rank"
              + " loir --shard i/n --device cuda:i and igd rank merge (the same to the last bit)");
    }
    return devices.get(0);
  }

  /** The device for reports: with a card, its name and what is known of such runs. */
  String deviceDescription() {
    Device chosen = device();
    return chosen.isCuda() ? CudaRuntime.describe(chosen) : chosen.toString();
  }
}
