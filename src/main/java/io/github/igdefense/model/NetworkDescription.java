package io.github.igdefense.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What a network is: its layers with the names, shapes and order of the published checkpoints, and
 * nothing computed. Inference ({@link NetworkCompiler}), training, parameter and operation counts,
 * the check of a checkpoint and random weights all follow from it.
 *
 * @param architecture canonical name, such as {@code rn18} or {@code wrn-34-10}; {@code --arch}
 *     takes it back
 * @param inputChannels channels of an image
 * @param imageSize which images it takes
 * @param normalization of the input, where the family brings one; a checkpoint's own comes first
 * @param stem first layer
 * @param stages the stages after the stem, in order; each can be masked
 * @param tail batch normalisation (with the activation after it) between the last stage and the
 *     pooling, part of the last stage's output; null without one
 * @param activation the non-linearity of blocks and tail
 * @param classifier after global average pooling
 * @param ignored prefixes of tensors that published files carry but the forward pass never uses
 */
public record NetworkDescription(
    String architecture,
    int inputChannels,
    ImageSize imageSize,
    Optional<InputNormalization> normalization,
    Stem stem,
    List<Stage> stages,
    Norm tail,
    Opening.Nonlinearity activation,
    Classifier classifier,
    List<String> ignored) {

  /** Epsilon of every batch normalisation. */
  public static final double BATCH_NORM_EPSILON = 1e-5;

  /** Copies the lists. */
  public NetworkDescription {
    stages = List.copyOf(stages);
    ignored = List.copyOf(ignored);
  }

  /**
   * A convolution without bias.
   *
   * @param name such as {@code layer2.0.conv1}
   * @param in input channels
   * @param out output channels
   * @param kernel height and width
   * @param stride the same in both directions
   * @param groups of channels that do not mix
   * @param same true: zeros as TensorFlow's SAME puts them, before: (k−1)/2 at stride 1, none for
   *     the 3×3 kernel at stride 2 (one column and row after); false: k/2 on all sides
   */
  public record Conv(
      String name, int in, int out, int kernel, int stride, int groups, boolean same) {
    /** Zeros before the first row and column. */
    public int padding() {
      return same ? (kernel - stride) / 2 : kernel / 2;
    }

    /** Zeros after the last row and column. */
    public int paddingAfter() {
      return same ? kernel - stride - padding() : kernel / 2;
    }

    /** Height or width of the output. */
    public int outputSize(int size) {
      return (size + padding() + paddingAfter() - kernel) / stride + 1;
    }

    long macs(int outputSize) {
      return (long) in / groups * out * kernel * kernel * outputSize * outputSize;
    }

    Parameter weight() {
      return new Parameter(
          name + ".weight", Role.CONVOLUTION, new long[] {out, in / groups, kernel, kernel});
    }
  }

  /**
   * A batch normalisation.
   *
   * @param name such as {@code layer2.0.bn1}
   * @param channels number of channels
   */
  public record Norm(String name, int channels) {}

  /**
   * The first layer: convolution, normalisation and ReLU where {@code norm} is not null,
   * max-pooling 3×3 with stride 2 where {@code maxPool}.
   */
  public record Stem(Conv conv, Norm norm, boolean maxPool) {}

  /**
   * A stage of blocks.
   *
   * @param name of its output, such as {@code layer2}
   * @param units output channels
   * @param blocks at least one
   */
  public record Stage(String name, int units, List<Block> blocks) {
    /** Copies the list. */
    public Stage {
      blocks = List.copyOf(blocks);
    }
  }

  /** A residual block. {@code path} holds its convolutions in order. */
  public sealed interface Block permits PostActivation, PreActivation {
    /** The convolutions of the main path. */
    List<Conv> path();

    /** The batch normalisation that belongs to each convolution of the path. */
    List<Norm> norms();

    /** 1×1 (or 3×3) convolution of the residual path; null for the identity. */
    Conv shortcut();
  }

  /**
   * {@code act(bnₙ(convₙ(… act(bn₁(conv₁(x))))) + shortcut(x))}: two 3×3 convolutions make the
   * basic block, 1×1, 3×3, 1×1 the bottleneck.
   *
   * @param shortcutNorm batch normalisation after the shortcut; null with it
   */
  public record PostActivation(List<Conv> path, List<Norm> norms, Conv shortcut, Norm shortcutNorm)
      implements Block {
    /** Copies the lists. */
    public PostActivation {
      path = List.copyOf(path);
      norms = List.copyOf(norms);
    }
  }

  /**
   * With e = act(bn₁(x)): {@code convₙ(act(bnₙ(… conv₁(e)))) + shortcut(e)}; the identity shortcut
   * takes x.
   *
   * @param rawShortcut the shortcut's convolution takes x instead of e
   */
  public record PreActivation(List<Conv> path, List<Norm> norms, Conv shortcut, boolean rawShortcut)
      implements Block {
    /** Copies the lists. */
    public PreActivation {
      path = List.copyOf(path);
      norms = List.copyOf(norms);
    }
  }

  /**
   * The linear classifier after global average pooling.
   *
   * @param name such as {@code fc}
   * @param features input features
   * @param classCount number of classes K
   */
  public record Classifier(String name, int features, int classCount) {}

  /** What a tensor of the network is. */
  public enum Role {
    /** Weight [O, I/groups, k, k] of a convolution. */
    CONVOLUTION,
    /** Scale γ of a batch normalisation. */
    SCALE,
    /** Shift β of a batch normalisation. */
    SHIFT,
    /** Running mean of a batch normalisation. */
    MEAN,
    /** Running variance of a batch normalisation. */
    VARIANCE,
    /** Weight [K, U] of the classifier. */
    LINEAR,
    /** Bias [K] of the classifier. */
    BIAS
  }

  /**
   * A tensor of the network.
   *
   * @param name as published
   * @param role what it is
   * @param shape expected shape
   */
  public record Parameter(String name, Role role, long[] shape) {
    /** False for running statistics. */
    public boolean trained() {
      return role != Role.MEAN && role != Role.VARIANCE;
    }

    /** Number of elements. */
    public long numel() {
      return HostTensor.numel(shape);
    }
  }

  /** Every floating-point tensor of the network, in the order of the computation. */
  public List<Parameter> parameters() {
    List<Parameter> all = new ArrayList<>();
    all.add(stem.conv().weight());
    add(all, stem.norm());
    for (Stage stage : stages) {
      for (Block block : stage.blocks()) {
        addBlock(all, block);
      }
    }
    add(all, tail);
    long k = classifier.classCount();
    all.add(
        new Parameter(
            classifier.name() + ".weight", Role.LINEAR, new long[] {k, classifier.features()}));
    all.add(new Parameter(classifier.name() + ".bias", Role.BIAS, new long[] {k}));
    return all;
  }

  private static void addBlock(List<Parameter> all, Block block) {
    boolean before = block instanceof PreActivation;
    for (int i = 0; i < block.path().size(); i++) {
      if (before) {
        add(all, block.norms().get(i));
      }
      all.add(block.path().get(i).weight());
      if (!before) {
        add(all, block.norms().get(i));
      }
    }
    if (block.shortcut() != null) {
      all.add(block.shortcut().weight());
      add(all, block instanceof PostActivation post ? post.shortcutNorm() : null);
    }
  }

  private static void add(List<Parameter> all, Norm norm) {
    if (norm != null) {
      long[] channels = {norm.channels()};
      all.add(new Parameter(norm.name() + ".weight", Role.SCALE, channels));
      all.add(new Parameter(norm.name() + ".bias", Role.SHIFT, channels));
      all.add(new Parameter(norm.name() + ".running_mean", Role.MEAN, channels));
      all.add(new Parameter(norm.name() + ".running_var", Role.VARIANCE, channels));
    }
  }

  /** Elements of all tensors that training changes: what is published as the parameter count. */
  public long parameterCount() {
    return parameters().stream().filter(Parameter::trained).mapToLong(Parameter::numel).sum();
  }

  /** Multiply-accumulates of one forward pass of one image of the family's usual size. */
  public long macs() {
    return macs(imageSize.usual());
  }

  /** Multiply-accumulates of convolutions and classifier for one square image. */
  public long macs(int imageSize) {
    int size = stem.conv().outputSize(imageSize);
    long macs = stem.conv().macs(size);
    if (stem.maxPool()) {
      size = (size - 1) / 2 + 1;
    }
    for (Stage stage : stages) {
      for (Block block : stage.blocks()) {
        int input = size;
        for (Conv conv : block.path()) {
          size = conv.outputSize(size);
          macs += conv.macs(size);
        }
        if (block.shortcut() != null) {
          macs += block.shortcut().macs(block.shortcut().outputSize(input));
        }
      }
    }
    return macs + (long) classifier.features() * classifier.classCount();
  }
}
