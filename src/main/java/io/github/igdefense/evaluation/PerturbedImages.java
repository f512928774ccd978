package io.github.igdefense.evaluation;

import io.github.igdefense.data.ForwardingImages;
import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.ImageSet;
import java.nio.ByteBuffer;

/**
 * An image set of which some images were changed by an attack. The changed ones are held in memory,
 * the others are read from the source, which must stay open; closing this does not close it.
 * Thread-safe.
 */
final class PerturbedImages extends ForwardingImages {
  private final String name;
  private final Object[] points;
  private volatile String sha256;

  /**
   * A set over a source.
   *
   * @param points per image a {@code float[]} or {@code double[]} (CHW), or null where it is
   *     unchanged
   */
  PerturbedImages(ImageSet source, String name, Object[] points) {
    super(source);
    this.name = name;
    this.points = points;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public void read(int index, float[] target, int offset) {
    Object point = points[index];
    if (point instanceof float[] floats) {
      System.arraycopy(floats, 0, target, offset, floats.length);
    } else if (point instanceof double[] doubles) {
      for (int i = 0; i < doubles.length; i++) {
        target[offset + i] = (float) doubles[i];
      }
    } else {
      source.read(index, target, offset);
    }
  }

  @Override
  public void read(int index, double[] target, int offset) {
    Object point = points[index];
    if (point instanceof float[] floats) {
      for (int i = 0; i < floats.length; i++) {
        target[offset + i] = floats[i];
      }
    } else if (point instanceof double[] doubles) {
      System.arraycopy(doubles, 0, target, offset, doubles.length);
    } else {
      source.read(index, target, offset);
    }
  }

  @Override
  public boolean isDouble() {
    for (Object point : points) {
      if (point instanceof double[]) {
        return true;
      }
    }
    return source.isDouble();
  }

  @Override
  public String sha256() {
    String known = sha256;
    if (known == null) {
      Hashes.Builder hash = Hashes.builder().text(source.sha256());
      double[] values = new double[imageLength()];
      for (int i = 0; i < points.length; i++) {
        if (points[i] != null) {
          read(i, values, 0);
          ByteBuffer bytes = ByteBuffer.allocate(8 * values.length);
          bytes.asDoubleBuffer().put(values);
          hash.ints(i).bytes(bytes.array());
        }
      }
      known = hash.hex();
      sha256 = known;
    }
    return known;
  }

  /** Does nothing: the source is the caller's. */
  @Override
  public void close() {}
}
