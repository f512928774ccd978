package io.github.igdefense.model;

import io.github.igdefense.data.ElementType;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.NetworkDescription.Block;
import io.github.igdefense.model.NetworkDescription.Conv;
import io.github.igdefense.model.NetworkDescription.Norm;
import io.github.igdefense.model.NetworkDescription.PostActivation;
import io.github.igdefense.model.NetworkDescription.PreActivation;
import io.github.igdefense.model.Opening.ChannelActivation;
import io.github.igdefense.model.Opening.Nonlinearity;
import io.github.igdefense.model.StagedNetwork.Step;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * Builds the inference form of any {@link NetworkDescription}: a batch normalisation behind a
 * convolution is folded into it, any other becomes a per-channel map; weights are channels-last.
 *
 * <p>The input's normalisation stays a step of its own: zeros are padded after it, so folding it
 * into the first convolution would be wrong at the border.
 */
final class NetworkCompiler {
  private static final long[] POOL_KERNEL = {3, 3};
  private static final long[] POOL_STRIDE = {2, 2};
  private static final long[] ONES = {1, 1};

  private final StateDict state;
  private final Dtype dtype;
  private final Device device;
  private final List<Pointer> owned = new ArrayList<>();

  /**
   * Every float32 tensor passes through here. One piece for all: as many pieces, freed between the
   * parameters that stay, would leave holes a quarter of the network's size.
   */
  private Tensor staging;

  private NetworkCompiler(StateDict state, Dtype dtype, Device device) {
    this.state = state;
    this.dtype = dtype;
    this.device = device;
  }

  /**
   * The network of a description with the tensors of a state dict that has been checked against it.
   *
   * @param normalization of the input, as the options and the tensors say
   * @param warnings handed on to {@link StagedNetwork#warnings}
   * @param notes handed on to {@link StagedNetwork#notes}
   * @throws InputException where a batch normalisation's statistics give no finite scale
   */
  static StagedNetwork compile(
      NetworkDescription net,
      StateDict state,
      Optional<InputNormalization> normalization,
      String sha256,
      List<String> warnings,
      List<String> notes,
      NetworkOptions options) {
    NetworkCompiler compiler = new NetworkCompiler(state, options.dtype(), options.device());
    NetworkFacts facts =
        new NetworkFacts(
            net.architecture(),
            options.dtype(),
            options.device(),
            net.inputChannels(),
            net.imageSize(),
            normalization,
            net.classifier().classCount(),
            sha256,
            warnings,
            notes);
    boolean done = false;
    try (PointerScope scope = new PointerScope()) {
      long most = net.parameters().stream().mapToLong(p -> p.numel()).max().orElse(0);
      compiler.staging =
          torch.empty(
              new long[] {most},
              Tensors.options(torch.ScalarType.Float),
              new MemoryFormatOptional());
      StagedNetwork network = compiler.build(net, facts, options);
      done = true;
      return network;
    } finally {
      if (!done) {
        compiler.owned.forEach(Pointer::releaseReference);
      }
    }
  }

  private StagedNetwork build(NetworkDescription net, NetworkFacts facts, NetworkOptions options) {
    Optional<InputNormalization> normalization = facts.normalization();
    List<StagedNetwork.Stage> stages = new ArrayList<>();
    List<List<CompiledBlock>> compiledStages = new ArrayList<>();
    ChannelActivation compiledTail = null;
    Convolution stem = convolution(net.stem().conv(), net.stem().norm());
    Nonlinearity stemActivation =
        net.stem().norm() == null ? Nonlinearity.IDENTITY : net.activation();
    stages.add(
        new StagedNetwork.Stage(
            net.stem().conv().name(),
            net.stem().conv().out(),
            false,
            stem(net, stem, stemActivation, normalization),
            null));
    for (NetworkDescription.Stage stage : net.stages()) {
      List<CompiledBlock> blocks = new ArrayList<>();
      for (Block block : stage.blocks()) {
        blocks.add(compile(block, net.activation()));
      }
      compiledStages.add(List.copyOf(blocks));
      boolean last = stage == net.stages().get(net.stages().size() - 1);
      boolean raw = last && net.tail() != null;
      stages.add(
          new StagedNetwork.Stage(
              stage.name() + (raw ? StagedNetwork.RAW : ""),
              stage.units(),
              !raw,
              x -> CompiledBlock.run(blocks, x),
              CompiledBlock.open(blocks)));
      if (raw) {
        ChannelActivation tail = affine(net.tail(), net.activation());
        compiledTail = tail;
        stages.add(new StagedNetwork.Stage(stage.name(), stage.units(), true, tail::apply, null));
      }
    }
    Dtype headType = dtype == Dtype.FLOAT64 ? Dtype.FLOAT64 : Dtype.FLOAT32;
    LinearHead head =
        new LinearHead(
            own(tensor(net.classifier().name() + ".weight", headType)),
            own(tensor(net.classifier().name() + ".bias", headType)));
    NetworkEngine engine =
        NetworkEngine.of(
            new NetworkEngine.Plan(
                inputMap(net, normalization, true),
                inputMap(net, normalization, false),
                stem,
                stemActivation,
                net.stem().maxPool(),
                List.copyOf(compiledStages),
                compiledTail),
            options,
            net.inputChannels());
    return StagedNetwork.of(facts, stages, head, owned, engine, options.float32Precision());
  }

