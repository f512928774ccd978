package io.github.igdefense.model;

import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.CompiledNet;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.DevicePipeline;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * A trained network as a list of named stages, so that it can be cut after any of them: {@code
 * suffix(prefix(x, layer), layer)} is {@code forward(x)} to the last bit, as both run the same
 * stages.
 *
 * <p>This is the inference form: batch normalisation (running statistics) is folded into the
 * convolutions, parameters carry no gradients, activations are channels-last. Use {@link Networks}
 * to build one.
 *
 * <p>Images may be on the processor or on the network's device: logits, losses and gradients come
 * where the images are, activations where the network is.
 *
 * <p>Owns its parameters' native memory until {@link #close}. Threads: any number may compute at
 * the same time; none may after {@code close}.
 */
public final class StagedNetwork implements DifferentiableClassifier, AutoCloseable {
  /**
   * What the name of a stage ends in when batch normalisation and activation before the pooling
   * still follow, and belong to the maskable layer of that name.
   */
  public static final String RAW = ".raw";

  /**
   * One step of the network: a tensor in, a new tensor out, in the innermost scope; its input
   * unchanged.
   */
  @FunctionalInterface
  public interface Step {
    /** Applies the stage. */
    Tensor apply(Tensor input);
  }

  /**
   * A named stage.
   *
   * @param name as in the checkpoint
   * @param units output channels
   * @param maskable whether its output can be masked
   * @param step the computation
   * @param opening the same computation opened at its first convolution, its rest ending at the
   *     stage's output; null where it does not begin with one
   */
  public record Stage(String name, int units, boolean maskable, Step step, Opening opening) {}

  private final NetworkFacts facts;
  private final String architecture;
  private final Dtype dtype;
  private final Device device;
  private final List<Stage> stages;
  private final List<MaskableLayer> layers;
  private final LinearHead head;
  private final NetworkEngine engine;
  private final Float32Precision asked;
  private final Runnable release;
  private volatile boolean closed;

  private StagedNetwork(
      NetworkFacts facts,
      List<Stage> stages,
      LinearHead head,
      NetworkEngine engine,
      Float32Precision asked,
      Runnable release) {
    this.facts = facts;
    this.architecture = facts.architecture();
    this.dtype = facts.dtype();
    this.device = facts.device();
    this.stages = List.copyOf(stages);
    this.head = head;
    this.engine = engine;
    this.asked = asked;
    this.release = release;
    List<MaskableLayer> maskable = new ArrayList<>();
    for (int i = 0; i < stages.size(); i++) {
      Stage stage = stages.get(i);
      if (stage.maskable()) {
        maskable.add(new MaskableLayer(stage.name(), stage.units(), i, i == stages.size() - 1));
      }
    }
    this.layers = List.copyOf(maskable);
  }

  /**
   * A network whose last stage is followed by pooling and a classifier.
   *
   * @param owned its parameters; the network frees them
   * @param engine for the stages, or null; the network frees it
   * @param asked precision of float32 products
   */
  static StagedNetwork of(
      NetworkFacts facts,
      List<Stage> stages,
      LinearHead head,
      List<? extends Pointer> owned,
      NetworkEngine engine,
      Float32Precision asked) {
    return new StagedNetwork(
        facts, stages, head, engine, asked, releaseOf(List.copyOf(owned), engine));
  }

  private static Runnable releaseOf(List<? extends Pointer> owned, NetworkEngine engine) {
    return () -> {
      if (engine != null) {
        engine.close();
      }
      owned.forEach(Pointer::releaseReference);
    };
  }

  /**
   * A network whose last stage gives the logits itself, so that no layer counts as penultimate.
   *
   * @param release frees what the stages use
   */
  static StagedNetwork withoutHead(NetworkFacts facts, List<Stage> stages, Runnable release) {
    return new StagedNetwork(facts, stages, null, null, Float32Precision.HIGHEST, release);
  }

