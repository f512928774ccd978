package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.CudaRuntime;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.DeviceException;
import io.github.igdefense.tensor.NativeRuntime;
import java.util.List;
import picocli.CommandLine.Option;

/** Where and with how many threads a command computes. */
final class ComputeOptions {
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
      description = "Images per batch. Default: ${DEFAULT-VALUE}.")
  int batchSize;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of all random numbers. Default: ${DEFAULT-VALUE}.")
  long seed;

  /**
   * Loads the native libraries and sets the threads, for commands that compute on the processor
   * alone.
   */
  void apply() {
    if (device().isCuda()) {
      throw new InputException(
          "--device " + device + ": this command computes on the CPU only; use --device cpu");
    }
    prepare();
  }

  /**
   * Loads the native libraries, sets the threads and makes the device ready.
   *
   * @return where to compute
   * @throws InputException naming the library or device that is missing, and what to do
   */
  Device applyDevice() {
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
    Values.positive("--batch-size", batchSize);
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
