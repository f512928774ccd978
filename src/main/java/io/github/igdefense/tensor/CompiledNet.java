package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A convolutional network in our own native engine: convolutions with fused bias, residual sum and
 * ReLU on the processor's tile unit (AMX-BF16), forward and input gradient (kernels.h: compiled
 * convolutional networks).
 *
 * <p>A network is a list of values; value 0 is the input [C,H,W]. Build it with a {@link Builder},
 * then run it between any two values. With {@link Precision#FLOAT32} each number is split into
 * three bfloat16 parts, which hold all its bits, and six products are added in float32; with {@link
 * Precision#FLOAT32_HIGH} two parts and three products. An image's results do not depend on the
 * other images, their number or the threads.
 *
 * <p>Owns native memory until {@link #close}: packed weights, and working memory that is kept for
 * the next calls (all activations of 16 images per batch group in flight when gradients are
 * recorded). Threads: any number may compute at the same time; none may after {@code close}, and no
 * recording may be open then.
 */
public final class CompiledNet implements AutoCloseable {
  static {
    NativeRuntime.load();
  }

  /** How numbers are multiplied. */
  public enum Precision {
    /** One product of numbers rounded to bfloat16. */
    BFLOAT16(1),
    /** Three products of numbers split in two: 16 bits of mantissa. */
    FLOAT32_HIGH(3),
    /** Six products of numbers split in three: float32. */
    FLOAT32(6);

    private final int products;

    Precision(int products) {
      this.products = products;
    }
  }

  private final long handle;
  private final int[][] shapes;
  private boolean closed;

  private CompiledNet(long handle, int[][] shapes) {
    this.handle = handle;
    this.shapes = shapes;
  }

  /** Whether this machine has the instructions that make it fast; elsewhere use libtorch. */
  public static boolean accelerated() {
    return IgdKernels.igd_jni_net_accelerated() != 0;
  }

  /**
   * Builds a network from its input on. Not thread-safe. Close it if {@link #build} is not reached.
   */
  public static final class Builder implements AutoCloseable {
    private final java.util.List<int[]> shapes = new java.util.ArrayList<>();
    private long handle;

    /**
     * A network of images [channels, height, width].
     *
     * @param scale [channels], by which the input is multiplied first; null for none
     * @param shift [channels], then added; null for none
     */
    public Builder(
        Precision precision, int channels, int height, int width, Tensor scale, Tensor shift) {
      try (PointerScope scope = new PointerScope();
          LongPointer made = new LongPointer(1)) {
        Operands.check(
            IgdKernels.igd_jni_net_create(
                precision.products,
                channels,
                height,
                width,
                scale == null ? 0 : Tensors.address(dense(scale)),
                shift == null ? 0 : Tensors.address(dense(shift)),
                made.address()));
        handle = made.get();
      }
      shapes.add(new int[] {channels, height, width});
    }

    /**
     * relu?(conv(input) + bias + residual).
     *
     * @param weight [O,I,k,k]
     * @param bias [O]
     * @param residual a value of the output's shape; -1 for none
     * @return the new value; -1 if the engine does not do such a convolution
     */
    public int conv(
        int input,
        Tensor weight,
        Tensor bias,
        int stride,
        int padding,
        int residual,
        boolean relu) {
      try (PointerScope scope = new PointerScope()) {
        int kernel = (int) weight.size(2);
        int value =
            value(
                IgdKernels.igd_jni_net_conv(
                    handle,
                    input,
                    weight.size(0),
                    kernel,
                    stride,
                    padding,
                    Tensors.address(dense(weight)),
                    Tensors.address(dense(bias)),
                    residual,
                    relu ? 1 : 0));
        return shape(value, input, (int) weight.size(0), kernel, stride, padding);
      }
    }

    /** relu?(input·scale + shift), per channel [C]. */
    public int affine(int input, Tensor scale, Tensor shift, boolean relu) {
      try (PointerScope scope = new PointerScope()) {
        int value =
            value(
                IgdKernels.igd_jni_net_affine(
                    handle,
                    input,
                    Tensors.address(dense(scale)),
                    Tensors.address(dense(shift)),
                    relu ? 1 : 0));
        return shape(value, input, shapes.get(input)[0], 1, 1, 0);
      }
    }

    /** Maximum over windows. */
    public int maxPool(int input, int kernel, int stride, int padding) {
      int value = value(IgdKernels.igd_jni_net_max_pool(handle, input, kernel, stride, padding));
      return shape(value, input, shapes.get(input)[0], kernel, stride, padding);
    }

    private static int value(int result) {
      if (result == -2) {
        return -1;
      }
      if (result < 0) {
        Operands.check(-result);
      }
      return result;
    }

    private int shape(int value, int input, int channels, int kernel, int stride, int padding) {
      if (value < 0) {
        return value;
      }
      int[] in = shapes.get(input);
      while (shapes.size() <= value) {
        shapes.add(
            new int[] {
              channels,
              (in[1] + 2 * padding - kernel) / stride + 1,
              (in[2] + 2 * padding - kernel) / stride + 1
            });
      }
      return value;
    }

    /** The network; it owns everything now. */
    public CompiledNet build() {
      Operands.check(IgdKernels.igd_jni_net_seal(handle));
      CompiledNet net = new CompiledNet(handle, shapes.toArray(int[][]::new));
      handle = 0;
      return net;
    }

    /** Frees what was built so far, unless {@link #build} gave it away. */
    @Override
    public void close() {
      IgdKernels.igd_jni_net_free(handle);
      handle = 0;
    }

    private static Tensor dense(Tensor tensor) {
      return tensor.to(ScalarType.Float).contiguous();
    }
  }

  /** Channels, height and width of a value. */
  public int[] shape(int value) {
    return shapes[value].clone();
  }

  /**
   * Value {@code to} from value {@code from}.
   *
   * @param x [N,C,H,W] of value {@code from}, any floating type and layout
   * @return [N,C',H',W'] float32, channels-last, in the caller's scope
   */
  public Tensor forward(int from, int to, Tensor x) {
    return Tensors.scoped(() -> run(from, to, x, 0));
  }

  private Tensor run(int from, int to, Tensor x, long tape) {
    checkOpen();
    Tensor floats = x.to(ScalarType.Float);
    Tensor y = empty(x.size(0), shapes[to]);
    Operands.check(
        IgdKernels.igd_jni_net_forward(
            handle,
            from,
            to,
            x.size(0),
            Tensors.address(floats),
            floats.stride(0),
            floats.stride(1),
            floats.stride(2),
            floats.stride(3),
            Tensors.address(y),
            tape));
    return y;
  }

  /**
   * Value {@code to} from two values at once: {@code also} is given instead of computed. For
   * continuing inside a residual block, from its hidden value and its residual.
   *
   * @param x [N,C,H,W] of value {@code from}
   * @param x2 [N,C2,H2,W2] of value {@code also}
   * @return as {@link #forward}
   */
  public Tensor forwardJoined(int from, Tensor x, int also, Tensor x2, int to) {
    checkOpen();
    return Tensors.scoped(
        () -> {
          Tensor a = x.to(ScalarType.Float);
          Tensor b = x2.to(ScalarType.Float);
          Tensor y = empty(x.size(0), shapes[to]);
          Operands.check(
              IgdKernels.igd_jni_net_forward_joined(
                  handle,
                  from,
                  also,
                  to,
                  x.size(0),
                  Tensors.address(a),
                  a.stride(0),
                  a.stride(1),
                  a.stride(2),
                  a.stride(3),
                  Tensors.address(b),
                  b.stride(0),
                  b.stride(1),
                  b.stride(2),
                  b.stride(3),
                  Tensors.address(y)));
          return y;
        });
  }

  /**
   * As {@link #forward}, the last {@code images} images in the arithmetic of {@code coarse}. Each
   * gets what its network would give it; a few images of one set of layers share every reading of
   * the weights.
   *
   * @param coarse the same layers in fewer products
   * @param images from 0 to N
   */
  public Tensor forwardWithCoarse(CompiledNet coarse, int from, int to, Tensor x, long images) {
    checkOpen();
    coarse.checkOpen();
    return Tensors.scoped(
        () -> {
          Tensor floats = x.to(ScalarType.Float);
          Tensor y = empty(x.size(0), shapes[to]);
          Operands.check(
              IgdKernels.igd_jni_net_forward_coarse(
                  handle,
                  coarse.handle,
                  from,
                  to,
                  x.size(0),
                  images,
                  Tensors.address(floats),
                  floats.stride(0),
                  floats.stride(1),
                  floats.stride(2),
                  floats.stride(3),
                  Tensors.address(y)));
          return y;
        });
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("the compiled network is closed");
    }
  }

  private static Tensor empty(long n, int[] shape) {
    return torch.empty(
        new long[] {n, shape[0], shape[1], shape[2]},
        Tensors.options(ScalarType.Float),
        Tensors.channelsLast());
  }

  /** The same, remembering what the input gradient needs. Close the recording. */
  public Recording record(int from, int to, Tensor x) {
    try (PointerScope scope = new PointerScope();
        LongPointer tape = new LongPointer(1)) {
      Tensor y = Tensors.keep(run(from, to, x, tape.address()));
      return new Recording(tape.get(), y, Tensors.shape(x));
    }
  }

  /** A forward pass and what its backward pass needs. Confined to one thread. */
  public static final class Recording implements AutoCloseable {
    private final Tensor output;
    private final long[] inputShape;
    private long tape;

    private Recording(long tape, Tensor output, long[] inputShape) {
      this.tape = tape;
      this.output = output;
      this.inputShape = inputShape;
    }

    /** The value computed [N,C',H',W'] float32, channels-last; belongs to this recording. */
    public Tensor output() {
      return output;
    }

    /**
     * The gradient with respect to the input, [N,C,H,W] float32, contiguous, in the caller's scope.
     *
     * @param gradOutput [N,C',H',W'], any floating type and layout
     */
    public Tensor backward(Tensor gradOutput) {
      if (tape == 0) {
        throw new IllegalStateException("the recording is closed");
      }
      return Tensors.scoped(
          () -> {
            Tensor g = gradOutput.to(ScalarType.Float).contiguous(torch.MemoryFormat.ChannelsLast);
            // A size of 1 lets a tensor count as channels-last with other strides; the values lie
            // the same way.
            Tensor gx =
                torch.empty(
                    inputShape, Tensors.options(ScalarType.Float), new MemoryFormatOptional());
            Operands.check(
                IgdKernels.igd_jni_net_backward(
                    tape,
                    Tensors.address(g),
                    Tensors.address(gx),
                    gx.stride(0),
                    gx.stride(1),
                    gx.stride(2),
                    gx.stride(3)));
            return gx;
          });
    }

    /** Frees the activations kept and the output. Further calls do nothing. */
    @Override
    public void close() {
      if (tape != 0) {
        IgdKernels.igd_jni_tape_free(tape);
        tape = 0;
        Tensors.free(output);
      }
    }
  }

  /** The native network, for what is built upon it. */
  long handle() {
    checkOpen();
    return handle;
  }

  /** Frees the network. Further calls do nothing. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      IgdKernels.igd_jni_net_free(handle);
    }
  }
}