  /**
   * The same float32 network with its products at another precision. Shares this network's
   * parameters, which must stay open longer; close it like this one. Costs the engine's packed
   * weights, when they are first needed: 6 bytes per parameter at {@code highest}, 4 at {@code
   * high}, 2 at {@code medium}. Through libtorch all precisions compute the same.
   *
   * @throws InputException for another type than float32
   */
  public StagedNetwork withFloat32Precision(Float32Precision precision) {
    checkOpen();
    if (dtype != Dtype.FLOAT32) {
      throw new InputException(
          "expected a float32 network for a precision of float32, got "
              + dtype
              + "; use the dtype float32");
    }
    NetworkEngine own = engine == null ? null : engine.at(precision);
    return new StagedNetwork(facts, stages, head, own, precision, releaseOf(List.of(), own));
  }

  /**
   * {@link #withFloat32Precision} where that precision takes effect; empty where libtorch computes
   * all precisions alike.
   */
  public Optional<StagedNetwork> atFloat32Precision(Float32Precision precision) {
    StagedNetwork other = withFloat32Precision(precision);
    if (other.float32Precision() == precision) {
      return Optional.of(other);
    }
    other.close();
    return Optional.empty();
  }

  @Override
  public String name() {
    return architecture;
  }

  /** The family and size, such as {@code rn18}. */
  public String architecture() {
    return architecture;
  }

  /** SHA-256 of the checkpoint file that the parameters came from, or "random". */
  public String sha256() {
    return facts.sha256();
  }

  @Override
  public int classCount() {
    return facts.classCount();
  }

  @Override
  public Dtype dtype() {
    return dtype;
  }

  /**
   * The precision in effect: {@code HIGH} and {@code MEDIUM} only where they were asked for and the
   * native engine multiplies float32 numbers; libtorch's operations and other types are {@code
   * HIGHEST}.
   */
  public Float32Precision float32Precision() {
    return engine != null && dtype == Dtype.FLOAT32 ? asked : Float32Precision.HIGHEST;
  }

  /**
   * Type and precision in effect in words, for keys and provenance: {@code float32}, {@code float32
   * (high)}, {@code float32 (medium)}, {@code float64}, {@code bfloat16}. Results of two
   * arithmetics are never the same.
   */
  public String arithmetic() {
    Float32Precision precision = float32Precision();
    return precision == Float32Precision.HIGHEST
        ? dtype.toString()
        : dtype + " (" + precision + ")";
  }

  /** Where the parameters are, and the activations. */
  public Device device() {
    return device;
  }

  /** Channels of an input image. */
  public int inputChannels() {
    return facts.inputChannels();
  }

  /** Height and width of the images that the network was published for. */
  public int imageSize() {
    return facts.imageSize().usual();
  }

  /** Which images the network takes. */
  public ImageSize imageSizes() {
    return facts.imageSize();
  }

  /** What the network does to its input first; images are [0,1] outside in any case. */
  public Optional<InputNormalization> normalization() {
    return facts.normalization();
  }

  /** Tensors of the checkpoint that the network has no use for, a sentence; empty without any. */
  public List<String> warnings() {
    return facts.warnings();
  }

  /**
   * How the checkpoint was taken: tensors that are known to be without use, what was assumed. A
   * sentence each; empty if nothing.
   */
  public List<String> notes() {
    return facts.notes();
  }

  /** The stages in order, the linear head not among them. */
  public List<Stage> stages() {
    return stages;
  }

  /** The layers that can be ranked and masked, from input to output. */
  public List<MaskableLayer> layers() {
    return layers;
  }

  /** The last maskable layer. */
  public MaskableLayer penultimate() {
    return layers.get(layers.size() - 1);
  }

  /**
   * Pooling and classifier after the last stage, which is then penultimate.
   *
   * @throws IllegalStateException where the last stage gives the logits itself (TorchScript)
   */
  public LinearHead head() {
    if (head == null) {
      throw new IllegalStateException(architecture + " has no linear head of its own");
    }
    return head;
  }

