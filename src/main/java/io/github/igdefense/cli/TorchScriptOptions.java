package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.model.TorchScriptNetworks;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** A model of another architecture, exported from Python. */
final class TorchScriptOptions {
  @Option(
      names = "--prefix",
      paramLabel = "FILE",
      description =
          "TorchScript archive from images to the layer to mask, with --suffix. Its code is run:"
              + " only from sources you trust.")
  Path prefix;

  @Option(
      names = "--suffix",
      paramLabel = "FILE",
      description = "TorchScript archive from that layer to logits, with --prefix.")
  Path suffix;

  @Option(
      names = "--input-size",
      paramLabel = "SIZE",
      description =
          "Images that a TorchScript model takes: S or CxSxS. Default: 3x32x32. (Other"
              + " architectures know.)")
  String inputSize;

  /**
   * Whether the options ask for a TorchScript model.
   *
   * @throws InputException if they contradict each other or nothing names a file
   */
  boolean chosen(String arch, String checkpoint) {
    boolean pair = prefix != null || suffix != null;
    if (pair && (prefix == null || suffix == null)) {
      throw new InputException("expected both --prefix FILE and --suffix FILE, got one of them");
    }
    if (pair && checkpoint != null) {
      throw new InputException(
          "expected either --checkpoint FILE or --prefix FILE and --suffix FILE, got both");
    }
    if (!pair && checkpoint == null) {
      throw new InputException(
          "expected --checkpoint FILE (or --prefix FILE and --suffix FILE), got neither");
    }
    boolean chosen = pair || arch.equals(TorchScriptNetworks.ARCHITECTURE);
    if (inputSize != null && !chosen) {
      throw new InputException(
          "expected --input-size with --arch torchscript only, got it with --arch " + arch);
    }
    return chosen;
  }

  /** What stands for the checkpoint in reports: the file, or both. */
  String source(String checkpoint) {
    return checkpoint != null ? checkpoint : prefix + " + " + suffix;
  }

  /** The file that names the model. */
  String named(String checkpoint) {
    return checkpoint != null ? checkpoint : prefix.toString();
  }

  StagedNetwork open(String checkpoint, Dtype dtype, Device device) {
    TorchScriptNetworks.Input input =
        inputSize == null
            ? TorchScriptNetworks.Input.DEFAULT
            : TorchScriptNetworks.Input.parse(inputSize);
    return checkpoint != null
        ? TorchScriptNetworks.open(Path.of(checkpoint), input, dtype, device)
        : TorchScriptNetworks.open(prefix, suffix, input, dtype, device);
  }
}