  /** 1/std (or −mean/std) [C] float32, kept; null without normalisation. */
  private static Tensor inputMap(
      NetworkDescription net, Optional<InputNormalization> normalization, boolean scale) {
    if (normalization.isEmpty()) {
      return null;
    }
    double[] mean = normalization.get().mean();
    double[] std = normalization.get().std();
    float[] values = new float[net.inputChannels()];
    for (int c = 0; c < values.length; c++) {
      double deviation = std[std.length == 1 ? 0 : c];
      values[c] = (float) (scale ? 1 / deviation : -mean[mean.length == 1 ? 0 : c] / deviation);
    }
    return Tensors.keep(Tensors.of(values, values.length));
  }

  private Step stem(
      NetworkDescription net,
      Convolution conv,
      Nonlinearity activation,
      Optional<InputNormalization> normalization) {
    Step step = x -> activation.apply(conv.apply(x));
    if (net.stem().maxPool()) {
      Step before = step;
      step = x -> torch.max_pool2d(before.apply(x), POOL_KERNEL, POOL_STRIDE, ONES, ONES, false);
    }
    Step network = step;
    if (normalization.isEmpty()) {
      return x -> network.apply(channelsLast(x));
    }
    Tensor mean = perChannel(normalization.get().mean(), net.inputChannels());
    Tensor deviation = perChannel(normalization.get().std(), net.inputChannels());
    return x -> network.apply(channelsLast(x).sub(mean).div_(deviation));
  }

  /** [1,C,1,1] of the network's type, kept. */
  private Tensor perChannel(double[] values, int channels) {
    if (values.length != 1 && values.length != channels) {
      throw new InputException(
          "expected an input normalisation of "
              + channels
              + " channels, got "
              + values.length
              + " values");
    }
    double[] all =
        values.length == channels
            ? values
            : IntStream.range(0, channels).mapToDouble(i -> values[0]).toArray();
    return own(Tensors.to(Tensors.of(all, 1, channels, 1, 1), dtype));
  }

  private static Tensor channelsLast(Tensor x) {
    return x.contiguous(torch.MemoryFormat.ChannelsLast);
  }

  private CompiledBlock compile(Block block, Nonlinearity activation) {
    List<Convolution> path = new ArrayList<>();
    int n = block.path().size();
    if (block instanceof PreActivation pre) {
      for (int i = 0; i < n; i++) {
        path.add(convolution(pre.path().get(i), i + 1 < n ? pre.norms().get(i + 1) : null));
      }
      return new CompiledBlock(
          affine(pre.norms().get(0), activation),
          List.copyOf(path),
          pre.shortcut() == null ? null : convolution(pre.shortcut(), null),
          pre.rawShortcut(),
          activation,
          false);
    }
    PostActivation post = (PostActivation) block;
    for (int i = 0; i < n; i++) {
      path.add(convolution(post.path().get(i), post.norms().get(i)));
    }
    return new CompiledBlock(
        null,
        List.copyOf(path),
        post.shortcut() == null ? null : convolution(post.shortcut(), post.shortcutNorm()),
        false,
        activation,
        true);
  }

  /** The folded convolution, with what it keeps beside its tensors owned by the network. */
  private Convolution convolution(Conv conv, Norm norm) {
    Convolution folded = fold(conv, norm);
    owned.add(folded.biasArgument());
    return folded;
  }

