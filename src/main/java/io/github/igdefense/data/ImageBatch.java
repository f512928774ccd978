package io.github.igdefense.data;

/**
 * Some images of a set, decoded. Exactly one of the two pixel arrays is present. The arrays belong
 * to the receiver: the producer keeps no reference to them.
 *
 * @param indices positions of the images in their set, [size]
 * @param channels channels of each image
 * @param height rows of each image
 * @param width columns of each image
 * @param floats pixels in [0,1], [size, channels, height, width] row-major, or null
 * @param doubles the same in float64, or null
 * @param labels labels, [size]
 */
public record ImageBatch(
    int[] indices,
    int channels,
    int height,
    int width,
    float[] floats,
    double[] doubles,
    long[] labels) {

  /** Number of images. */
  public int size() {
    return indices.length;
  }

  /** Whether the pixels are in {@link #doubles}. */
  public boolean isDouble() {
    return doubles != null;
  }

  /** {size, channels, height, width}. */
  public long[] shape() {
    return new long[] {indices.length, channels, height, width};
  }
}
