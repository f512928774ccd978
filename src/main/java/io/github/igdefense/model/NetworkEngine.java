package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Opening.Nonlinearity;
import io.github.igdefense.tensor.CompiledNet;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * A network's stages in our native engine, compiled for each image size when it first comes (which
 * takes 6 bytes per parameter in float32, 4 at precision {@code high}, 2 in bfloat16, beside
 * libtorch's own). There is none for networks that the engine cannot run (on a CUDA device,
 * float64, grouped convolutions, other non-linearities than ReLU) and on machines without the
 * instructions it needs: they run through libtorch.
 *
 * <p>The system property {@value #PROPERTY}={@code libtorch} switches it off. Thread-safe; owns
 * native memory until {@link #close}.
 */
final class NetworkEngine implements AutoCloseable {
  /** {@code native} (default) or {@code libtorch}. */
  static final String PROPERTY = "igd.engine";

  /**
   * The layers as the engine takes them.
   *
   * @param scale of the input [C], or null
   * @param shift of the input [C], or null
   * @param stem first convolution
   * @param stemActivation behind it
   * @param maxPool 3×3, stride 2, behind that
   * @param stages blocks of each stage
   * @param tail per-channel map behind the last stage, or null
   */
  record Plan(
      Tensor scale,
      Tensor shift,
      Convolution stem,
      Nonlinearity stemActivation,
      boolean maxPool,
      List<List<CompiledBlock>> stages,
      Opening.ChannelActivation tail) {}

  /**
   * @param values of the stages' outputs
   * @param hidden of each stage's first convolution and activation
   * @param residuals of each stage's first block
   */
  private record Compiled(CompiledNet net, int[] values, int[] hidden, int[] residuals) {}

  private final Plan plan;
  private final CompiledNet.Precision precision;
  private final int channels;
  private final Map<Long, Compiled> bySize = new HashMap<>();

  private NetworkEngine(Plan plan, CompiledNet.Precision precision, int channels) {
    this.plan = plan;
    this.precision = precision;
    this.channels = channels;
  }

  /**
   * The engine for a network, which owns the plan's scale and shift; or null where libtorch has to
   * run it, and these are freed.
   *
   * @param channels of an image
   * @throws InputException if the native engine is demanded and the network does not fit it
   */
  static NetworkEngine of(Plan plan, NetworkOptions options, int channels) {
    Engine wanted = options.engine();
    NetworkEngine engine =
        new NetworkEngine(plan, precision(options.dtype(), options.float32Precision()), channels);
    boolean possible =
        options.dtype() != Dtype.FLOAT64 && !options.device().isCuda() && engine.fits();
    boolean fast = !"libtorch".equals(System.getProperty(PROPERTY)) && CompiledNet.accelerated();
    if (wanted == Engine.NATIVE && possible || wanted == Engine.AUTO && possible && fast) {
      return engine;
    }
    engine.close();
    if (wanted == Engine.NATIVE) {
      throw new InputException(
          "expected a float32 or bfloat16 network of plain convolutions and ReLU for the native"
              + " engine, got another; use the engine auto");
    }
    return null;
  }

  private static CompiledNet.Precision precision(Dtype dtype, Float32Precision float32) {
    if (dtype != Dtype.FLOAT32) {
      return CompiledNet.Precision.BFLOAT16;
    }
    return switch (float32) {
      case HIGHEST -> CompiledNet.Precision.FLOAT32;
      case HIGH -> CompiledNet.Precision.FLOAT32_HIGH;
      case MEDIUM -> CompiledNet.Precision.BFLOAT16;
    };
  }

  /**
   * An engine of its own for the same float32 layers in another precision: shares their tensors,
   * which must stay, and packs nothing yet.
   */
  NetworkEngine at(Float32Precision float32) {
    return new NetworkEngine(
        new Plan(
            copy(plan.scale),
            copy(plan.shift),
            plan.stem,
            plan.stemActivation,
            plan.maxPool,
            plan.stages,
            plan.tail),
        precision(Dtype.FLOAT32, float32),
        channels);
  }

  private static Tensor copy(Tensor tensor) {
    if (tensor == null) {
      return null;
    }
    try (PointerScope scope = new PointerScope()) {
      return Tensors.keep(tensor.clone());
    }
  }

  /** What computes, for provenance. */
  String description() {
    return switch (precision) {
      case FLOAT32 -> "native, float32 as six bfloat16 products";
      case FLOAT32_HIGH -> "native, float32 as three bfloat16 products";
      case BFLOAT16 -> "native, bfloat16";
    };
  }

  private boolean fits() {
    List<Convolution> all = new ArrayList<>();
    all.add(plan.stem);
    boolean relu = plan.stemActivation != Nonlinearity.SILU;
    for (List<CompiledBlock> blocks : plan.stages) {
      for (CompiledBlock block : blocks) {
        all.addAll(block.path());
        if (block.shortcut() != null) {
          all.add(block.shortcut());
        }
        relu &= block.activation() == Nonlinearity.RELU;
      }
    }
    return relu && all.stream().allMatch(NetworkEngine::fits);
  }

  /** Kernels 1 and 3, or the first convolution, on the images themselves. */
  private static boolean fits(Convolution conv) {
    long kernel = conv.weight().size(2);
    boolean usual =
        (kernel == 1 && conv.padding() == 0 || kernel == 3 && conv.padding() == 1)
            && conv.stride() <= 2;
    boolean images = conv.weight().size(1) < 16 && kernel < 16 && conv.stride() <= 8;
    return conv.groups() == 1 && (usual || images);
  }

  private synchronized Compiled compiled(long height, long width) {
    return bySize.computeIfAbsent(height << 32 | width, key -> compile((int) height, (int) width));
  }

  /** The network for a size; null if one of its convolutions is not the engine's. */
  private Compiled compile(int height, int width) {
    try (PointerScope scope = new PointerScope();
        CompiledNet.Builder builder =
            new CompiledNet.Builder(precision, channels, height, width, plan.scale, plan.shift)) {
      List<Integer> values = new ArrayList<>();
      List<Integer> hidden = new ArrayList<>(List.of(-1));
      List<Integer> residuals = new ArrayList<>(List.of(-1));
      int value = conv(builder, 0, plan.stem, -1, plan.stemActivation == Nonlinearity.RELU);
      if (value >= 0 && plan.maxPool) {
        value = builder.maxPool(value, 3, 2, 1);
      }
      values.add(value);
      for (int s = 0; s < plan.stages.size() && value >= 0; s++) {
        List<CompiledBlock> blocks = plan.stages.get(s);
        for (int b = 0; b < blocks.size(); b++) {
          Built built = block(builder, blocks.get(b), value);
          if (built == null) {
            return null;
          }
          value = built.output;
          if (b == 0) {
            hidden.add(built.hidden);
            residuals.add(built.residual);
          }
        }
        values.add(value);
      }
      if (value < 0) {
        return null;
      }
      if (plan.tail != null) {
        values.add(
            builder.affine(
                value,
                plan.tail.scale(),
                plan.tail.shift(),
                plan.tail.nonlinearity() == Nonlinearity.RELU));
      }
      return new Compiled(builder.build(), ints(values), ints(hidden), ints(residuals));
    }
  }

  private static int[] ints(List<Integer> list) {
    return list.stream().mapToInt(Integer::intValue).toArray();
  }

  private record Built(int hidden, int residual, int output) {}

  private static Built block(CompiledNet.Builder builder, CompiledBlock block, int x) {
    int entered = x;
    if (block.entry() != null) {
      entered = builder.affine(x, block.entry().scale(), block.entry().shift(), true);
    }
    int last = block.path().size() - 1;
    int hidden = -1;
    int current = entered;
    for (int i = 0; i < last; i++) {
      current = conv(builder, current, block.path().get(i), -1, true);
      if (current < 0) {
        return null;
      }
      hidden = i == 0 ? current : hidden;
    }
    int residual = x;
    if (block.shortcut() != null) {
      residual = conv(builder, block.rawShortcut() ? x : entered, block.shortcut(), -1, false);
      if (residual < 0) {
        return null;
      }
    }
    int sum = conv(builder, current, block.path().get(last), residual, block.activateSum());
    return sum < 0 ? null : new Built(hidden, residual, sum);
  }

  private static int conv(
      CompiledNet.Builder builder, int input, Convolution conv, int residual, boolean relu) {
    return builder.conv(
        input, conv.weight(), conv.bias(), conv.stride(), conv.padding(), residual, relu);
  }

  /**
   * Stages {@code from} (inclusive) to {@code to} (exclusive) of x [N,C,H,W], the images themselves
   * or the output of stage {@code from − 1}: float32, channels-last, in the caller's scope; null
   * for a size that the engine does not take or has not seen as images before.
   */
  Tensor run(Tensor x, int from, int to) {
    if (from == 0) {
      Compiled compiled = compiled(x.size(2), x.size(3));
      return compiled == null ? null : compiled.net.forward(0, compiled.values[to - 1], x);
    }
    Compiled compiled = compiledWith(from - 1, x.size(2), x.size(3));
    return compiled == null
        ? null
        : compiled.net.forward(compiled.values[from - 1], compiled.values[to - 1], x);
  }

  /** {@link #run} from the images on, the last of them in the arithmetic of {@code coarse}. */
  Tensor runWithCoarse(NetworkEngine coarse, Tensor x, long images, int to) {
    Compiled own = compiled(x.size(2), x.size(3));
    Compiled other = coarse.compiled(x.size(2), x.size(3));
    return own == null || other == null
        ? null
        : own.net.forwardWithCoarse(other.net, 0, own.values[to - 1], x, images);
  }

  private synchronized Compiled compiledWith(int stage, long height, long width) {
    for (Compiled compiled : bySize.values()) {
      if (compiled != null) {
        int[] shape = compiled.net.shape(compiled.values[stage]);
        if (shape[1] == height && shape[2] == width) {
          return compiled;
        }
      }
    }
    return null;
  }

  /**
   * What follows the first convolution of a stage's first block, up to the last stage's output.
   *
   * @param hidden [N,O,H,W], behind that convolution's activation
   * @param residual [N,R,H',W']
   * @return null where the engine cannot
   */
  Tensor finish(int stage, Tensor hidden, Tensor residual) {
    Compiled compiled = null;
    synchronized (this) {
      for (Compiled each : bySize.values()) {
        if (each != null && fits(each.net.shape(each.hidden[stage]), hidden)) {
          compiled = each;
        }
      }
    }
    return compiled == null || !fits(compiled.net.shape(compiled.residuals[stage]), residual)
        ? null
        : compiled.net.forwardJoined(
            compiled.hidden[stage],
            hidden,
            compiled.residuals[stage],
            residual,
            compiled.values[compiled.values.length - 1]);
  }

  /** The compiled form for a size; null where the engine does not take it. */
  CompiledStages stages(int height, int width) {
    Compiled compiled = compiled(height, width);
    return compiled == null ? null : new CompiledStages(compiled.net, compiled.values);
  }

  private static boolean fits(int[] shape, Tensor x) {
    return shape[0] == x.size(1) && shape[1] == x.size(2) && shape[2] == x.size(3);
  }

  /** The prefix up to stage {@code to} (exclusive), recorded; null as above. */
  CompiledNet.Recording record(Tensor x, int to) {
    Compiled compiled = compiled(x.size(2), x.size(3));
    return compiled == null ? null : compiled.net.record(0, compiled.values[to - 1], x);
  }

  @Override
  public synchronized void close() {
    bySize.values().stream().filter(c -> c != null).forEach(c -> c.net.close());
    bySize.clear();
    if (plan.scale != null) {
      Tensors.free(plan.scale);
      Tensors.free(plan.shift);
    }
  }
}
