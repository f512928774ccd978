package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Checkpoint;
import io.github.igdefense.model.CheckpointReader;
import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.StateDict;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The trained tensors of a SODEF block: a map from the features of a network to the D dimensions of
 * the ODE, the layers of its right-hand side, and the classifier behind it.
 *
 * <p>Names are those of the published code (github.com/KANGQIYU/SODEF), with or without the leading
 * numbers of its {@code nn.Sequential}s:
 *
 * <pre>
 *   fc1.merge_net.{0,2}.{weight,bias}   the map of the TRADES block: linear, tanh, linear, tanh
 *   fc0.linear.weight [U,D]             the map of the later block: linear, without bias; its transpose is applied
 *   (neither)                           no map: D is the number of features
 *   odefunc.fc{i}._layer.{weight,bias}  f(z) = g_n(…g_1(z)), g_i(z) = sin(−(W_i·z + b_i)), i = 1, 2, …
 *   fc0.{weight,bias} [K,D], [K]        the classifier
 * </pre>
 *
 * Immutable, on the heap; thread-safe.
 *
 * @param map layers before the ODE; empty without a map
 * @param tanh whether tanh follows every layer of the map
 * @param field layers of the ODE's right-hand side, at least one
 * @param head the classifier
 * @param sha256 of the file, or what else the block came from
 * @param notes tensors that were left out; a sentence each
 */
