package io.github.igdefense.model;

import java.util.List;

/**
 * The sizes that make one network of a {@link NetworkFamily}.
 *
 * @param inputChannels channels of an image
 * @param stem channels after the first convolution
 * @param planes channels of the first stage's blocks, before a bottleneck's expansion; doubled at
 *     each further stage
 * @param bottleneck whether blocks are 1×1, 3×3, 1×1 with an expansion of 4, instead of 3×3, 3×3
 * @param inner channels of the first stage's 3×3 convolutions; {@code planes} but in wide and
 *     grouped bottlenecks
 * @param groups of the bottleneck's 3×3 convolutions (cardinality)
 * @param blocks number of blocks of each stage
 * @param tail whether a batch normalisation stands before the pooling (pre-activation networks)
 * @param classCount number of classes K
 */
public record NetworkSizes(
    int inputChannels,
    int stem,
    int planes,
    boolean bottleneck,
    int inner,
    int groups,
    List<Integer> blocks,
    boolean tail,
    int classCount) {

  /** Output channels of a bottleneck per plane. */
  public static final int EXPANSION = 4;

  /** Copies the list. */
  public NetworkSizes {
    blocks = List.copyOf(blocks);
  }

  /** The same with other numbers of blocks, such as a named architecture's. */
  NetworkSizes withBlocks(List<Integer> other, boolean bottleneckBlocks) {
    return new NetworkSizes(
        inputChannels,
        stem,
        planes,
        bottleneckBlocks,
        bottleneckBlocks == bottleneck ? inner : planes,
        bottleneckBlocks == bottleneck ? groups : 1,
        other,
        tail,
        classCount);
  }

  /** Convolutional depth of a wide ResNet: 6n + 4, as its papers count. */
  int wideDepth() {
    return 6 * blocks.get(0) + 4;
  }

  /** Widening factor of a wide ResNet. */
  int wideFactor() {
    return planes / stem;
  }
}
