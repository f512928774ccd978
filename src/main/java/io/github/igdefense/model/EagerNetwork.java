package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.NetworkDescription.Block;
import io.github.igdefense.model.NetworkDescription.Conv;
import io.github.igdefense.model.NetworkDescription.Norm;
import io.github.igdefense.model.NetworkDescription.PostActivation;
import io.github.igdefense.model.NetworkDescription.PreActivation;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * A network as PyTorch's eager mode computes it, for comparisons of time: conv2d, batch_norm, ReLU
 * one by one, channels-first, nothing folded, packed or fused, whatever path libtorch itself picks.
 * Gradients come from its autograd.
 *
 * <p>Owns its parameters' native memory until {@link #close}. Threads: any number may compute at
 * the same time; none may after {@code close}.
 */
public final class EagerNetwork implements DifferentiableClassifier, AutoCloseable {
  private static final long[] ONES = {1, 1};

  private final NetworkDescription net;
  private final Dtype dtype;
  private final Map<String, Tensor> parameters = new HashMap<>();
  private final Map<String, TensorOptional> arguments = new HashMap<>();
  private final Optional<InputNormalization> normalization;
  private final Tensor mean;
  private final Tensor deviation;
  private boolean closed;

  private EagerNetwork(
      NetworkDescription net,
      StateDict state,
      Dtype dtype,
      Optional<InputNormalization> normalization) {
    this.net = net;
    this.dtype = dtype;
    this.normalization = normalization;
    for (NetworkDescription.Parameter parameter : net.parameters()) {
      HostTensor host = state.get(parameter.name());
      try (PointerScope scope = new PointerScope()) {
        Tensor kept = Tensors.keep(Tensors.to(Tensors.of(host.toDoubles(), host.shape()), dtype));
        TensorOptional argument = new TensorOptional(kept);
        argument.retainReference();
        parameters.put(parameter.name(), kept);
        arguments.put(parameter.name(), argument);
      }
    }
    this.mean = normalization.map(n -> perChannel(n.mean())).orElse(null);
    this.deviation = normalization.map(n -> perChannel(n.std())).orElse(null);
  }

  private Tensor perChannel(double[] values) {
    double[] all = new double[net.inputChannels()];
    Arrays.setAll(all, i -> values[values.length == 1 ? 0 : i]);
    try (PointerScope scope = new PointerScope()) {
      return Tensors.keep(Tensors.to(Tensors.of(all, 1, all.length, 1, 1), dtype));
    }
  }

  /**
   * The network of a checkpoint file or of one that is shipped.
   *
   * @param architecture as {@link Networks#open(String, String, Dtype)} takes it
   * @throws InputException as there
   */
  public static EagerNetwork open(String architecture, String checkpoint, Dtype dtype) {
    return Networks.withFile(checkpoint, file -> open(architecture, file, dtype));
  }

  private static EagerNetwork open(String architecture, Path file, Dtype dtype) {
    StateDict state = CheckpointReader.read(file).state();
    NetworkDescription net = Networks.describe(architecture, state);
    return new EagerNetwork(
        net,
        state,
        dtype,
        Architectures.normalization(
            InputNormalizations.AUTO, net, state, new java.util.ArrayList<>()));
  }

  /** The network of {@link Networks#random} with the same arguments: the same weights. */
  public static EagerNetwork random(
      String architecture, int inputChannels, int width, int classCount, long seed, Dtype dtype) {
    NetworkDescription net = Networks.describe(architecture, inputChannels, width, classCount);
    return new EagerNetwork(net, Networks.randomState(net, seed), dtype, net.normalization());
  }

  /** What is computed. */
  public NetworkDescription description() {
    return net;
  }

  @Override
  public String name() {
    return net.architecture() + ", libtorch eager";
  }

  @Override
  public int classCount() {
    return net.classifier().classCount();
  }

  @Override
  public Dtype dtype() {
    return dtype;
  }

  @Override
  public Tensor logits(Tensor x) {
    try (AutoGradMode off = new AutoGradMode(false)) {
      return forward(x);
    }
  }