  /** γ/√(σ²+ε) and β − μ·γ/√(σ²+ε) in float64. */
  private double[][] scaleAndShift(Norm norm) {
    double[] gamma = values(norm.name() + ".weight");
    double[] beta = values(norm.name() + ".bias");
    double[] mean = values(norm.name() + ".running_mean");
    double[] variance = values(norm.name() + ".running_var");
    double[] scale = new double[norm.channels()];
    double[] shift = new double[norm.channels()];
    for (int c = 0; c < scale.length; c++) {
      scale[c] = gamma[c] / Math.sqrt(variance[c] + NetworkDescription.BATCH_NORM_EPSILON);
      if (!Double.isFinite(scale[c])) {
        throw new InputException(
            "expected a finite scale in '"
                + norm.name()
                + "', got weight "
                + gamma[c]
                + " and running_var "
                + variance[c]
                + " at channel "
                + c);
      }
      shift[c] = beta[c] - mean[c] * scale[c];
    }
    return new double[][] {scale, shift};
  }

  private ChannelActivation affine(Norm norm, Nonlinearity activation) {
    double[][] map = scaleAndShift(norm);
    return new ChannelActivation(
        own(Tensors.to(Tensors.of(map[0], norm.channels()), dtype)),
        own(Tensors.to(Tensors.of(map[1], norm.channels()), dtype)),
        activation);
  }

  /**
   * w' = w·scale, b' = shift, computed in float64 and rounded once; b' = 0 without {@code norm}.
   * What is made on the way is freed at once, so that a large network never stands in memory twice.
   */
  private Convolution fold(Conv conv, Norm norm) {
    double[][] map = norm == null ? null : scaleAndShift(norm);
    double[] bias = norm == null ? new double[conv.out()] : map[1];
    try (PointerScope scope = new PointerScope()) {
      Tensor weight = scaled(state.get(conv.name() + ".weight"), norm == null ? null : map[0]);
      // Zeros in front of the kernel: with them the padding is the same on all sides, and the
      // result is that of fewer zeros in front, to the last bit or nearly.
      int missing = conv.paddingAfter() - conv.padding();
      if (missing > 0) {
        weight = torch.constant_pad_nd(weight, missing, 0, missing, 0);
      }
      Tensor folded =
          own(
              torch.empty(
                  Tensors.shape(weight),
                  Tensors.options(dtype.scalarType()),
                  Tensors.channelsLast()));
      folded.copy_(weight);
      Tensor foldedBias = own(Tensors.to(Tensors.of(bias, conv.out()), dtype));
      TensorOptional argument = new TensorOptional(foldedBias);
      argument.retainReference();
      return new Convolution(
          folded,
          foldedBias,
          argument,
          conv.stride(),
          conv.paddingAfter(),
          conv.groups(),
          dtype != Dtype.FLOAT64 && !device.isCuda());
    }
  }

  /**
   * A tensor times one factor per entry of its first dimension (null: 1), float32 or float64; it
   * may lie in {@link #staging}, so that the next call overwrites it.
   */
  private Tensor scaled(HostTensor host, double[] scale) {
    if (dtype == Dtype.FLOAT64 || host.type() == ElementType.FLOAT64) {
      double[] values = host.toDoubles();
      for (int i = 0; scale != null && i < values.length; i++) {
        values[i] *= scale[i / (values.length / scale.length)];
      }
      return Tensors.of(values, host.shape());
    }
    int count = Math.toIntExact(host.numel());
    Tensor part = staging.narrow(0, 0, count);
    Tensors.fill(
        part,
        target -> {
          host.copyTo(target);
          for (int i = 0; scale != null && i < count; i++) {
            target.put(i, (float) (target.get(i) * scale[i / (count / scale.length)]));
          }
        });
    return part.view(host.shape());
  }

  private double[] values(String name) {
    return state.get(name).toDoubles();
  }

  private Tensor tensor(String name, Dtype type) {
    HostTensor host = state.get(name);
    return Tensors.scoped(() -> Tensors.to(scaled(host, null), type).clone());
  }

  /** The tensor on the network's device, which the network frees. */
  private Tensor own(Tensor tensor) {
    Tensor placed = device.move(tensor);
    owned.add(Tensors.keep(placed));
    return placed;
  }
}
