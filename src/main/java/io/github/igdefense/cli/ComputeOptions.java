package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.NativeRuntime;
import picocli.CommandLine.Option;

/** Where and with how many threads a command computes. */
final class ComputeOptions {
  @Option(
      names = "--device",
      defaultValue = "cpu",
      paramLabel = "NAME",
      description = "Where to compute: cpu (this build has no CUDA kernels). Default: ${DEFAULT-VALUE}.")
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

  /** Loads the native libraries and sets the threads. */
  void apply() {
    Values.positive("--batch-size", batchSize);
    Values.threads(threads);
    if (!device.equals("cpu")) {
      if (!device.matches("cuda(:\\d+)?")) {
        throw new InputException("expected --device cpu or cuda[:i], got '" + device + "'");
      }
      throw new InputException(
          "--device " + device + ": this build of igdefense computes on the CPU only; use --device cpu");
    }
    NativeRuntime.load();
    if (threads != null) {
      NativeRuntime.setThreads(threads);
    }
  }
}
