package io.github.igdefense.model;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.ElementType;
import io.github.igdefense.data.InputException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * A named tensor in host memory, as it lies in a file: possibly a strided view on a storage shared
 * with others.
 *
 * <p>Immutable and thread-safe. Holds no native memory; a large checkpoint's values stay in the
 * mapped file until read. The accessors copy into fresh row-major arrays.
 */
public final class HostTensor {
  /**
   * Values of one storage; filled after the tensors were described when the file is laid out that
   * way.
   */
  static final class Storage {
    final ElementType type;
    final long numel;
    Bytes bytes;

    Storage(ElementType type, long numel, Bytes bytes) {
      this.type = type;
      this.numel = numel;
      this.bytes = bytes;
    }
  }

  private final String name;
  private final Storage storage;
  private final long offset;
  private final long[] shape;
  private final long[] strides;

  /** Strides and offset in elements; the caller has checked the bounds. */
  HostTensor(String name, Storage storage, long offset, long[] shape, long[] strides) {
    this.name = name;
    this.storage = storage;
    this.offset = offset;
    this.shape = shape.clone();
    this.strides = strides.clone();
  }

  /** A float32 tensor of these row-major values (copied). */
  public static HostTensor of(String name, float[] values, long... shape) {
    ByteBuffer bytes = allocate(values.length, 4);
    bytes.asFloatBuffer().put(values);
    return dense(name, ElementType.FLOAT32, bytes, shape);
  }

  /** A float64 tensor of these row-major values (copied). */
  public static HostTensor of(String name, double[] values, long... shape) {
    ByteBuffer bytes = allocate(values.length, 8);
    bytes.asDoubleBuffer().put(values);
    return dense(name, ElementType.FLOAT64, bytes, shape);
  }

  /** An int64 tensor of these row-major values (copied). */
  public static HostTensor of(String name, long[] values, long... shape) {
    ByteBuffer bytes = allocate(values.length, 8);
    bytes.asLongBuffer().put(values);
    return dense(name, ElementType.INT64, bytes, shape);
  }

  /** A row-major tensor over the buffer's remaining little-endian bytes, which are not copied. */
  public static HostTensor dense(String name, ElementType type, ByteBuffer bytes, long... shape) {
    return dense(name, type, Bytes.of(bytes), shape);
  }

  /** A row-major tensor over little-endian bytes, which are not copied. */
  public static HostTensor dense(String name, ElementType type, Bytes bytes, long... shape) {
    long numel = numel(shape);
    if (Math.multiplyExact(numel, type.bytes()) != bytes.length()) {
      throw new IllegalArgumentException(
          String.format(
              "shape %s of %s does not fit %d bytes",
              Arrays.toString(shape), type.label(), bytes.length()));
    }
    return new HostTensor(name, new Storage(type, numel, bytes), 0, shape, rowMajor(shape));
  }

  private static ByteBuffer allocate(int count, int size) {
    return ByteBuffer.allocate(Math.multiplyExact(count, size)).order(ByteOrder.LITTLE_ENDIAN);
  }

  static long numel(long[] shape) {
    long numel = 1;
    for (long extent : shape) {
      numel = Math.multiplyExact(numel, extent);
    }
    return numel;
  }