public record SodefBlock(
    List<Layer> map,
    boolean tanh,
    List<Layer> field,
    Layer head,
    String sha256,
    List<String> notes) {
  private static final String TANH_MAP = "fc1.merge_net.";
  private static final String LINEAR_MAP = "fc0.linear.";
  private static final String FIELD = "odefunc.fc";
  private static final String HEAD = "fc0.";
  private static final Pattern SEQUENTIAL = Pattern.compile("((?:\\d+\\.)*)(.+)");

  /**
   * A linear layer.
   *
   * @param weight [outputs·inputs], row by row
   * @param bias [outputs], or null
   */
  public record Layer(int inputs, int outputs, double[] weight, double[] bias) {}

  /** Copies the lists. */
  public SodefBlock {
    map = List.copyOf(map);
    field = List.copyOf(field);
    notes = List.copyOf(notes);
  }

  /** Dimensions D of the ODE. */
  public int dimensions() {
    return head.inputs();
  }

  /** Features U of the network that the block takes. */
  public int features() {
    return map.isEmpty() ? dimensions() : map.get(0).inputs();
  }

  /** Classes K. */
  public int classCount() {
    return head.outputs();
  }

  /**
   * Reads a block from a PyTorch or safetensors file.
   *
   * @throws InputException if it is no checkpoint, a tensor is missing, too much or does not fit
   *     those before it, or the orthogonal map is stored in its parametrisation
   */
  public static SodefBlock read(Path file) {
    Checkpoint checkpoint = CheckpointReader.read(file);
    try {
      return of(checkpoint.state(), checkpoint.sha256());
    } catch (InputException e) {
      throw new InputException(file + " does not hold a SODEF block: " + e.getMessage(), e);
    }
  }

  /**
   * The block among tensors.
   *
   * @throws InputException as {@link #read}
   */
  public static SodefBlock of(StateDict state, String sha256) {
    Parts parts = new Parts(state);
    List<Layer> map = new ArrayList<>();
    boolean tanh = parts.has(TANH_MAP);
    if (tanh && parts.has(LINEAR_MAP)) {
      throw new InputException(
          "expected one map before the ODE, found " + TANH_MAP + "* and " + LINEAR_MAP + "*");
    }
    if (tanh) {
      map.add(parts.layer(TANH_MAP + "0.", -1, true));
      map.add(parts.layer(TANH_MAP + "2.", map.get(0).outputs(), true));
    } else if (parts.has(LINEAR_MAP)) {
      map.add(transposed(parts.layer(LINEAR_MAP, -1, false)));
    }
    int dimensions = map.isEmpty() ? -1 : map.get(map.size() - 1).outputs();
    List<Layer> field = new ArrayList<>();
    int width = dimensions;
    do {
      field.add(parts.layer(FIELD + (field.size() + 1) + "._layer.", width, true));
      width = field.get(field.size() - 1).outputs();
    } while (parts.has(FIELD + (field.size() + 1) + "."));
    if (width != field.get(0).inputs()) {
      throw new InputException(
          "expected an ODE whose last layer has the "
              + field.get(0).inputs()
              + " dimensions of its first, got "
              + width);
    }
    Layer head = parts.layer(HEAD, width, true);
    return new SodefBlock(map, tanh, field, head, sha256, parts.finish());
  }

  /**
   * An untrained block of the published sizes, for measuring time only: a linear map, one layer of
   * 64 dimensions, a classifier; entries uniform in ±1/√inputs.
   */
  public static SodefBlock random(int features, int classCount, long seed) {
    Random random = new Random(seed);
    return new SodefBlock(
        List.of(random(random, features, 64, false)),
        false,
        List.of(random(random, 64, 64, true)),
        random(random, 64, classCount, true),
        "random " + seed,
        List.of());
  }

  private static Layer random(Random random, int inputs, int outputs, boolean bias) {
    double bound = 1 / Math.sqrt(inputs);
    double[] weight = random.doubles((long) inputs * outputs, -bound, bound).toArray();
    double[] added = bias ? random.doubles(outputs, -bound, bound).toArray() : null;
    return new Layer(inputs, outputs, weight, added);
  }

  private static Layer transposed(Layer layer) {
    int rows = layer.outputs();
    int columns = layer.inputs();
    double[] weight = new double[rows * columns];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        weight[j * rows + i] = layer.weight()[i * columns + j];
      }
    }
    return new Layer(rows, columns, weight, null);
  }

  /** The tensors of a file by their names in the block; what is asked for is ticked off. */
  private static final class Parts {
    private final Map<String, HostTensor> tensors = new LinkedHashMap<>();
    private final int network;

    Parts(StateDict state) {
      int others = 0;
      for (HostTensor tensor : state) {
        Matcher name = SEQUENTIAL.matcher(tensor.name());
        String inner = name.matches() ? name.group(2) : tensor.name();
        if (inner.startsWith(LINEAR_MAP) && inner.contains("parametrizations")) {
          throw new InputException(
              "expected the orthogonal map as the matrix "
                  + LINEAR_MAP
                  + "weight [U,D], found its parametrisation '"
                  + tensor.name()
                  + "'; save the module's weight itself in PyTorch");
        }
        boolean part =
            inner.startsWith(TANH_MAP)
                || inner.startsWith(LINEAR_MAP)
                || inner.startsWith("odefunc.")
                || inner.startsWith(HEAD);
        // The published files hold the network in front of the block as well, as part 0.
        if (!part && name.group(1).startsWith("0.")) {
          others++;
        } else if (tensors.put(inner, tensor) != null) {
          throw new InputException("expected one tensor " + inner + ", found two");
        }
      }
      network = others;
    }

    boolean has(String prefix) {
      return tensors.keySet().stream().anyMatch(name -> name.startsWith(prefix));
    }

    /**
     * A layer by the beginning of its tensors' names.
     *
     * @param inputs expected; -1 for any
     */
    Layer layer(String prefix, int inputs, boolean bias) {
      HostTensor weight = take(prefix + "weight");
      long[] shape = weight.shape();
      if (shape.length != 2 || shape[0] < 1 || shape[1] < 1 || inputs >= 0 && shape[1] != inputs) {
        throw new InputException(
            "expected tensor '"
                + weight.name()
                + "' of shape [outputs, "
                + (inputs < 0 ? "inputs" : "" + inputs)
                + "], got "
                + Arrays.toString(shape));
      }
      double[] added = null;
      if (bias) {
        HostTensor tensor = take(prefix + "bias");
        if (!Arrays.equals(tensor.shape(), new long[] {shape[0]})) {
          throw new InputException(
              "expected tensor '"
                  + tensor.name()
                  + "' of shape ["
                  + shape[0]
                  + "], got "
                  + Arrays.toString(tensor.shape()));
        }
        added = finite(tensor);
      }
      return new Layer(Math.toIntExact(shape[1]), Math.toIntExact(shape[0]), finite(weight), added);
    }

    private HostTensor take(String name) {
      HostTensor tensor = tensors.remove(name);
      if (tensor == null) {
        List<String> left = List.copyOf(tensors.keySet());
        throw new InputException(
            "expected a tensor "
                + name
                + ", found "
                + (left.isEmpty() ? "none" : "" + left.subList(0, Math.min(6, left.size()))));
      }
      return tensor;
    }

    private static double[] finite(HostTensor tensor) {
      double[] values = tensor.toDoubles();
      for (double value : values) {
        if (!Double.isFinite(value)) {
          throw new InputException(
              "expected finite numbers in tensor '" + tensor.name() + "', got " + value);
        }
      }
      return values;
    }

    /** Refuses what is left over; notes what was not looked at. */
    List<String> finish() {
      if (!tensors.isEmpty()) {
        throw new InputException(
            "expected no tensor '"
                + tensors.values().iterator().next().name()
                + "'"
                + (tensors.size() > 1 ? " nor " + (tensors.size() - 1) + " more" : "")
                + "; it may be of another kind of block");
      }
      return network == 0
          ? List.of()
          : List.of(
              network
                  + " tensors of the network in front of the SODEF block left out: the block is put"
                  + " behind the base model");
    }
  }
}
