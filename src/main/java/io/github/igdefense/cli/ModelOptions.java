package io.github.igdefense.cli;

import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import java.nio.file.Path;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Which model a command works with, and how it computes. */
final class ModelOptions {
  @Option(
      names = "--arch",
      paramLabel = "NAME",
      defaultValue = "rn18",
      description =
          "Architecture: rn18, rn34 (CIFAR ResNets of any width). Default: ${DEFAULT-VALUE}.")
  String arch;

  @Option(
      names = "--checkpoint",
      required = true,
      paramLabel = "FILE",
      description =
          "Weights: PyTorch (.pt, .pth), safetensors, or a shipped model: embedded:fashion-mnist,"
              + " embedded:cifar10.")
  String checkpoint;

  @Option(
      names = "--dtype",
      paramLabel = "NAME",
      defaultValue = "float32",
      converter = DtypeConverter.class,
      description = "Arithmetic: float32, float64 or bfloat16. Default: ${DEFAULT-VALUE}.")
  Dtype dtype;

  @Mixin ComputeOptions compute;

  /** Parses an element type. */
  static final class DtypeConverter implements ITypeConverter<Dtype> {
    @Override
    public Dtype convert(String text) {
      try {
        return Dtype.parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  /** Opens the network; the caller closes it. */
  StagedNetwork open() {
    compute.apply();
    return Networks.open(arch, checkpoint, dtype);
  }

  /**
   * The network in float32, which decides what counts as broken, when attacks compute in bfloat16;
   * null otherwise. The caller closes it.
   */
  StagedNetwork openWide() {
    return dtype == Dtype.BFLOAT16 ? Networks.open(arch, checkpoint, Dtype.FLOAT32) : null;
  }

  /** The checkpoint's name without folders and extension: the name of its ranking folder. */
  String stem() {
    String name =
        checkpoint.startsWith(Networks.EMBEDDED)
            ? checkpoint.substring(Networks.EMBEDDED.length())
            : Path.of(checkpoint).getFileName().toString();
    int dot = name.lastIndexOf('.');
    return dot > 0 ? name.substring(0, dot) : name;
  }
}
