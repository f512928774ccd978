package io.github.igdefense.model;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * Networks of any architecture, exported from Python in two parts: {@code prefix} from images
 * [N,C,H,W] in [0,1] to the activation [N,U,H',W'] or [N,U] of the layer to mask, {@code suffix}
 * from there to logits [N,K]. They can be ranked, defended and attacked like any other; the layer's
 * name is {@value #LAYER}.
 *
 * <p>Unlike checkpoints these files hold code that is interpreted: see {@link TorchScriptArchive}.
 */
public final class TorchScriptNetworks {
  /** What {@code --arch} calls them. */
  public static final String ARCHITECTURE = "torchscript";

  /** Name of the one layer that can be masked. */
  public static final String LAYER = "prefix";

  private static final String SUFFIX = "suffix";
  private static final int MAX_SIZE = 1 << 12;

  private TorchScriptNetworks() {}

  /**
   * The images that a network takes: C channels, S × S.
   *
   * @param channels C
   * @param size S
   */
  public record Input(int channels, int size) {
    /** CIFAR's. */
    public static final Input DEFAULT = new Input(3, 32);

    /**
     * Reads {@code 32} (three channels) or {@code 1x28x28}.
     *
     * @throws InputException for anything else
     */
    public static Input parse(String text) {
      String[] parts = text.strip().split("[x,]", -1);
      try {
        int[] numbers =
            Arrays.stream(parts).map(String::strip).mapToInt(Integer::parseInt).toArray();
        boolean square = numbers.length == 3 && numbers[1] == numbers[2];
        int size = numbers[numbers.length - 1];
        if ((numbers.length == 1 || square)
            && size >= 1
            && size <= MAX_SIZE
            && (numbers.length == 1 || numbers[0] == 1 || numbers[0] == 3)) {
          return new Input(numbers.length == 1 ? 3 : numbers[0], size);
        }
      } catch (NumberFormatException e) {
        // reported below
      }
      throw new InputException(
          "expected an input size such as 32, 3x32x32 or 1x28x28 (1 or 3 channels, square), got '"
              + text
              + "'");
    }

    @Override
    public String toString() {
      return channels + "x" + size + "x" + size;
    }
  }

  /**
   * Opens one archive with the methods {@code prefix} and {@code suffix}.
   *
   * @throws InputException as {@link TorchScriptArchive#open}, or if a method is missing or its
   *     result for images of this size is not as above
   */
  public static StagedNetwork open(Path archive, Input input, Dtype dtype) {
    return open(archive, input, dtype, Device.CPU);
  }

  /**
   * The same on a device; what the exported code makes itself must follow its input there.
   *
   * @throws InputException as {@link #open(Path, Input, Dtype)}
   */
  public static StagedNetwork open(Path archive, Input input, Dtype dtype, Device device) {
    TorchScriptArchive file = TorchScriptArchive.open(archive);
    Part[] parts = new Part[2];
    try {
      for (String method : List.of(LAYER, SUFFIX)) {
        if (!file.hasMethod(method)) {
          throw new InputException(
              "expected the methods prefix and suffix in "
                  + archive
                  + ", it has "
                  + file.methods()
                  + "; export both (@torch.jit.export), or give two files with --prefix and"
                  + " --suffix");
        }
      }
      parts[0] = new Part(file, LAYER);
      parts[1] = new Part(file, SUFFIX);
      return build(parts[0], parts[1], input, dtype, device, file.sha256());
    } catch (RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /**
   * Opens two archives; of each the method {@code prefix} or {@code suffix} is taken, or else
   * {@code forward}.
   *
   * @throws InputException as {@link #open(Path, Input, Dtype)}
   */
  public static StagedNetwork open(Path prefix, Path suffix, Input input, Dtype dtype) {
    return open(prefix, suffix, input, dtype, Device.CPU);
  }

  /**
   * The same on a device.
   *
   * @throws InputException as {@link #open(Path, Input, Dtype)}
   */
  public static StagedNetwork open(
      Path prefix, Path suffix, Input input, Dtype dtype, Device device) {
    TorchScriptArchive first = TorchScriptArchive.open(prefix);
    TorchScriptArchive second = null;
    try {
      second = TorchScriptArchive.open(suffix);
      String hash = Hashes.builder().text(first.sha256()).text(second.sha256()).hex();
      return build(part(first, LAYER), part(second, SUFFIX), input, dtype, device, hash);
    } catch (RuntimeException e) {
      first.close();
      if (second != null) {
        second.close();
      }
      throw e;
    }
  }

  private static Part part(TorchScriptArchive archive, String method) {
    if (!archive.hasMethod(method) && !archive.hasMethod("forward")) {
      throw new InputException(
          "expected a method '"
              + method
              + "' or 'forward' in "
              + archive.file()
              + ", it has "
              + archive.methods());
    }
    return new Part(archive, archive.hasMethod(method) ? method : "forward");
  }

  /** A method of an archive. */
  private record Part(TorchScriptArchive archive, String method) {
    Tensor call(Tensor input) {
      return archive.call(method, input);
    }

    /** The first call, where a wrong size shows. */
    Tensor probe(Tensor x, Input input) {
      try {
        return call(x);
      } catch (InputException e) {
        throw new InputException(
            e.getMessage() + " (tried images of " + input + "; --input-size chooses)", e);
      }
    }

    /** Whether the exported code writes into its input, as in-place activations do. */
    boolean writes(Tensor input) {
      Tensor copy = input.clone();
      long version = copy._version();
      call(copy);
      return copy._version() != version;
    }

    StagedNetwork.Step step(boolean writes) {
      return writes ? x -> call(x.clone()) : this::call;
    }

    @Override
    public String toString() {
      return "'" + method + "' of " + archive.file();
    }
  }

  private static StagedNetwork build(
      Part prefix, Part suffix, Input input, Dtype dtype, Device device, String sha256) {
    prefix.archive.to(dtype, device);
    suffix.archive.to(dtype, device);
    Dtype logitType = dtype == Dtype.FLOAT64 ? Dtype.FLOAT64 : Dtype.FLOAT32;
    long[] layer = null;
    int classCount = 0;
    boolean prefixWrites;
    boolean suffixWrites;
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor activation = null;
      Tensor images = null;
      // Two batch sizes: a trace can have the one of its example built in.
      for (long n : new long[] {1, 3}) {
        images = device.move(Tensors.to(noise(n, input), dtype));
        activation = prefix.probe(images.clone(), input);
        layer = Tensors.shape(activation);
        check(
            (layer.length == 2 || layer.length == 4)
                && layer[0] == n
                && layer[1] > 0
                && activation.is_floating_point(),
            prefix,
            "a layer [N,U,H,W] or [N,U]",
            layer,
            n,
            input);
        Tensor logits = suffix.probe(activation.clone(), input);
        long[] shape = Tensors.shape(logits);
        check(
            shape.length == 2 && shape[0] == n && shape[1] > 1 && logits.is_floating_point(),
            suffix,
            "logits [N,K]",
            shape,
            n,
            input);
        classCount = Math.toIntExact(shape[1]);
      }
      prefixWrites = prefix.writes(images);
      suffixWrites = suffix.writes(activation);
    }
    StagedNetwork.Step last = suffix.step(suffixWrites);
    NetworkFacts facts =
        new NetworkFacts(
            ARCHITECTURE,
            dtype,
            device,
            input.channels,
            ImageSize.exactly(input.size),
            Optional.empty(),
            classCount,
            sha256,
            List.of(),
            List.of());
    return StagedNetwork.withoutHead(
        facts,
        List.of(
            new StagedNetwork.Stage(
                LAYER, Math.toIntExact(layer[1]), true, prefix.step(prefixWrites), null),
            new StagedNetwork.Stage(
                SUFFIX, classCount, false, a -> Tensors.to(last.apply(a), logitType), null)),
        () -> {
          prefix.archive.close();
          suffix.archive.close();
        });
  }

  private static Tensor noise(long n, Input input) {
    Random random = new Random(0);
    float[] values = new float[Math.toIntExact(n * input.channels * input.size * input.size)];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat();
    }
    return Tensors.of(values, n, input.channels, input.size, input.size);
  }

  private static void check(
      boolean good, Part part, String expected, long[] found, long n, Input input) {
    if (!good) {
      throw new InputException(
          "expected "
              + part
              + " to give "
              + expected
              + " for "
              + n
              + " images of "
              + input
              + ", got "
              + Arrays.toString(found)
              + "; check --input-size and how it was exported");
    }
  }
}
