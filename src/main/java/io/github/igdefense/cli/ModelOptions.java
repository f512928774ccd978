package io.github.igdefense.cli;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.InputNormalizations;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
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
          "Architecture, such as rn18, wrn-34-10, preact-rn18, dm-wrn-28-10, imagenet-rn50; auto:"
              + " as the checkpoint's tensors tell. A wrong name lists all. Default:"
              + " ${DEFAULT-VALUE}.")
  String arch;

  @Option(
      names = "--checkpoint",
      paramLabel = "FILE",
      description =
          "Weights: PyTorch (.pt, .pth), safetensors, or a shipped model: embedded:fashion-mnist,"
              + " embedded:cifar10. With --arch torchscript: an archive with the methods prefix and"
              + " suffix.")
  String checkpoint;

  @Option(
      names = "--input-normalization",
      paramLabel = "SPEC",
      defaultValue = InputNormalizations.AUTO,
      description =
          "What the model does to images of [0,1] first: auto (the checkpoint's, else the"
              + " architecture's), none, cifar10, cifar100, imagenet, or MEANS,DEVIATIONS."
              + " Default: ${DEFAULT-VALUE}.")
  String inputNormalization = InputNormalizations.AUTO;

  @Option(
      names = "--dtype",
      paramLabel = "NAME",
      defaultValue = "float32",
      converter = DtypeConverter.class,
      description = "Arithmetic: float32, float64 or bfloat16. Default: ${DEFAULT-VALUE}.")
  Dtype dtype;

  @Option(
      names = "--float32-precision",
      paramLabel = "NAME",
      defaultValue = "highest",
      converter = PrecisionConverter.class,
      description =
          "Products of float32 numbers in the native engine: highest (24 bits of mantissa), high"
              + " (about 16, faster) or medium (8, as bfloat16; fastest); attacks are judged at"
              + " highest. libtorch always computes at highest. Default: ${DEFAULT-VALUE}.")
  Float32Precision precision = Float32Precision.HIGHEST;

  @Mixin TorchScriptOptions torchscript = new TorchScriptOptions();

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

  /** Parses a precision of float32. */
  static final class PrecisionConverter implements ITypeConverter<Float32Precision> {
    @Override
    public Float32Precision convert(String text) {
      try {
        return Float32Precision.parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  /** Refuses another precision than highest with another type. */
  static void check(Dtype dtype, Float32Precision precision) {
    if (precision != Float32Precision.HIGHEST && dtype != Dtype.FLOAT32) {
      throw new InputException(
          "--float32-precision "
              + precision
              + " is for --dtype float32, got --dtype "
              + dtype
              + "; leave one of them out");
    }
  }

  /** Opens the network and warns of tensors without use; the caller closes it. */
  StagedNetwork open() {
    check(dtype, precision);
    StagedNetwork network = open(dtype, precision);
    if (precision != network.float32Precision()) {
      warnHighest("--float32-precision", precision);
    }
    return network;
  }

  /** Says that a precision asked for has no effect. */
  static void warnHighest(String option, Float32Precision asked) {
    new Output()
        .warn(option + " " + asked + ": libtorch computes this model here, at highest precision");
  }

  /** The same in another type than {@code --dtype}, float32 at highest precision. */
  StagedNetwork open(Dtype dtype) {
    return open(dtype, Float32Precision.HIGHEST);
  }

  private StagedNetwork open(Dtype dtype, Float32Precision precision) {
    boolean exported = torchscript.chosen(arch, checkpoint);
    Device device = compute.start();
    StagedNetwork network =
        exported ? openExported(dtype, device) : openCheckpoint(dtype, device, precision);
    compute.tune(network, new Output());
    return network;
  }

  private StagedNetwork openExported(Dtype dtype, Device device) {
    if (!inputNormalization.equals(InputNormalizations.AUTO)) {
      throw new InputException(
          "--input-normalization does not apply to --arch torchscript: what was exported does"
              + " its own");
    }
    return torchscript.open(checkpoint, dtype, device);
  }

  private StagedNetwork openCheckpoint(Dtype dtype, Device device, Float32Precision precision) {
    StagedNetwork network =
        Networks.open(
            arch,
            checkpoint,
            NetworkOptions.of(dtype)
                .withInputNormalization(inputNormalization)
                .withDevice(device)
                .withFloat32Precision(precision));
    network.warnings().forEach(new Output()::warn);
    return network;
  }

  /** The file that the model came from, or both. */
  String source() {
    return torchscript.source(checkpoint);
  }

  /**
   * The network in float32 at highest precision, which decides what counts as broken, when attacks
   * compute in bfloat16 or at a lower precision; null otherwise. The caller closes it, before
   * {@code network}.
   *
   * @param network of {@link #open()}
   */
  StagedNetwork openWide(StagedNetwork network) {
    if (network.float32Precision() != Float32Precision.HIGHEST) {
      return network.withFloat32Precision(Float32Precision.HIGHEST);
    }
    if (dtype != Dtype.BFLOAT16) {
      return null;
    }
    return torchscript.chosen(arch, checkpoint)
        ? torchscript.open(checkpoint, Dtype.FLOAT32, compute.device())
        : Networks.open(
            arch,
            checkpoint,
            NetworkOptions.of(Dtype.FLOAT32)
                .withInputNormalization(inputNormalization)
                .withDevice(compute.device()));
  }

  /** The checkpoint's name without folders and extension: the name of its ranking folder. */
  String stem() {
    return stem(torchscript.named(checkpoint));
  }

  /** A checkpoint's name without folders and extension. */
  static String stem(String file) {
    String name =
        file.startsWith(Networks.EMBEDDED)
            ? file.substring(Networks.EMBEDDED.length())
            : Path.of(file).getFileName().toString();
    int dot = name.lastIndexOf('.');
    return dot > 0 ? name.substring(0, dot) : name;
  }
}