  static long[] rowMajor(long[] shape) {
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = stride;
      stride *= Math.max(1, shape[i]);
    }
    return strides;
  }

  /** The key under which the file holds it, after the removal of prefixes. */
  public String name() {
    return name;
  }

  /** The same tensor under another name. */
  public HostTensor withName(String other) {
    return new HostTensor(other, storage, offset, shape, strides);
  }

  /** Element type as stored. */
  public ElementType type() {
    return storage.type;
  }

  /** Extents; empty for a scalar. A fresh array. */
  public long[] shape() {
    return shape.clone();
  }

  /** Strides in elements, never negative; 0 where a dimension is expanded. A fresh array. */
  public long[] strides() {
    return strides.clone();
  }

  /** Number of elements: the product of the shape, 1 for a scalar, 0 if an extent is 0. */
  public long numel() {
    return numel(shape);
  }

  /** True if the elements lie row-major without gaps. */
  public boolean isContiguous() {
    long expected = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      if (shape[i] == 0) {
        return true;
      }
      if (shape[i] != 1 && strides[i] != expected) {
        return false;
      }
      expected *= shape[i];
    }
    return true;
  }

  /**
   * The elements row-major as little-endian bytes of {@link #type()}: a slice of the storage if
   * contiguous, else a copy. Read-only, position 0.
   *
   * @throws InputException if the tensor exceeds 1 GiB
   */
  public ByteBuffer bytes() {
    int size = storage.type.bytes();
    if (isContiguous()) {
      return numel() == 0
          ? ByteBuffer.allocate(0)
          : storage.bytes.slice(offset * size, numel() * size).asBuffer();
    }
    ByteBuffer copy = allocate(count(1 << 30, size), size);
    byte[] element = new byte[size];
    forEach(
        (to, from) -> {
          storage.bytes.get(from * size, element, 0, size);
          copy.put(to * size, element);
        });
    return copy.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * The elements row-major, rounded to float32 where the stored type is wider; booleans become 0
   * and 1.
   */
  public float[] toFloats() {
    float[] values = new float[count(Integer.MAX_VALUE - 8, 1)];
    if (isContiguous() && values.length > 0) {
      copyTo(FloatBuffer.wrap(values));
    } else if (storage.type == ElementType.INT64) {
      forEach((to, from) -> values[to] = storage.bytes.getLong(8 * from));
    } else {
      forEach((to, from) -> values[to] = (float) element(from));
    }
    return values;
  }

  /** The elements row-major in float64: exact for all types but int64 beyond 2^53. */
  public double[] toDoubles() {
    double[] values = new double[count(Integer.MAX_VALUE - 8, 1)];
    int size = storage.type.bytes();
    if (!isContiguous() || values.length == 0) {
      forEach((to, from) -> values[to] = element(from));
      return values;
    }
    int[] next = {0};
    storage
        .bytes
        .slice(offset * size, (long) values.length * size)
        .forEachBlock(
            (block, count) -> {
              ByteBuffer bytes = ByteBuffer.wrap(block, 0, count).order(ByteOrder.LITTLE_ENDIAN);
              for (int at = 0; at < count; at += size) {
                values[next[0]++] = element(storage.type, bytes, at);
              }
            });
    return values;
  }

  /**
   * The elements of an integer or boolean tensor, row-major.
   *
   * @throws InputException if the stored type is a floating-point type
   */
  public long[] toLongs() {
    if (storage.type.isFloating()) {
      throw new InputException(
          "expected integers in tensor " + name + ", got " + storage.type.label());
    }
    long[] values = new long[count(Integer.MAX_VALUE - 8, 1)];
    Bytes bytes = storage.bytes;
    forEach(
        (to, from) ->
            values[to] =
                storage.type == ElementType.INT64 ? bytes.getLong(8 * from) : (long) element(from));
    return values;
  }

  /**
   * Writes the elements row-major, as {@link #toFloats}, from the buffer's position on. Reads
   * contiguous tensors block by block: nothing of their size is held besides the target.
   */
  public void copyTo(FloatBuffer target) {
    int size = storage.type.bytes();
    if (!isContiguous() || numel() == 0) {
      target.put(toFloats());
      return;
    }
    storage
        .bytes
        .slice(offset * size, numel() * size)
        .forEachBlock(
            (block, count) -> {
              ByteBuffer bytes = ByteBuffer.wrap(block, 0, count).order(ByteOrder.LITTLE_ENDIAN);
              if (storage.type == ElementType.FLOAT32) {
                target.put(bytes.asFloatBuffer());
                return;
              }
              boolean whole =
                  storage.type == ElementType.INT64; // rounded once, not by way of double
              for (int at = 0; at < count; at += size) {
                target.put(
                    whole ? (float) bytes.getLong(at) : (float) element(storage.type, bytes, at));
              }
            });
  }

  private static double element(ElementType type, ByteBuffer bytes, int at) {
    return switch (type) {
      case FLOAT32 -> bytes.getFloat(at);
      case FLOAT64 -> bytes.getDouble(at);
      case FLOAT16 -> ElementType.float16ToFloat(bytes.getShort(at));
      case BFLOAT16 -> ElementType.bfloat16ToFloat(bytes.getShort(at));
      case INT64 -> bytes.getLong(at);
      case INT32 -> bytes.getInt(at);
      case INT16 -> bytes.getShort(at);
      case INT8 -> bytes.get(at);
      case UINT8 -> bytes.get(at) & 0xff;
      case BOOL -> bytes.get(at) != 0 ? 1 : 0;
    };
  }

  private double element(long index) {
    Bytes bytes = storage.bytes;
    return switch (storage.type) {
      case FLOAT32 -> bytes.getFloat(4 * index);
      case FLOAT64 -> bytes.getDouble(8 * index);
      case FLOAT16 -> ElementType.float16ToFloat(bytes.getShort(2 * index));
      case BFLOAT16 -> ElementType.bfloat16ToFloat(bytes.getShort(2 * index));
      case INT64 -> bytes.getLong(8 * index);
      case INT32 -> bytes.getInt(4 * index);
      case INT16 -> bytes.getShort(2 * index);
      case INT8 -> bytes.getByte(index);
      case UINT8 -> bytes.getByte(index) & 0xff;
      case BOOL -> bytes.getByte(index) != 0 ? 1 : 0;
    };
  }

  private int count(int most, int size) {
    long numel = numel();
    if (numel > most / size) {
      throw InputException.of(
          "expected tensor %s to fit one array (%d elements), got shape %s",
          name, most / size, Arrays.toString(shape));
    }
    return (int) numel;
  }

  private interface Visitor {
    void visit(int to, long from);
  }

  /** Calls the visitor for each element in row-major order with its index in the storage. */
  private void forEach(Visitor visitor) {
    int numel = (int) numel();
    int rank = shape.length;
    long[] index = new long[rank];
    long from = offset;
    for (int to = 0; to < numel; to++) {
      visitor.visit(to, from);
      for (int d = rank - 1; d >= 0; d--) {
        from += strides[d];
        if (++index[d] < shape[d]) {
          break;
        }
        from -= strides[d] * shape[d];
        index[d] = 0;
      }
    }
  }

  @Override
  public String toString() {
    return name + " " + storage.type.label() + Arrays.toString(shape);
  }
}