  /**
   * A layer by name.
   *
   * @throws InputException listing the layers there are
   */
  public MaskableLayer layer(String name) {
    for (MaskableLayer layer : layers) {
      if (layer.name().equals(name)) {
        return layer;
      }
    }
    throw new InputException(
        "expected a maskable layer of "
            + architecture
            + " ("
            + layers.stream()
                .map(l -> l.name() + " with " + l.units() + " units")
                .collect(Collectors.joining(", "))
            + "), got '"
            + name
            + "'");
  }

  /**
   * The activation [N,U,H,W] after {@code layer}. Differentiable with respect to {@code x} where
   * the calling thread's grad mode is on.
   */
  public Tensor prefix(Tensor x, MaskableLayer layer) {
    checkInput(x);
    return run(device.move(x), 0, layer.stage() + 1);
  }

  /**
   * {@link #prefix} without gradients, the last {@code images} images in the arithmetic of {@code
   * coarse}: a few of them share every reading of the weights. Empty where libtorch computes any of
   * it, and where the calling thread's grad mode is on.
   *
   * @param coarse this network at a lower precision ({@link #withFloat32Precision})
   * @param images from 0 to N
   */
  public Optional<Tensor> prefixWithCoarse(
      Tensor x, MaskableLayer layer, StagedNetwork coarse, long images) {
    checkInput(x);
    coarse.checkOpen();
    boolean possible =
        engine != null
            && coarse.engine != null
            && dtype == Dtype.FLOAT32
            && coarse.dtype == Dtype.FLOAT32
            && !GradMode.is_enabled();
    return Optional.ofNullable(
        possible ? engine.runWithCoarse(coarse.engine, x, images, layer.stage() + 1) : null);
  }

  /** Logits [N,K] from an activation after {@code layer}. Differentiable where grad mode is on. */
  public Tensor suffix(Tensor activation, MaskableLayer layer) {
    checkOpen();
    return Tensors.scoped(() -> applyHead(run(activation, layer.stage() + 1, stages.size())));
  }

  /**
   * The suffix after {@code layer} opened at its first convolution; empty at the penultimate layer
   * and where the next stage does not begin with one block entry that both its first convolution
   * and its shortcut read (pre-activation networks whose shortcut takes the raw input).
   */
  public Optional<Opening> opening(MaskableLayer layer) {
    checkOpen();
    int next = layer.stage() + 1;
    Opening stage = next < stages.size() ? stages.get(next).opening() : null;
    if (stage == null) {
      return Optional.empty();
    }
    return Optional.of(
        new Opening(
            stage.entry(),
            stage.first(),
            stage.middle(),
            stage.shortcut(),
            (hidden, residual) ->
                Tensors.scoped(() -> applyHead(finish(stage, next, hidden, residual)))));
  }

  private Tensor finish(Opening stage, int index, Tensor hidden, Tensor residual) {
    if (engine != null && !GradMode.is_enabled()) {
      Tensor result = engine.finish(index, hidden, residual);
      if (result != null) {
        return dtype == Dtype.FLOAT32 ? result : Tensors.to(result, dtype);
      }
    }
    return run(stage.rest().apply(hidden, residual), index + 1, stages.size());
  }

  /** Logits [N,K]; differentiable where grad mode is on. */
  public Tensor forward(Tensor x) {
    checkInput(x);
    return Tensors.scoped(
        () -> Device.of(x).move(applyHead(run(device.move(x), 0, stages.size()))));
  }

  /**
   * The activation after any named stage, maskable or not, such as {@code conv1} or {@code
   * block3.raw} (the sum of the last block, before the final batch normalisation).
   *
   * @throws InputException listing the stages there are
   */
  public Tensor stageOutput(Tensor x, String stage) {
    checkInput(x);
    for (int i = 0; i < stages.size(); i++) {
      if (stages.get(i).name().equals(stage)) {
        return run(device.move(x), 0, i + 1);
      }
    }
    throw new InputException(
        "expected a stage of "
            + architecture
            + " "
            + stages.stream().map(Stage::name).toList()
            + ", got '"
            + stage
            + "'");
  }

