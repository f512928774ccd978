package io.github.igdefense.training;

import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.NetworkDescription;
import io.github.igdefense.model.NetworkDescription.Block;
import io.github.igdefense.model.NetworkDescription.Conv;
import io.github.igdefense.model.NetworkDescription.Norm;
import io.github.igdefense.model.NetworkDescription.Parameter;
import io.github.igdefense.model.NetworkDescription.PostActivation;
import io.github.igdefense.model.NetworkDescription.Stage;
import io.github.igdefense.model.StateDict;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * A CIFAR ResNet of post-activation blocks with parameters that learn, and unfolded batch
 * normalisation.
 *
 * <p>Owns its tensors until {@link #close}. For one thread.
 */
final class TrainingNetwork implements AutoCloseable {
  private static final double BATCH_NORM_MOMENTUM = 0.1;

  /** What batch normalisation does. */
  enum Mode {
    /** Batch statistics, running statistics updated. */
    TRAIN,
    /** Batch statistics, running statistics left alone: for the attack inside a training step. */
    ATTACK,
    /** Running statistics. */
    EVAL
  }

  private final NetworkDescription topology;
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final List<Parameter> trained = new ArrayList<>();
  private final torch.ScalarType compute;
  private boolean closed;

  /**
   * @param compute type of the convolutions' arithmetic; parameters and statistics stay float32
   */
  TrainingNetwork(NetworkDescription topology, StateDict state, Dtype compute) {
    this.topology = topology;
    this.compute = compute.scalarType();
    for (Parameter parameter : topology.parameters()) {
      HostTensor host = state.get(parameter.name());
      Tensor tensor =
          Tensors.scoped(
              () -> {
                Tensor values = Tensors.of(host.toFloats(), parameter.shape());
                return parameter.trained() ? values.requires_grad_(true) : values;
              });
      tensors.put(parameter.name(), tensor);
      if (parameter.trained()) {
        trained.add(parameter);
      }
    }
  }

  /** Logits [N,K]; differentiable where grad mode is on. */
  Tensor forward(Tensor x, Mode mode) {
    Tensor images = x.to(compute).contiguous(torch.MemoryFormat.ChannelsLast);
    Tensor current = convBn(images, topology.stem().conv(), topology.stem().norm(), mode).relu_();
    for (Stage stage : topology.stages()) {
      for (Block block : stage.blocks()) {
        current = forward(current, (PostActivation) block, mode);
      }
    }
    String classifier = topology.classifier().name();
    return torch.linear(
        current.to(torch.ScalarType.Float).mean(2, 3),
        tensors.get(classifier + ".weight"),
        new TensorOptional(tensors.get(classifier + ".bias")));
  }

  private Tensor forward(Tensor x, PostActivation block, Mode mode) {
    Tensor out = x;
    int last = block.path().size() - 1;
    for (int i = 0; i <= last; i++) {
      out = convBn(out, block.path().get(i), block.norms().get(i), mode);
      out = i < last ? out.relu_() : out;
    }
    Tensor residual =
        block.shortcut() == null ? x : convBn(x, block.shortcut(), block.shortcutNorm(), mode);
    return out.add_(residual).relu_();
  }

  private Tensor convBn(Tensor x, Conv conv, Norm norm, Mode mode) {
    long[] stride = {conv.stride(), conv.stride()};
    long[] padding = {conv.padding(), conv.padding()};
    Tensor y =
        torch.conv2d(
            x,
            tensors.get(conv.name() + ".weight").to(compute),
            new TensorOptional(),
            stride,
            padding,
            new long[] {1, 1},
            1);
    boolean running = mode != Mode.ATTACK;
    return torch.batch_norm(
        y,
        optional(norm.name() + ".weight"),
        optional(norm.name() + ".bias"),
        running ? optional(norm.name() + ".running_mean") : new TensorOptional(),
        running ? optional(norm.name() + ".running_var") : new TensorOptional(),
        mode != Mode.EVAL,
        BATCH_NORM_MOMENTUM,
        NetworkDescription.BATCH_NORM_EPSILON,
        false);
  }

  private TensorOptional optional(String name) {
    return new TensorOptional(tensors.get(name));
  }

  /** The parameters that learn, in the published order. */
  List<Parameter> trained() {
    return trained;
  }

  Tensor tensor(String name) {
    return tensors.get(name);
  }

  /** The parameters that learn, as a vector in the caller's scope. */
  TensorVector trainedTensors() {
    return Tensors.vector(trained.stream().map(p -> tensors.get(p.name())).toArray(Tensor[]::new));
  }

  /** A copy of all tensors. */
  StateDict stateDict() {
    List<HostTensor> copies = new ArrayList<>();
    for (Parameter parameter : topology.parameters()) {
      copies.add(
          HostTensor.of(
              parameter.name(),
              Tensors.toFloats(tensors.get(parameter.name())),
              parameter.shape()));
    }
    return new StateDict(copies);
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      tensors.values().forEach(Tensors::free);
    }
  }
}
