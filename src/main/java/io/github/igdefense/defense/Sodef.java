package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.Recording;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * SODEF (Kang et al. 2021, "Stable Neural ODE with Lyapunov-Stable Equilibrium Points for Defending
 * Against Adversarial Attacks"): the pooled features h of the penultimate layer of a network run
 * through an ODE whose equilibria are trained to be stable, and are classified where they arrive:
 *
 * <pre>
 *   z(0) = map(h),  dz/dt = f(z),  logits = C·z(T) + c,  T = 5
 * </pre>
 *
 * <p>Integrated by the classical Runge-Kutta method of order 4 with a fixed number of equal steps.
 * The published code uses an adaptive method (Dormand-Prince, tolerance 1e-3) whose steps depend on
 * the whole batch: there an image's logits change with the images beside it. Here they do not, and
 * an attack sees the exact gradient of what is computed, by backpropagation through all steps (the
 * published code integrates an adjoint equation backwards).
 *
 * <p>Needs a trained {@link SodefBlock}. Owns its tensors until {@link #close}; the network stays
 * the caller's. Threads: as the network. Cost beyond the network's: 4·steps evaluations of f.
 */
public final class Sodef implements DifferentiableClassifier, AutoCloseable {
  /** The published end of integration. */
  public static final double DEFAULT_TIME = 5;

  /** Steps of 1/8. */
  public static final int DEFAULT_STEPS = 40;

  private final StagedNetwork network;
  private final SodefBlock block;
  private final double time;
  private final int steps;
  private final List<Linear> map = new ArrayList<>();
  private final List<Linear> field = new ArrayList<>();
  private final Linear head;
  private boolean closed;

  /** A layer in the arithmetic of the network's head. */
  private record Linear(Tensor weight, Tensor bias) {
    static Linear of(SodefBlock.Layer layer, Dtype dtype, double sign) {
      try (PointerScope scope = new PointerScope()) {
        Tensor weight = Tensors.of(layer.weight(), layer.outputs(), layer.inputs());
        Tensor bias = layer.bias() == null ? null : Tensors.of(layer.bias(), layer.outputs());
        return new Linear(
            Tensors.keep(converted(weight, dtype, sign)),
            bias == null ? null : Tensors.keep(converted(bias, dtype, sign)));
      }
    }

    private static Tensor converted(Tensor tensor, Dtype dtype, double sign) {
      return Tensors.to(tensor.mul(Tensors.scalar(sign)), dtype).contiguous();
    }

    Tensor apply(Tensor x) {
      return torch.linear(
          x, weight, bias == null ? new TensorOptional() : new TensorOptional(bias));
    }

    void free() {
      Tensors.free(weight);
      Tensors.free(bias);
    }
  }

  /** The published settings: T = 5; {@link #DEFAULT_STEPS} steps. */
  public Sodef(StagedNetwork network, SodefBlock block) {
    this(network, block, DEFAULT_TIME, DEFAULT_STEPS);
  }

  /**
   * A network with a block behind its penultimate layer.
   *
   * @param time T &gt; 0
   * @param steps of the integration, at least 1
   * @throws InputException if the block is for other features or classes, or the network has no
   *     linear head of its own (TorchScript)
   */
  public Sodef(StagedNetwork network, SodefBlock block, double time, int steps) {
    this.network = Objects.requireNonNull(network, "network");
    this.block = Objects.requireNonNull(block, "block");
    this.time = time;
    this.steps = steps;
    if (steps < 1 || !(time > 0) || Double.isInfinite(time)) {
      throw new InputException(
          "expected at least 1 step over a positive time for SODEF, got "
              + steps
              + " over "
              + time);
    }
    if (network.dtype().bytes() < Dtype.FLOAT32.bytes()) {
      throw new InputException(
          "expected a float32 or float64 model under SODEF, got "
              + network.dtype()
              + "; use --dtype float32");
    }
    int units = units(network);
    if (block.features() != units) {
      throw new InputException(
          "expected a SODEF block for the "
              + units
              + " features of "
              + network.penultimate().name()
              + " of "
              + network.architecture()
              + ", got one for "
              + block.features()
              + "; it was trained behind another network");
    }
    if (block.classCount() != network.classCount()) {
      throw new InputException(
          "expected a SODEF block for "
              + network.classCount()
              + " classes, got one for "
              + block.classCount());
    }
    Dtype dtype = network.dtype();
    block.map().forEach(layer -> map.add(Linear.of(layer, dtype, 1)));
    block.field().forEach(layer -> field.add(Linear.of(layer, dtype, -1)));
    head = Linear.of(block.head(), dtype, 1);
  }

  private static int units(StagedNetwork network) {
    try {
      return Math.toIntExact(network.head().weight().size(1));
    } catch (IllegalStateException e) {
      throw new InputException(
          "SODEF needs the pooled features of a network: " + e.getMessage(), e);
    }
  }

  /** Where the trajectories that start at z arrive, [N,D], in the caller's scope. */
  Tensor integrated(Tensor start) {
    return Tensors.scoped(
        () -> {
          double h = time / steps;
          Tensor z = start;
          for (int i = 0; i < steps; i++) {
            Tensor from = z;
            z = Tensors.scoped(() -> step(from, h));
          }
          return z;
        });
  }

  private Tensor step(Tensor z, double h) {
    Tensor k1 = velocity(z);
    Tensor k2 = velocity(z.add(k1, Tensors.scalar(h / 2)));
    Tensor k3 = velocity(z.add(k2, Tensors.scalar(h / 2)));
    Tensor k4 = velocity(z.add(k3, Tensors.scalar(h)));
    return z.add(k1.add(k4), Tensors.scalar(h / 6)).add(k2.add(k3), Tensors.scalar(h / 3));
  }

  /** f(z): sin(−(W·z + b)), layer after layer; the sign is in the tensors. */
  private Tensor velocity(Tensor z) {
    Tensor current = z;
    for (Linear layer : field) {
      current = layer.apply(current).sin();
    }
    return current;
  }

  /** Logits [N,K] from an activation of the penultimate layer; differentiable in grad mode. */
  Tensor behind(Tensor activation) {
    return Tensors.scoped(
        () -> {
          Tensor z = network.pool(activation);
          for (Linear layer : map) {
            z = block.tanh() ? layer.apply(z).tanh() : layer.apply(z);
          }
          return head.apply(integrated(z));
        });
  }

  /** The block. */
  public SodefBlock block() {
    return block;
  }

  @Override
  public String name() {
    return String.format(
        Locale.ROOT,
        "sodef(%s, D=%d, T=%.5g, %d steps)",
        network.name(),
        block.dimensions(),
        time,
        steps);
  }

  @Override
  public int classCount() {
    return block.classCount();
  }

  @Override
  public Dtype dtype() {
    return network.dtype();
  }

  @Override
  public Tensor logits(Tensor x) {
    try (AutoGradMode off = new AutoGradMode(false)) {
      return Tensors.scoped(() -> behind(network.prefix(x, network.penultimate())));
    }
  }

  /** One forward and one backward pass of the network, and both through all steps of the ODE. */
  @Override
  public LossGradient lossGradient(Tensor x, LogitLoss loss) {
    Tensor[] out = new Tensor[3];
    try (PointerScope scope = new PointerScope();
        Recording recording = network.recordPrefix(x, network.penultimate())) {
      LossGradient there = Gradients.of(recording.activation(), this::behind, loss);
      out[0] = Tensors.keep(there.logits());
      out[1] = Tensors.keep(there.loss());
      out[2] = Tensors.keep(recording.inputGradient(there.gradient(), false));
    }
    return new LossGradient(Tensors.adopt(out[0]), Tensors.adopt(out[1]), Tensors.adopt(out[2]));
  }

  /** One forward pass, whose graph through network and ODE is kept. */
  @Override
  public ForwardPass record(Tensor x) {
    Recording recording = network.recordPrefix(x, network.penultimate());
    ForwardPass pass;
    try {
      pass = Gradients.record(recording.activation(), this::behind);
    } catch (RuntimeException e) {
      recording.close();
      throw e;
    }
    return new ForwardPass() {
      private boolean closed;

      @Override
      public Tensor logits() {
        return pass.logits();
      }

      @Override
      public Tensor gradient(Tensor weights) {
        return Tensors.scoped(() -> recording.inputGradient(pass.gradient(weights), true));
      }

      @Override
      public void close() {
        if (!closed) {
          closed = true;
          pass.close();
          recording.close();
        }
      }
    };
  }

  /** Frees the block's tensors; not to be used after it. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      map.forEach(Linear::free);
      field.forEach(Linear::free);
      head.free();
    }
  }
}
