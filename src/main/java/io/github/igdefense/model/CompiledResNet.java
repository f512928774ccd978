package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.CifarResNet.Block;
import io.github.igdefense.model.CifarResNet.ConvBn;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * Builds the inference form of a {@link CifarResNet}: batch normalisation folded, channels-last.
 */
final class CompiledResNet {
  private final StateDict state;
  private final Dtype dtype;
  private final List<Tensor> owned = new ArrayList<>();

  CompiledResNet(StateDict state, Dtype dtype) {
    this.state = state;
    this.dtype = dtype;
  }

  StagedNetwork build(CifarResNet net, String architecture, String sha256) {
    boolean done = false;
    try (PointerScope scope = new PointerScope()) {
      List<StagedNetwork.Stage> stages = new ArrayList<>();
      Convolution stem = fold(net.stem());
      stages.add(
          new StagedNetwork.Stage(
              "conv1", net.width(), false, x -> stem.apply(channelsLast(x)).relu_(), null));
      for (int l = 0; l < net.layers().size(); l++) {
        List<CompiledBlock> blocks = new ArrayList<>();
        for (Block block : net.layers().get(l)) {
          blocks.add(
              new CompiledBlock(
                  fold(block.first()),
                  fold(block.second()),
                  block.shortcut() == null ? null : fold(block.shortcut())));
        }
        stages.add(
            new StagedNetwork.Stage(
                "layer" + (l + 1), net.width() << l, true, x -> run(blocks, x), open(blocks)));
      }
      Dtype headType = dtype == Dtype.FLOAT64 ? Dtype.FLOAT64 : Dtype.FLOAT32;
      LinearHead head =
          new LinearHead(
              own(tensor("linear.weight", headType)), own(tensor("linear.bias", headType)));
      StagedNetwork network =
          new StagedNetwork(
              architecture,
              dtype,
              net.inputChannels(),
              CifarResNet.IMAGE_SIZE,
              stages,
              head,
              owned,
              sha256);
      done = true;
      return network;
    } finally {
      if (!done) {
        owned.forEach(Tensors::free);
      }
    }
  }

  private static Tensor channelsLast(Tensor x) {
    return x.contiguous(torch.MemoryFormat.ChannelsLast);
  }

  private static Tensor run(List<CompiledBlock> blocks, Tensor x) {
    Tensor current = x;
    for (CompiledBlock block : blocks) {
      Tensor input = current;
      current = Tensors.scoped(() -> block.apply(input));
    }
    return current;
  }

  private static Opening open(List<CompiledBlock> blocks) {
    CompiledBlock first = blocks.get(0);
    List<CompiledBlock> others = blocks.subList(1, blocks.size());
    return new Opening(
        null,
        first.first(),
        Opening.Nonlinearity.RELU,
        first.shortcut(),
        (hidden, residual) -> run(others, first.finish(hidden, residual)));
  }

  private record CompiledBlock(Convolution first, Convolution second, Convolution shortcut) {
    Tensor apply(Tensor x) {
      return finish(first.apply(x).relu_(), shortcut == null ? x : shortcut.apply(x));
    }

    Tensor finish(Tensor hidden, Tensor residual) {
      return second.apply(hidden).add_(residual).relu_();
    }
  }

  /** w' = w·γ/√(σ²+ε), b' = β − μ·γ/√(σ²+ε), computed in float64 and rounded once. */
  private Convolution fold(ConvBn unit) {
    double[] gamma = values(unit.bn() + ".weight");
    double[] beta = values(unit.bn() + ".bias");
    double[] mean = values(unit.bn() + ".running_mean");
    double[] variance = values(unit.bn() + ".running_var");
    double[] weight = values(unit.conv() + ".weight");
    int perOutput = weight.length / unit.out();
    double[] bias = new double[unit.out()];
    for (int o = 0; o < unit.out(); o++) {
      double scale = gamma[o] / Math.sqrt(variance[o] + CifarResNet.BATCH_NORM_EPSILON);
      if (!Double.isFinite(scale)) {
        throw new InputException(
            "expected a finite scale in '"
                + unit.bn()
                + "', got weight "
                + gamma[o]
                + " and running_var "
                + variance[o]
                + " at channel "
                + o);
      }
      bias[o] = beta[o] - mean[o] * scale;
      for (int i = 0; i < perOutput; i++) {
        weight[o * perOutput + i] *= scale;
      }
    }
    long kernel = unit.kernel();
    Tensor folded =
        Tensors.to(Tensors.of(weight, unit.out(), unit.in(), kernel, kernel), dtype)
            .contiguous(torch.MemoryFormat.ChannelsLast);
    Tensor foldedBias = own(Tensors.to(Tensors.of(bias, unit.out()), dtype));
    TensorOptional argument = new TensorOptional(foldedBias);
    argument.retainReference();
    return new Convolution(
        own(folded),
        foldedBias,
        argument,
        unit.stride(),
        unit.padding(),
        1,
        dtype != Dtype.FLOAT64);
  }

  private double[] values(String name) {
    return state.get(name).toDoubles();
  }

  private Tensor tensor(String name, Dtype type) {
    HostTensor host = state.get(name);
    return Tensors.to(Tensors.of(host.toDoubles(), host.shape()), type);
  }

  private Tensor own(Tensor tensor) {
    owned.add(Tensors.keep(tensor));
    return tensor;
  }
}