  @Override
  public LossGradient lossGradient(Tensor x, LogitLoss loss) {
    return Gradients.of(x, this::forward, loss);
  }

  /** Logits [N,K]; differentiable where grad mode is on. */
  public Tensor forward(Tensor x) {
    if (closed) {
      throw new IllegalStateException(name() + " is closed");
    }
    return Tensors.scoped(
        () -> {
          Tensor current =
              normalization.isPresent() ? Tensors.scoped(() -> x.sub(mean).div(deviation)) : x;
          current = stem(current);
          for (NetworkDescription.Stage stage : net.stages()) {
            for (Block block : stage.blocks()) {
              current = block(block, current);
            }
          }
          Tensor last = current;
          Tensor features =
              net.tail() == null ? last : Tensors.scoped(() -> act(norm(last, net.tail())));
          return torch.linear(
              features.mean(new long[] {2, 3}),
              tensor(net.classifier().name() + ".weight"),
              arguments.get(net.classifier().name() + ".bias"));
        });
  }

  private Tensor stem(Tensor x) {
    return Tensors.scoped(
        () -> {
          Tensor out = conv(x, net.stem().conv());
          if (net.stem().norm() != null) {
            out = act(norm(out, net.stem().norm()));
          }
          return net.stem().maxPool()
              ? torch.max_pool2d(out, new long[] {3, 3}, new long[] {2, 2}, ONES, ONES, false)
              : out;
        });
  }

  private Tensor block(Block block, Tensor x) {
    return Tensors.scoped(
        () ->
            block instanceof PostActivation post
                ? postActivation(post, x)
                : preActivation((PreActivation) block, x));
  }

  private Tensor postActivation(PostActivation block, Tensor x) {
    int last = block.path().size() - 1;
    Tensor out = x;
    for (int i = 0; i <= last; i++) {
      out = norm(conv(out, block.path().get(i)), block.norms().get(i));
      out = i < last ? act(out) : out;
    }
    Tensor residual =
        block.shortcut() == null ? x : norm(conv(x, block.shortcut()), block.shortcutNorm());
    return act(out.add(residual));
  }

  private Tensor preActivation(PreActivation block, Tensor x) {
    Tensor entered = act(norm(x, block.norms().get(0)));
    Tensor out = conv(entered, block.path().get(0));
    for (int i = 1; i < block.path().size(); i++) {
      out = conv(act(norm(out, block.norms().get(i))), block.path().get(i));
    }
    Tensor residual =
        block.shortcut() == null ? x : conv(block.rawShortcut() ? x : entered, block.shortcut());
    return out.add(residual);
  }

  private Tensor act(Tensor x) {
    return switch (net.activation()) {
      case IDENTITY -> x;
      case RELU -> x.relu();
      case SILU -> torch.silu(x);
    };
  }

  private Tensor tensor(String name) {
    return parameters.get(name);
  }

  private Tensor conv(Tensor x, Conv conv) {
    int before = conv.padding();
    int after = conv.paddingAfter();
    boolean even = before == after;
    return torch.conv2d(
        even ? x : torch.constant_pad_nd(x, before, after, before, after),
        tensor(conv.name() + ".weight"),
        new TensorOptional(),
        new long[] {conv.stride(), conv.stride()},
        even ? new long[] {before, before} : new long[] {0, 0},
        ONES,
        conv.groups());
  }

  private Tensor norm(Tensor x, Norm norm) {
    return torch.batch_norm(
        x,
        arguments.get(norm.name() + ".weight"),
        arguments.get(norm.name() + ".bias"),
        arguments.get(norm.name() + ".running_mean"),
        arguments.get(norm.name() + ".running_var"),
        false,
        0.1,
        NetworkDescription.BATCH_NORM_EPSILON,
        false);
  }

  /** Frees the parameters. Further calls do nothing. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      arguments.values().forEach(TensorOptional::releaseReference);
      parameters.values().forEach(Tensors::free);
      Tensors.free(mean);
      Tensors.free(deviation);
    }
  }
}
