package io.github.igdefense.tensor;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A seeded stream of random numbers: libtorch's CPU generator, the same stream as PyTorch's at the
 * same seed.
 *
 * <p>Draws are made in float32 and widened to the type asked for, so that a float64 run sees the
 * same points as a float32 run. Owns one native generator; close it. Not thread-safe: one per
 * thread of work.
 */
public final class Rng implements AutoCloseable {
  private final Generator generator;
  private final GeneratorOptional argument;
  private boolean closed;

  /** A stream that starts at {@code seed}. */
  public Rng(long seed) {
    NativeRuntime.load();
    try (PointerScope scope = new PointerScope()) {
      generator = torch.createCPUGenerator(seed);
      generator.retainReference();
      argument = new GeneratorOptional(generator);
      argument.retainReference();
    }
  }

  /** Starts the stream again at {@code seed}. */
  public void seed(long seed) {
    generator.set_current_seed(seed);
  }

  /** Uniform draws in [0,1) of the given shape, float32 widened to {@code dtype}. */
  public Tensor uniform(Dtype dtype, long... shape) {
    return Tensors.scoped(
        () -> {
          Tensor out =
              torch.empty(shape, Tensors.options(ScalarType.Float), new MemoryFormatOptional());
          return Tensors.to(out.uniform_(0.0, 1.0, argument), dtype);
        });
  }

  /** Standard normal draws of the given shape, float32 widened to {@code dtype}. */
  public Tensor normal(Dtype dtype, long... shape) {
    return Tensors.scoped(
        () -> {
          Tensor out =
              torch.empty(shape, Tensors.options(ScalarType.Float), new MemoryFormatOptional());
          return Tensors.to(out.normal_(0.0, 1.0, argument), dtype);
        });
  }

  /** A permutation of 0..n−1, as {@code randperm} draws it. */
  public int[] permutation(int n) {
    try (PointerScope scope = new PointerScope()) {
      long[] values =
          Tensors.toLongs(torch.randperm(n, argument, Tensors.options(ScalarType.Long)));
      int[] permutation = new int[n];
      for (int i = 0; i < n; i++) {
        permutation[i] = (int) values[i];
      }
      return permutation;
    }
  }

  /** Integers in [0, bound), as {@code randint} draws them. */
  public long[] integers(int bound, int count) {
    try (PointerScope scope = new PointerScope()) {
      return Tensors.toLongs(
          torch.randint(bound, new long[] {count}, argument, Tensors.options(ScalarType.Long)));
    }
  }

  /** The state of the stream, as bytes that {@link #restore} takes back. */
  public byte[] state() {
    try (PointerScope scope = new PointerScope()) {
      Tensor state = generator.get_state();
      byte[] bytes = new byte[(int) state.numel()];
      state.data_ptr_byte().get(bytes);
      return bytes;
    }
  }

  /** Goes back to a state given by {@link #state}. */
  public void restore(byte[] bytes) {
    try (PointerScope scope = new PointerScope()) {
      Tensor state =
          torch.empty(
              new long[] {bytes.length},
              Tensors.options(ScalarType.Byte),
              new MemoryFormatOptional());
      state.data_ptr_byte().put(bytes);
      generator.set_state(state);
    }
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      argument.releaseReference();
      generator.releaseReference();
    }
  }
}
