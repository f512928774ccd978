package io.github.igdefense.data;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * An array of a {@code .npy} or {@code .npz} file: element type, shape and row-major values.
 *
 * <p>Immutable and thread-safe; may be a view on a mapped file. The {@code as…} methods copy into
 * fresh arrays.
 */
public final class NpyArray {
  private final ElementType type;
  private final long[] shape;
  private final Bytes bytes;
  private final long size;

  /** Row-major little-endian bytes; the caller has checked that they fit the shape. */
  NpyArray(ElementType type, long[] shape, Bytes bytes) {
    this.type = type;
    this.shape = shape.clone();
    this.bytes = bytes;
    this.size = bytes.length() / type.bytes();
  }

  /** A float32 array of these row-major values (copied). */
  public static NpyArray of(float[] values, long... shape) {
    ByteBuffer bytes = allocate(values.length, 4, shape);
    bytes.asFloatBuffer().put(values);
    return new NpyArray(ElementType.FLOAT32, shape, Bytes.of(bytes));
  }

  /** A float64 array of these row-major values (copied). */
  public static NpyArray of(double[] values, long... shape) {
    ByteBuffer bytes = allocate(values.length, 8, shape);
    bytes.asDoubleBuffer().put(values);
    return new NpyArray(ElementType.FLOAT64, shape, Bytes.of(bytes));
  }

  /** An int64 array of these row-major values (copied). */
  public static NpyArray of(long[] values, long... shape) {
    ByteBuffer bytes = allocate(values.length, 8, shape);
    bytes.asLongBuffer().put(values);
    return new NpyArray(ElementType.INT64, shape, Bytes.of(bytes));
  }

  /** An int32 array of these row-major values (copied). */
  public static NpyArray of(int[] values, long... shape) {
    ByteBuffer bytes = allocate(values.length, 4, shape);
    bytes.asIntBuffer().put(values);
    return new NpyArray(ElementType.INT32, shape, Bytes.of(bytes));
  }

  /** A uint8 array of these row-major values (copied). */
  public static NpyArray of(byte[] values, long... shape) {
    ByteBuffer bytes = allocate(values.length, 1, shape);
    bytes.duplicate().put(values);
    return new NpyArray(ElementType.UINT8, shape, Bytes.of(bytes));
  }

  /** A boolean array of these row-major values (copied). */
  public static NpyArray of(boolean[] values, long... shape) {
    ByteBuffer bytes = allocate(values.length, 1, shape);
    for (int i = 0; i < values.length; i++) {
      bytes.put(i, (byte) (values[i] ? 1 : 0));
    }
    return new NpyArray(ElementType.BOOL, shape, Bytes.of(bytes));
  }

  private static ByteBuffer allocate(int count, int size, long[] shape) {
    long expected = 1;
    for (long extent : shape) {
      expected = Math.multiplyExact(expected, extent);
    }
    if (expected != count) {
      throw new IllegalArgumentException(
          count + " values do not fill shape " + Arrays.toString(shape));
    }
    return ByteBuffer.allocate(Math.multiplyExact(count, size)).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Element type; never {@link ElementType#BFLOAT16}. */
  public ElementType type() {
    return type;
  }

  /** Extents; empty for a scalar. A fresh array. */
  public long[] shape() {
    return shape.clone();
  }

  /** Number of dimensions. */
  public int rank() {
    return shape.length;
  }

  /** Number of elements. */
  public long size() {
    return size;
  }

  /** The elements row-major as little-endian bytes, not copied. */
  public Bytes bytes() {
    return bytes;
  }

  /** The element at a row-major position, in float64; exact but for int64 beyond 2^53. */
  public double getDouble(long index) {
    return switch (type) {
      case FLOAT32 -> bytes.getFloat(4 * index);
      case FLOAT64 -> bytes.getDouble(8 * index);
      case FLOAT16 -> ElementType.float16ToFloat(bytes.getShort(2 * index));
      case BFLOAT16 -> ElementType.bfloat16ToFloat(bytes.getShort(2 * index));
      default -> getLong(index);
    };
  }

  /**
   * The element at a row-major position of an integer or boolean array.
   *
   * @throws InputException if the elements are floating-point numbers
   */
  public long getLong(long index) {
    return switch (type) {
      case INT64 -> bytes.getLong(8 * index);
      case INT32 -> bytes.getInt(4 * index);
      case INT16 -> bytes.getShort(2 * index);
      case INT8 -> bytes.getByte(index);
      case UINT8 -> bytes.getByte(index) & 0xff;
      case BOOL -> bytes.getByte(index) != 0 ? 1 : 0;
      default -> throw new InputException("expected an array of integers, got " + this);
    };
  }

  /** All elements in float32, rounded where the stored type is wider. */
  public float[] asFloat() {
    float[] values = new float[count()];
    if (type == ElementType.FLOAT32) {
      readFloats(0, values, 0, values.length);
    } else {
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) getDouble(i);
      }
    }
    return values;
  }

  /** Copies float32 elements from position {@code from}; only for arrays of that type. */
  void readFloats(long from, float[] target, int offset, int count) {
    byte[] block = new byte[4 * Math.min(count, 1 << 16)];
    ByteBuffer view = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
    for (int done = 0; done < count; ) {
      int n = Math.min(count - done, 1 << 16);
      bytes.get(4 * (from + done), block, 0, 4 * n);
      view.asFloatBuffer().get(target, offset + done, n);
      done += n;
    }
  }

  /** All elements in float64. */
  public double[] asDouble() {
    double[] values = new double[count()];
    for (int i = 0; i < values.length; i++) {
      values[i] = getDouble(i);
    }
    return values;
  }

  /**
   * All elements of an integer or boolean array.
   *
   * @throws InputException if the elements are floating-point numbers
   */
  public long[] asLong() {
    long[] values = new long[count()];
    for (int i = 0; i < values.length; i++) {
      values[i] = getLong(i);
    }
    return values;
  }

  /**
   * All elements of a boolean array, or of an integer array as "not 0".
   *
   * @throws InputException if the elements are floating-point numbers
   */
  public boolean[] asBoolean() {
    boolean[] values = new boolean[count()];
    for (int i = 0; i < values.length; i++) {
      values[i] = getLong(i) != 0;
    }
    return values;
  }

  private int count() {
    if (size > Integer.MAX_VALUE - 8) {
      throw new InputException("expected an array that fits the Java heap, got " + this);
    }
    return (int) size;
  }

  @Override
  public String toString() {
    return type.label() + Arrays.toString(shape);
  }
}
