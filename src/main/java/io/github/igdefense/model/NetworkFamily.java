package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.NetworkDescription.Block;
import io.github.igdefense.model.NetworkDescription.Classifier;
import io.github.igdefense.model.NetworkDescription.Conv;
import io.github.igdefense.model.NetworkDescription.Norm;
import io.github.igdefense.model.NetworkDescription.PostActivation;
import io.github.igdefense.model.NetworkDescription.PreActivation;
import io.github.igdefense.model.NetworkDescription.Stage;
import io.github.igdefense.model.NetworkDescription.Stem;
import io.github.igdefense.model.Opening.Nonlinearity;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;

/**
 * A published way to build and name residual networks. With {@link NetworkSizes} it gives a {@link
 * NetworkDescription}; from a state dict it reads the sizes. Adding a family that fits this scheme
 * is adding a constant to {@link NetworkFamilies}.
 *
 * @param name generic name of its networks of any size
 * @param names the tensors' names
 * @param stages number of stages
 * @param preActivation whether batch normalisation and activation come before the convolutions
 * @param imageNetStem 7×7 convolution with stride 2 and max-pooling, instead of 3×3
 * @param shortcut when and how the residual path has a convolution
 * @param samePadding 3×3 convolutions pad as TensorFlow's SAME does
 * @param activation of blocks and tail
 * @param imageSize which images it takes
 * @param normalization that it brings, by class count
 * @param ignored prefixes of tensors that are saved but never used
 */