  /**
   * What computes the stages: {@code libtorch}, or our native engine with its arithmetic. A part of
   * the provenance of results.
   */
  public String engine() {
    if (engine != null) {
      return engine.description();
    }
    return asked == Float32Precision.HIGHEST
        ? "libtorch"
        : "libtorch, float32 at highest precision (" + asked + " needs the native engine)";
  }

  /**
   * The native engine's form for images of this size, compiled now if it was not before; empty
   * where libtorch computes. It belongs to this network.
   */
  public Optional<CompiledStages> compiled(int height, int width) {
    checkOpen();
    return Optional.ofNullable(engine == null ? null : engine.stages(height, width));
  }

  /**
   * The activation after {@code layer} and what the gradient of the images needs. Close it.
   *
   * @param x images [N,C,H,W]
   */
  public Recording recordPrefix(Tensor x, MaskableLayer layer) {
    checkInput(x);
    if (engine != null) {
      CompiledNet.Recording recording = engine.record(x, layer.stage() + 1);
      if (recording != null) {
        return Recording.of(recording, dtype.scalarType());
      }
    }
    return Recording.of(x, device, leaf -> run(leaf, 0, layer.stage() + 1));
  }

  private Tensor run(Tensor x, int from, int to) {
    if (engine != null && from < to && !GradMode.is_enabled()) {
      Tensor result = engine.run(x, from, to);
      if (result != null) {
        return dtype == Dtype.FLOAT32 ? result : Tensors.to(result, dtype);
      }
    }
    return Tensors.scoped(
        () -> {
          Tensor current = x;
          for (Stage stage : stages.subList(from, to)) {
            Tensor input = current;
            current = Tensors.scoped(() -> stage.step().apply(input));
          }
          return current;
        });
  }

  private Tensor applyHead(Tensor activation) {
    if (head == null) {
      return activation;
    }
    return torch.linear(pool(activation), head.weight(), new TensorOptional(head.bias()));
  }

  /** Global average pooling [N,U,H,W] → [N,U] in the head's type. */
  public Tensor pool(Tensor activation) {
    return Tensors.scoped(
        () -> activation.to(head().weight().scalar_type()).mean(new long[] {2, 3}));
  }

  @Override
  public Tensor logits(Tensor x) {
    try (AutoGradMode off = new AutoGradMode(false)) {
      return DevicePipeline.map(device, x, this::forward);
    }
  }

  @Override
  public LossGradient lossGradient(Tensor x, LogitLoss loss) {
    if (engine == null) {
      return Gradients.of(x, this::forward, loss);
    }
    try (NetworkPass pass = pass(x)) {
      return Gradients.through(pass.logits(), loss, weights -> pass.gradient(weights, false));
    }
  }

  @Override
  public ForwardPass record(Tensor x) {
    return engine == null ? Gradients.record(x, this::forward) : pass(x);
  }

  private NetworkPass pass(Tensor x) {
    return new NetworkPass(recordPrefix(x, penultimate()), head, this::applyHead);
  }

  /**
   * The images of a batch as this network takes them: [N,C,H,W] of its type, in the caller's scope.
   */
  public Tensor tensor(ImageBatch batch) {
    return Batches.tensor(batch, dtype);
  }

  private void checkInput(Tensor x) {
    checkOpen();
    ImageSize imageSize = facts.imageSize();
    if (x.dim() != 4
        || x.size(1) != facts.inputChannels()
        || !imageSize.accepts(x.size(2), x.size(3))) {
      throw new InputException(
          "expected images [N,"
              + facts.inputChannels()
              + ","
              + imageSize
              + "] for "
              + architecture
              + ", got "
              + Arrays.toString(Tensors.shape(x))
              + "; choose data of this size, or a checkpoint for these images");
    }
    if (x.scalar_type().intern() != dtype.scalarType()) {
      throw new InputException(
          "expected "
              + dtype
              + " images for "
              + architecture
              + ", got "
              + x.scalar_type().intern());
    }
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("the network " + architecture + " is closed");
    }
  }

  /** Frees the parameters. Further calls do nothing. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      release.run();
    }
  }
}
