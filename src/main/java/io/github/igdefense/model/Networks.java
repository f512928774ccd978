package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Dtype;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Builds networks from checkpoints, and networks with random weights for measurements. */
public final class Networks {
  /** The architectures that {@code --arch} names, with their blocks per layer. */
  private static final Map<String, int[]> CIFAR_RESNETS = new LinkedHashMap<>();

  static {
    CIFAR_RESNETS.put("rn18", new int[] {2, 2, 2, 2});
    CIFAR_RESNETS.put("rn34", new int[] {3, 4, 6, 3});
  }

  /** Prefix of the checkpoints that travel in the jar. */
  public static final String EMBEDDED = "embedded:";

  private static final List<String> SHIPPED = List.of("fashion-mnist", "cifar10");

  private Networks() {}

  /** The names {@code --arch} accepts. */
  public static java.util.Set<String> architectures() {
    return CIFAR_RESNETS.keySet();
  }

  /**
   * Opens a network from a checkpoint file, or one that is shipped in the jar: {@code
   * embedded:NAME}.
   *
   * @param architecture one of {@link #architectures}
   * @throws InputException for an unknown architecture, an unreadable or hostile file, or one that
   *     holds another architecture (naming the first tensor that differs)
   */
  public static StagedNetwork open(String architecture, String checkpoint, Dtype dtype) {
    if (!checkpoint.startsWith(EMBEDDED)) {
      return open(architecture, Path.of(checkpoint), dtype);
    }
    String name = checkpoint.substring(EMBEDDED.length());
    String resource = "/io/github/igdefense/checkpoints/" + name + ".safetensors";
    if (!SHIPPED.contains(name)) {
      throw new InputException(
          "expected a shipped checkpoint of " + SHIPPED + ", got '" + name + "'");
    }
    try (InputStream in = Networks.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new InputException(
            "the shipped checkpoint " + resource + " is missing from this jar");
      }
      Path copy = Files.createTempFile("igd-", ".safetensors");
      try {
        Files.copy(in, copy, StandardCopyOption.REPLACE_EXISTING);
        return open(architecture, copy, dtype);
      } finally {
        Files.deleteIfExists(copy);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot unpack the shipped checkpoint " + name + ": " + e.getMessage(), e);
    }
  }

  /**
   * Opens a network from a checkpoint file.
   *
   * @throws InputException as {@link #open(String, String, Dtype)}
   */
  public static StagedNetwork open(String architecture, Path checkpoint, Dtype dtype) {
    int[] blocks = blocks(architecture);
    Checkpoint file = CheckpointReader.read(checkpoint);
    try {
      return CifarResNet.of(file.state(), blocks)
          .compile(file.state(), dtype, architecture, file.sha256());
    } catch (InputException e) {
      throw new InputException(
          checkpoint + " does not hold architecture " + architecture + ": " + e.getMessage(), e);
    }
  }

  /** A network with random weights (He, seeded), for measurements of time. */
  public static StagedNetwork random(
      String architecture, int inputChannels, int width, int classCount, long seed, Dtype dtype) {
    CifarResNet net = CifarResNet.of(inputChannels, width, classCount, blocks(architecture));
    return net.compile(randomState(net, seed), dtype, architecture, "random");
  }

  /**
   * He-initialised parameters: convolutions N(0, 2/fan-in), classifier uniform, batch normalisation
   * identity.
   */
  public static StateDict randomState(CifarResNet net, long seed) {
    Random random = new Random(seed);
    List<HostTensor> tensors = new ArrayList<>();
    for (CifarResNet.Parameter parameter : net.parameters()) {
      long numel = 1;
      for (long size : parameter.shape()) {
        numel *= size;
      }
      float[] values = new float[Math.toIntExact(numel)];
      if (parameter.shape().length == 4) {
        double deviation =
            Math.sqrt(2.0 / (parameter.shape()[1] * parameter.shape()[2] * parameter.shape()[3]));
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) (random.nextGaussian() * deviation);
        }
      } else if (parameter.shape().length == 2) {
        double bound = 1 / Math.sqrt(parameter.shape()[1]);
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) ((random.nextDouble() * 2 - 1) * bound);
        }
      } else if (parameter.name().endsWith(".running_var")
          || (parameter.name().endsWith(".weight") && !parameter.name().startsWith("linear"))) {
        java.util.Arrays.fill(values, 1f);
      }
      tensors.add(HostTensor.of(parameter.name(), values, parameter.shape()));
    }
    return new StateDict(tensors);
  }

  /** Blocks per layer of a named architecture. */
  public static int[] blocks(String architecture) {
    int[] blocks = CIFAR_RESNETS.get(architecture);
    if (blocks == null) {
      throw new InputException(
          "expected an architecture of " + CIFAR_RESNETS.keySet() + ", got '" + architecture + "'");
    }
    return blocks.clone();
  }
}