record NetworkFamily(
    String name,
    Names names,
    int stages,
    boolean preActivation,
    boolean imageNetStem,
    Shortcut shortcut,
    boolean samePadding,
    Nonlinearity activation,
    ImageSize imageSize,
    IntFunction<Optional<InputNormalization>> normalization,
    List<String> ignored) {
  private static final int MAX_CHANNELS = 1 << 20;

  /**
   * The names of a family's tensors, without {@code .weight} and alike.
   *
   * @param stem first convolution
   * @param stemNorm its batch normalisation; null without
   * @param stage a stage, with its number for %d: what masks and rankings call it
   * @param firstStage number of the first stage
   * @param block a block, with the stage's and its own number for %d, ending in a dot
   * @param conv the n-th convolution of a block, n from 1
   * @param norm the n-th batch normalisation of a block
   * @param shortcut convolution of the residual path
   * @param shortcutNorm its batch normalisation; null without
   * @param tail batch normalisation before the pooling; null without
   * @param classifier linear classifier
   */
  record Names(
      String stem,
      String stemNorm,
      String stage,
      int firstStage,
      String block,
      IntFunction<String> conv,
      IntFunction<String> norm,
      String shortcut,
      String shortcutNorm,
      String tail,
      String classifier) {
    String block(int stage, int block) {
      return String.format(this.block, stage + firstStage, block);
    }

    String stage(int stage) {
      return String.format(this.stage, stage + firstStage);
    }
  }

  /**
   * The residual path.
   *
   * @param atStride whether a stride alone calls for a convolution; else only a change of channels
   * @param kernel 1 or 3
   * @param raw whether it takes the block's input before batch normalisation and activation
   */
  record Shortcut(boolean atStride, int kernel, boolean raw) {}

  /** The network of these sizes under a given name. */
  NetworkDescription describe(String architecture, NetworkSizes sizes) {
    Norm stemNorm = names.stemNorm() == null ? null : new Norm(names.stemNorm(), sizes.stem());
    Conv stemConv =
        imageNetStem
            ? new Conv(names.stem(), sizes.inputChannels(), sizes.stem(), 7, 2, 1, false)
            : new Conv(names.stem(), sizes.inputChannels(), sizes.stem(), 3, 1, 1, false);
    List<Stage> all = new ArrayList<>();
    int in = sizes.stem();
    for (int s = 0; s < stages; s++) {
      int out = (sizes.planes() << s) * (sizes.bottleneck() ? NetworkSizes.EXPANSION : 1);
      List<Block> blocks = new ArrayList<>();
      for (int b = 0; b < sizes.blocks().get(s); b++) {
        int stride = b == 0 && s > 0 ? 2 : 1;
        blocks.add(block(names.block(s, b), in, out, sizes.inner() << s, stride, sizes));
        in = out;
      }
      all.add(new Stage(names.stage(s), out, blocks));
    }
    return new NetworkDescription(
        architecture,
        sizes.inputChannels(),
        imageSize,
        normalization.apply(sizes.classCount()),
        new Stem(stemConv, stemNorm, imageNetStem),
        all,
        sizes.tail() ? new Norm(names.tail(), in) : null,
        activation,
        new Classifier(names.classifier(), in, sizes.classCount()),
        ignored);
  }

  private Block block(String prefix, int in, int out, int inner, int stride, NetworkSizes sizes) {
    List<Conv> path = new ArrayList<>();
    if (sizes.bottleneck()) {
      path.add(conv(prefix, 1, in, inner, 1, 1, 1));
      path.add(conv(prefix, 2, inner, inner, 3, stride, sizes.groups()));
      path.add(conv(prefix, 3, inner, out, 1, 1, 1));
    } else {
      path.add(conv(prefix, 1, in, inner, 3, stride, 1));
      path.add(conv(prefix, 2, inner, out, 3, 1, 1));
    }
    boolean convolved = in != out || (shortcut.atStride() && stride != 1);
    Conv residual =
        convolved
            ? new Conv(
                prefix + names.shortcut(),
                in,
                out,
                shortcut.kernel(),
                stride,
                1,
                samePadding && shortcut.kernel() > 1)
            : null;
    List<Norm> norms = new ArrayList<>();
    for (int i = 0; i < path.size(); i++) {
      Conv conv = path.get(i);
      norms.add(
          new Norm(prefix + names.norm().apply(i + 1), preActivation ? conv.in() : conv.out()));
    }
    return preActivation
        ? new PreActivation(path, norms, residual, shortcut.raw())
        : new PostActivation(
            path,
            norms,
            residual,
            residual == null ? null : new Norm(prefix + names.shortcutNorm(), out));
  }

  private Conv conv(
      String prefix, int number, int in, int out, int kernel, int stride, int groups) {
    return new Conv(
        prefix + names.conv().apply(number),
        in,
        out,
        kernel,
        stride,
        groups,
        samePadding && kernel > 1);
  }

  /** Whether a state dict has this family's first, block and last tensors, by name. */
  boolean recognises(StateDict state) {
    // A pre-activation network has the names of a post-activation one, but no norm after its stem.
    boolean otherStem =
        names.stemNorm() == null && !"bn1".equals(names.tail()) && state.contains("bn1.weight");
    return !otherStem
        && (names.stemNorm() == null || state.contains(names.stemNorm() + ".weight"))
        && state.contains(names.stem() + ".weight")
        && state.contains(names.block(0, 0) + names.conv().apply(1) + ".weight")
        && state.contains(names.classifier() + ".weight");
  }

  /**
   * The sizes that a state dict's tensors tell.
   *
   * @throws InputException naming the first tensor that is missing or of an impossible shape
   */
  NetworkSizes sizes(StateDict state) {
    long[] stem = shape(state, names.stem() + ".weight", 4);
    String first = names.block(0, 0);
    long[] conv1 = shape(state, first + names.conv().apply(1) + ".weight", 4);
    long[] conv2 = shape(state, first + names.conv().apply(2) + ".weight", 4);
    boolean bottleneck = state.contains(first + names.conv().apply(3) + ".weight");
    long planes =
        bottleneck
            ? shape(state, first + names.conv().apply(3) + ".weight", 4)[0] / NetworkSizes.EXPANSION
            : conv2[0];
    long inner = conv1[0];
    if (inner % conv2[1] != 0 || planes == 0 || (!bottleneck && inner != planes)) {
      throw new InputException(
          "expected convolutions of one block to fit each other, got shapes "
              + Arrays.toString(conv1)
              + " and "
              + Arrays.toString(conv2)
              + " in '"
              + first
              + "*'");
    }
    List<Integer> blocks = new ArrayList<>();
    for (int s = 0; s < stages; s++) {
      int count = 0;
      while (state.contains(names.block(s, count) + names.conv().apply(1) + ".weight")) {
        count++;
      }
      blocks.add(Math.max(1, count));
    }
    return new NetworkSizes(
        (int) stem[1],
        (int) stem[0],
        (int) planes,
        bottleneck,
        (int) inner,
        (int) (inner / conv2[1]),
        blocks,
        names.tail() != null && (!optionalTail() || state.contains(names.tail() + ".weight")),
        (int) shape(state, names.classifier() + ".weight", 2)[0]);
  }

  /** Whether published networks of the family exist with and without the tail. */
  boolean optionalTail() {
    return "bn".equals(names.tail());
  }

  private long[] shape(StateDict state, String tensor, int dimensions) {
    HostTensor found =
        state
            .find(tensor)
            .orElseThrow(
                () ->
                    new InputException(
                        "expected a "
                            + name
                            + " checkpoint with tensor '"
                            + tensor
                            + "', but it has none; first tensors: "
                            + String.join(", ", state.names().stream().limit(5).toList())));
    long[] shape = found.shape();
    boolean sensible =
        shape.length == dimensions
            && Arrays.stream(shape).allMatch(extent -> extent > 0 && extent <= MAX_CHANNELS);
    if (!sensible) {
      throw new InputException(
          "expected tensor '"
              + tensor
              + "' with "
              + dimensions
              + " dimensions between 1 and "
              + MAX_CHANNELS
              + ", got "
              + Arrays.toString(shape));
    }
    return shape;
  }
}
