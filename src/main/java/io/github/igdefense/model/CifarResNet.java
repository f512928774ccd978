package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Dtype;
import java.util.ArrayList;
import java.util.List;

/**
 * The CIFAR ResNet family of basic blocks, at any width: 3×3 stem without pooling, {@code
 * layer1..4} (strides 1, 2, 2, 2), 4×4 average pooling, {@code linear}. Two blocks per layer make
 * ResNet-18, 3-4-6-3 ResNet-34.
 *
 * <p>This class holds the topology and the checkpoint's names; {@link CompiledResNet} computes with
 * it for inference, {@code training} with its own parameters.
 *
 * @param inputChannels channels of an image
 * @param width channels of the stem
 * @param classCount number of classes K
 * @param stem first convolution
 * @param layers blocks of {@code layer1..4}
 */
public record CifarResNet(
    int inputChannels, int width, int classCount, ConvBn stem, List<List<Block>> layers) {

  /** Height and width of an image: the published models take 32×32. */
  public static final int IMAGE_SIZE = 32;

  /** Epsilon of every batch normalisation. */
  public static final double BATCH_NORM_EPSILON = 1e-5;

  /**
   * A convolution without bias and the batch normalisation after it.
   *
   * @param conv name of the convolution, such as {@code layer2.0.conv1}
   * @param bn name of the batch normalisation
   * @param in input channels
   * @param out output channels
   * @param kernel 1 or 3
   * @param stride 1 or 2
   */
  public record ConvBn(String conv, String bn, int in, int out, int kernel, int stride) {
    /** Zero padding that keeps the size at stride 1. */
    public int padding() {
      return kernel / 2;
    }
  }

  /**
   * A basic block: {@code relu(second(relu(first(x))) + shortcut(x))}.
   *
   * @param shortcut 1×1 convolution, or null for the identity
   */
  public record Block(ConvBn first, ConvBn second, ConvBn shortcut) {}

  /** The topology of a given size. */
  public static CifarResNet of(
      int inputChannels, int width, int classCount, int... blocksPerLayer) {
    List<List<Block>> layers = new ArrayList<>();
    int in = width;
    for (int l = 0; l < blocksPerLayer.length; l++) {
      int out = width << l;
      List<Block> blocks = new ArrayList<>();
      for (int b = 0; b < blocksPerLayer[l]; b++) {
        String name = "layer" + (l + 1) + "." + b + ".";
        int stride = b == 0 && l > 0 ? 2 : 1;
        ConvBn shortcut =
            stride != 1 || in != out
                ? new ConvBn(name + "shortcut.0", name + "shortcut.1", in, out, 1, stride)
                : null;
        blocks.add(
            new Block(
                new ConvBn(name + "conv1", name + "bn1", in, out, 3, stride),
                new ConvBn(name + "conv2", name + "bn2", out, out, 3, 1),
                shortcut));
        in = out;
      }
      layers.add(List.copyOf(blocks));
    }
    return new CifarResNet(
        inputChannels,
        width,
        classCount,
        new ConvBn("conv1", "bn1", inputChannels, width, 3, 1),
        List.copyOf(layers));
  }

  /** ResNet-18 of a given width (64 in the published models). */
  public static CifarResNet resNet18(int inputChannels, int width, int classCount) {
    return of(inputChannels, width, classCount, 2, 2, 2, 2);
  }

  /** Whether the names in a state dict are those of this family. */
  public static boolean matches(StateDict state) {
    return state.contains("conv1.weight")
        && state.contains("layer1.0.conv1.weight")
        && state.contains("linear.weight")
        && !state.contains("layer1.0.conv3.weight");
  }

  /**
   * The topology that a state dict holds: width and classes from its tensors, and every tensor of
   * the family present in the right shape.
   *
   * @throws InputException naming the first tensor that differs or is missing
   */
  public static CifarResNet of(StateDict state, int... blocksPerLayer) {
    long[] stem = shapeOf(state, "conv1.weight", 4);
    long[] linear = shapeOf(state, "linear.weight", 2);
    CifarResNet net = of((int) stem[1], (int) stem[0], (int) linear[0], blocksPerLayer);
    net.check(state);
    return net;
  }

  private static long[] shapeOf(StateDict state, String name, int dimensions) {
    if (!state.contains(name)) {
      throw new InputException(
          "expected a CIFAR ResNet checkpoint with tensor '"
              + name
              + "', but it has none; first tensors: "
              + String.join(", ", state.names().stream().limit(5).toList()));
    }
    long[] shape = state.get(name).shape();
    if (shape.length != dimensions) {
      throw new InputException(
          "expected tensor '" + name + "' with " + dimensions + " dimensions, got " + text(shape));
    }
    return shape;
  }

  private void check(StateDict state) {
    for (Parameter parameter : parameters()) {
      if (!state.contains(parameter.name())) {
        throw new InputException(
            "expected tensor '"
                + parameter.name()
                + "' of shape "
                + text(parameter.shape())
                + " (CIFAR ResNet, width "
                + width
                + "), but the checkpoint has none");
      }
      long[] shape = state.get(parameter.name()).shape();
      if (!java.util.Arrays.equals(shape, parameter.shape())) {
        throw new InputException(
            "expected tensor '"
                + parameter.name()
                + "' of shape "
                + text(parameter.shape())
                + " (CIFAR ResNet, width "
                + width
                + "), got "
                + text(shape));
      }
    }
    java.util.Set<String> known =
        parameters().stream().map(Parameter::name).collect(java.util.stream.Collectors.toSet());
    for (String name : state.names()) {
      if (name.startsWith("layer")
          && !name.endsWith(".num_batches_tracked")
          && !known.contains(name)) {
        throw new InputException(
            "expected no tensor '"
                + name
                + "' in a CIFAR ResNet of "
                + blockCounts()
                + ", but the checkpoint has"
                + " one; it may be of a deeper network");
      }
    }
  }

  private String blockCounts() {
    return layers.stream()
            .map(blocks -> String.valueOf(blocks.size()))
            .collect(java.util.stream.Collectors.joining("+"))
        + " blocks";
  }

  private static String text(long[] shape) {
    return java.util.Arrays.toString(shape);
  }

  /**
   * A tensor of the family.
   *
   * @param name as published
   * @param shape expected shape
   * @param trained false for running statistics
   */
  public record Parameter(String name, long[] shape, boolean trained) {}

  /** Every floating-point tensor of the family, in the published order. */
  public List<Parameter> parameters() {
    List<Parameter> all = new ArrayList<>();
    addConvBn(all, stem);
    for (List<Block> blocks : layers) {
      for (Block block : blocks) {
        addConvBn(all, block.first());
        addConvBn(all, block.second());
        if (block.shortcut() != null) {
          addConvBn(all, block.shortcut());
        }
      }
    }
    all.add(new Parameter("linear.weight", new long[] {classCount, features()}, true));
    all.add(new Parameter("linear.bias", new long[] {classCount}, true));
    return all;
  }

  private static void addConvBn(List<Parameter> all, ConvBn unit) {
    all.add(
        new Parameter(
            unit.conv() + ".weight",
            new long[] {unit.out(), unit.in(), unit.kernel(), unit.kernel()},
            true));
    long[] channels = {unit.out()};
    all.add(new Parameter(unit.bn() + ".weight", channels, true));
    all.add(new Parameter(unit.bn() + ".bias", channels, true));
    all.add(new Parameter(unit.bn() + ".running_mean", channels, false));
    all.add(new Parameter(unit.bn() + ".running_var", channels, false));
  }

  /** Channels before the linear classifier. */
  public int features() {
    return width << (layers.size() - 1);
  }

  /** Multiply-accumulates of one forward pass of one image. */
  public long macs() {
    long size = IMAGE_SIZE;
    long macs = macs(stem, size);
    for (List<Block> blocks : layers) {
      for (Block block : blocks) {
        size /= block.first().stride();
        macs += macs(block.first(), size) + macs(block.second(), size);
        if (block.shortcut() != null) {
          macs += macs(block.shortcut(), size);
        }
      }
    }
    return macs + (long) features() * classCount;
  }

  private static long macs(ConvBn unit, long outputSize) {
    return unit.in()
        * unit.out()
        * (long) (unit.kernel() * unit.kernel())
        * outputSize
        * outputSize;
  }

  /** Builds the inference form from a state dict that {@link #of(StateDict, int...)} accepted. */
  public StagedNetwork compile(StateDict state, Dtype dtype, String architecture, String sha256) {
    return new CompiledResNet(state, dtype).build(this, architecture, sha256);
  }
}
