package io.github.igdefense.tensor;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Moving numbers between Java arrays and libtorch, and the ownership rule of this project.
 *
 * <p>Ownership: a method that returns a {@link Tensor} attaches it to the innermost {@link
 * PointerScope} of the calling thread; the caller opens that scope. A tensor that must outlive its
 * scope is kept with {@link #keep} and freed by its owner with {@link #free}. Values passed in are
 * never freed.
 *
 * <p>Threads: all methods may be called from any thread; a tensor is not to be written by two at
 * once.
 */
public final class Tensors {
  private static final Map<ScalarType, TensorOptions> OPTIONS = new EnumMap<>(ScalarType.class);
  private static volatile MemoryFormatOptional channelsLast;

  static {
    NativeRuntime.load();
  }

  private Tensors() {}

  /** CPU tensor options of a type; shared, never freed, not to be changed. */
  public static TensorOptions options(ScalarType type) {
    synchronized (OPTIONS) {
      return OPTIONS.computeIfAbsent(type, t -> permanent(() -> new TensorOptions(t)));
    }
  }

  /** Makes a native object that lives as long as the process, whatever scope is open. */
  static <P extends org.bytedeco.javacpp.Pointer> P permanent(Supplier<P> supplier) {
    P pointer = supplier.get();
    pointer.retainReference();
    return pointer;
  }

  /**
   * Copies an array into a new CPU float32 tensor.
   *
   * @param shape its product must be the array's length
   */
  public static Tensor of(float[] values, long... shape) {
    check(values.length, shape);
    Tensor tensor = torch.empty(shape, options(ScalarType.Float), new MemoryFormatOptional());
    try (PointerScope scope = new PointerScope()) {
      tensor.data_ptr_float().put(values, 0, values.length);
    }
    return tensor;
  }

  /**
   * Has the memory of a contiguous CPU float32 tensor written, row-major, without an array between.
   *
   * @param fill gets the memory as a buffer at position 0, valid only during the call
   */
  public static void fill(Tensor tensor, Consumer<FloatBuffer> fill) {
    try (PointerScope scope = new PointerScope()) {
      FloatPointer data = tensor.data_ptr_float();
      fill.accept(data.capacity(tensor.numel()).asBuffer());
    }
  }

  /** Copies an array into a new CPU float64 tensor. */
  public static Tensor of(double[] values, long... shape) {
    check(values.length, shape);
    Tensor tensor = torch.empty(shape, options(ScalarType.Double), new MemoryFormatOptional());
    try (PointerScope scope = new PointerScope()) {
      tensor.data_ptr_double().put(values, 0, values.length);
    }
    return tensor;
  }

  /** Copies an array into a new CPU int64 tensor. */
  public static Tensor of(long[] values, long... shape) {
    check(values.length, shape);
    Tensor tensor = torch.empty(shape, options(ScalarType.Long), new MemoryFormatOptional());
    try (PointerScope scope = new PointerScope()) {
      tensor.data_ptr_long().put(values, 0, values.length);
    }
    return tensor;
  }

  /** Copies flags into a new CPU bool tensor [n]. */
  public static Tensor of(boolean[] values) {
    long[] bits = new long[values.length];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = values[i] ? 1 : 0;
    }
    return scoped(() -> of(bits, bits.length).to(ScalarType.Bool));
  }

  private static void check(int length, long[] shape) {
    long numel = 1;
    for (long size : shape) {
      numel = Math.multiplyExact(numel, size);
    }
    if (numel != length) {
      throw new IllegalArgumentException(
          "expected " + numel + " values for shape " + Arrays.toString(shape) + ", got " + length);
    }
  }

  /** Copies any tensor, in row-major order, into a float array. */
  public static float[] toFloats(Tensor tensor) {
    try (PointerScope scope = new PointerScope()) {
      Tensor contiguous = tensor.detach().cpu().to(ScalarType.Float).contiguous();
      float[] values = new float[Math.toIntExact(contiguous.numel())];
      FloatPointer data = contiguous.data_ptr_float();
      data.get(values, 0, values.length);
      return values;
    }
  }

  /** Copies any tensor, in row-major order, into a double array. */
  public static double[] toDoubles(Tensor tensor) {
    try (PointerScope scope = new PointerScope()) {
      Tensor contiguous = tensor.detach().cpu().to(ScalarType.Double).contiguous();
      double[] values = new double[Math.toIntExact(contiguous.numel())];
      DoublePointer data = contiguous.data_ptr_double();
      data.get(values, 0, values.length);
      return values;
    }
  }

  /** Copies any integer tensor, in row-major order, into a long array. */
  public static long[] toLongs(Tensor tensor) {
    try (PointerScope scope = new PointerScope()) {
      Tensor contiguous = tensor.detach().cpu().to(ScalarType.Long).contiguous();
      long[] values = new long[Math.toIntExact(contiguous.numel())];
      LongPointer data = contiguous.data_ptr_long();
      data.get(values, 0, values.length);
      return values;
    }
  }

  /** Copies a bool (or integer) tensor into flags. */
  public static boolean[] toBooleans(Tensor tensor) {
    long[] values = toLongs(tensor);
    boolean[] flags = new boolean[values.length];
    for (int i = 0; i < flags.length; i++) {
      flags[i] = values[i] != 0;
    }
    return flags;
  }

  /** The shape as an array. */
  public static long[] shape(Tensor tensor) {
    long[] shape = new long[(int) tensor.dim()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = tensor.size(i);
    }
    return shape;
  }

  /**
   * The address of a tensor's first element: valid as long as the tensor, which stays its owner.
   */
  public static long address(Tensor tensor) {
    try (PointerScope scope = new PointerScope()) {
      return tensor.data_ptr().address();
    }
  }

  /** A scalar in the innermost scope. */
  public static Scalar scalar(double value) {
    return new Scalar(value);
  }

  /** The channels-last layout as an argument; shared, never freed. */
  public static MemoryFormatOptional channelsLast() {
    if (channelsLast == null) {
      synchronized (Tensors.class) {
        if (channelsLast == null) {
          channelsLast = permanent(() -> new MemoryFormatOptional(torch.MemoryFormat.ChannelsLast));
        }
      }
    }
    return channelsLast;
  }

  /**
   * Runs {@code body} in a scope of its own: everything native that it makes is freed but the
   * result, which moves to the caller's scope (or to the caller, who frees it, where none is open).
   */
  public static Tensor scoped(Supplier<Tensor> body) {
    Tensor result;
    try (PointerScope inner = new PointerScope()) {
      result = body.get();
      result.retainReference();
    }
    return adopt(result);
  }

  /** Keeps a tensor beyond its scope. The caller becomes an owner and calls {@link #free} once. */
  public static Tensor keep(Tensor tensor) {
    return tensor.retainReference();
  }

  /** Gives up a tensor kept by {@link #keep}. Null is allowed. */
  public static void free(Tensor tensor) {
    if (tensor != null && !tensor.isNull()) {
      tensor.releaseReference();
    }
  }

  /**
   * Moves a tensor kept by {@link #keep} into the caller's scope; without one, the caller frees it.
   */
  public static Tensor adopt(Tensor kept) {
    PointerScope outer = PointerScope.getInnerScope();
    if (outer != null) {
      outer.attach(kept);
      kept.releaseReference();
    }
    return kept;
  }

  /** Converts to an element type; the same tensor if it has it already. */
  public static Tensor to(Tensor tensor, Dtype dtype) {
    return tensor.to(dtype.scalarType());
  }

  /**
   * A vector of tensors in the innermost scope, for {@code cat}, {@code stack} and {@code grad}.
   */
  public static TensorVector vector(Tensor... tensors) {
    return new TensorVector(tensors);
  }

  /** Joins along the first dimension. */
  public static Tensor cat(Tensor... tensors) {
    return scoped(() -> torch.cat(vector(tensors), 0));
  }

  /** The rows {@code indices} of the first dimension, copied. */
  public static Tensor rows(Tensor tensor, int[] indices) {
    long[] rows = new long[indices.length];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = indices[i];
    }
    return scoped(() -> torch.index_select(tensor, 0, of(rows, rows.length)));
  }

  /** A sum of all elements, as a double. */
  public static double sum(Tensor tensor) {
    try (PointerScope scope = new PointerScope()) {
      return tensor.sum(new ScalarTypeOptional(ScalarType.Double)).item_double();
    }
  }
}
