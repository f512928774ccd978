package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.CudaRuntime;
import io.github.igdefense.tensor.Dtype;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Function;

/** Builds networks from checkpoints, and networks with random weights for measurements. */
public final class Networks {
  /** The architecture's name that means: as the tensors tell. */
  public static final String AUTO = "auto";

  /** Prefix of the checkpoints that travel in the jar. */
  public static final String EMBEDDED = "embedded:";

  private static final List<String> SHIPPED = List.of("fashion-mnist", "cifar10");

  private Networks() {}

  /**
   * An architecture that a state dict's tensors fit.
   *
   * @param description the network
   * @param reason what in the tensors says so, readable
   */
  public record Candidate(NetworkDescription description, String reason) {
    /** Its name, as {@code --arch} takes it. */
    public String architecture() {
      return description.architecture();
    }
  }

  /**
   * The names {@code --arch} accepts; those of wide ResNets take any depth and width for {@code
   * DEPTH-WIDTH}.
   */
  public static List<String> architectures() {
    return Architectures.names();
  }

  /**
   * The architectures that a state dict fits completely: none, one, or several where the same
   * tensors are published for networks that compute differently.
   */
  public static List<Candidate> identify(StateDict state) {
    return Architectures.identify(state, new ArrayList<>());
  }

  /**
   * The network that a state dict holds, every tensor checked.
   *
   * @param architecture one of {@link #architectures}
   * @throws InputException naming tensors that are missing, too many or of another shape
   */
  public static NetworkDescription describe(String architecture, StateDict state) {
    NetworkDescription net = Architectures.describe(architecture, state);
    StateDictCheck.of(net, state);
    return net;
  }

  /**
   * An architecture as published (channels as in its paper).
   *
   * @param architecture a name with its depth, such as {@code rn18} or {@code wrn-34-10}
   */
  public static NetworkDescription describe(
      String architecture, int inputChannels, int classCount) {
    return Architectures.describe(architecture, inputChannels, 0, classCount);
  }

  /**
   * An architecture at another width.
   *
   * @param width channels of the first convolution (64 as published, 16 for wide ResNets); all
   *     others follow in proportion
   */
  public static NetworkDescription describe(
      String architecture, int inputChannels, int width, int classCount) {
    return Architectures.describe(architecture, inputChannels, width, classCount);
  }

  /**
   * Opens a network from a checkpoint file, or one that is shipped in the jar: {@code
   * embedded:NAME}; all but the type as in {@link NetworkOptions#of}.
   *
   * @param architecture one of {@link #architectures}
   * @throws InputException for an unknown architecture, an unreadable or hostile file, or one that
   *     holds another architecture (naming the first tensor that differs)
   */
  public static StagedNetwork open(String architecture, String checkpoint, Dtype dtype) {
    return open(architecture, checkpoint, NetworkOptions.of(dtype));
  }

  /**
   * Opens a network from a checkpoint file, or one that is shipped in the jar.
   *
   * @throws InputException as {@link #open(String, String, Dtype)}, or if the engine cannot run it
   * @throws io.github.igdefense.tensor.DeviceException if the device cannot be computed on
   */
  public static StagedNetwork open(String architecture, String checkpoint, NetworkOptions options) {
    CudaRuntime.require(options.device());
    return withFile(checkpoint, file -> open(architecture, file, options));
  }

  /**
   * The tensors of a checkpoint file, or of one that is shipped in the jar.
   *
   * @throws InputException if it is missing, damaged, hostile, of another kind or without tensors
   */
  public static Checkpoint checkpoint(String checkpoint) {
    return withFile(checkpoint, CheckpointReader::read);
  }

  /** Reads a checkpoint's file, or the file of one that is shipped in the jar. */
  static <T> T withFile(String checkpoint, Function<Path, T> read) {
    if (!checkpoint.startsWith(EMBEDDED)) {
      return read.apply(Path.of(checkpoint));
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
        return read.apply(copy);
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
    return open(architecture, checkpoint, NetworkOptions.of(dtype));
  }

  /**
   * Opens a network from a checkpoint file.
   *
   * @throws InputException as {@link #open(String, String, NetworkOptions)}
   * @throws io.github.igdefense.tensor.DeviceException if the device cannot be computed on
   */
  public static StagedNetwork open(String architecture, Path checkpoint, NetworkOptions options) {
    Architectures.check(architecture);
    if (!options.inputNormalization().equals(InputNormalizations.AUTO)) {
      InputNormalizations.parse(options.inputNormalization());
    }
    Checkpoint file = CheckpointReader.read(checkpoint);
    try {
      describe(architecture, file.state());
    } catch (InputException e) {
      throw new InputException(
          checkpoint
              + " does not hold architecture "
              + architecture
              + ": "
              + e.getMessage()
              + Architectures.hint(file.state()),
          e);
    }
    try {
      return build(architecture, file.state(), file.sha256(), options);
    } catch (InputException e) {
      throw new InputException(checkpoint + ": " + e.getMessage(), e);
    }
  }

  /**
   * Builds a network from tensors in memory.
   *
   * @param sha256 where they come from, for provenance
   * @throws InputException as {@link #describe(String, StateDict)}, or if the engine cannot run it
   * @throws io.github.igdefense.tensor.DeviceException if the device cannot be computed on
   */
  public static StagedNetwork build(
      String architecture, StateDict state, String sha256, NetworkOptions options) {
    CudaRuntime.require(options.device());
    NetworkDescription net = Architectures.describe(architecture, state);
    StateDictCheck check = StateDictCheck.of(net, state);
    List<String> notes = new ArrayList<>(check.notes());
    Optional<InputNormalization> input =
        Architectures.normalization(options.inputNormalization(), net, state, notes);
    return NetworkCompiler.compile(net, state, input, sha256, check.warnings(), notes, options);
  }

  /**
   * A network with random weights (He, seeded), for measurements of time.
   *
   * @param width channels of the first convolution; 0 for the published
   */
  public static StagedNetwork random(
      String architecture, int inputChannels, int width, int classCount, long seed, Dtype dtype) {
    NetworkDescription net = Architectures.describe(architecture, inputChannels, width, classCount);
    return NetworkCompiler.compile(
        net,
        randomState(net, seed),
        net.normalization(),
        "random",
        List.of(),
        List.of(),
        NetworkOptions.of(dtype));
  }

  /**
   * He-initialised parameters: convolutions N(0, 2/fan-in), classifier uniform with zero bias,
   * batch normalisation the identity.
   */
  public static StateDict randomState(NetworkDescription net, long seed) {
    Random random = new Random(seed);
    List<HostTensor> tensors = new ArrayList<>();
    for (NetworkDescription.Parameter parameter : net.parameters()) {
      long[] shape = parameter.shape();
      float[] values = new float[Math.toIntExact(parameter.numel())];
      switch (parameter.role()) {
        case CONVOLUTION -> {
          double deviation = Math.sqrt(2.0 / (shape[1] * shape[2] * shape[3]));
          for (int i = 0; i < values.length; i++) {
            values[i] = (float) (random.nextGaussian() * deviation);
          }
        }
        case LINEAR -> {
          double bound = 1 / Math.sqrt(shape[1]);
          for (int i = 0; i < values.length; i++) {
            values[i] = (float) ((random.nextDouble() * 2 - 1) * bound);
          }
        }
        case SCALE, VARIANCE -> Arrays.fill(values, 1f);
        case SHIFT, MEAN, BIAS -> {
          // Zero.
        }
      }
      tensors.add(HostTensor.of(parameter.name(), values, shape));
    }
    return new StateDict(tensors);
  }
}
