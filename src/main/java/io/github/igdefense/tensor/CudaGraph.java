package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DeviceGuardImplInterface;
import org.bytedeco.pytorch.Stream;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;

/**
 * A fixed-shape computation recorded as a CUDA graph: its launches start again by one call, on the
 * same addresses. What is read must be written into the same tensors before; what was made while
 * recording is overwritten by each {@link #replay}. The tensors made meanwhile live in a pool of
 * memory of the graph's own (libtorch's), so nothing else can come to lie on them.
 *
 * <p>Owns native memory until {@link #close}. For one thread at a time. Never yet run on a GPU by
 * its authors.
 */
public final class CudaGraph implements AutoCloseable {
  /** Runs before recording: libraries do their lazy setting up, which cannot be recorded. */
  private static final int WARM_UP = 3;

  private final Device device;
  private long address;

  private CudaGraph(Device device, long address) {
    this.device = device;
    this.address = address;
  }

  /**
   * Records {@code body}: runs it three times, then once more while recording, on a stream of its
   * own.
   *
   * @param body must launch the same on every run, not wait for the device, and keep ({@link
   *     Tensors#keep}) only what the recorded run made
   * @throws IllegalStateException if it cannot be recorded, saying why; the computation itself can
   *     still be run without a graph
   */
  public static CudaGraph capture(Device device, Runnable body) {
    CudaGraph[] made = new CudaGraph[1];
    CudaRuntime.on(
        device,
        () -> {
          DeviceGuardImplInterface guard = torch.getDeviceGuardImpl(DeviceType.CUDA);
          CudaRuntime.synchronize(device);
          Stream before = guard.exchangeStream(guard.getStreamFromGlobalPool(device.torch()));
          try {
            for (int i = 0; i < WARM_UP; i++) {
              try (PointerScope scope = new PointerScope()) {
                body.run();
              }
            }
            CudaRuntime.synchronize(device);
            made[0] = new CudaGraph(device, record(body));
          } finally {
            guard.exchangeStream(before);
          }
        });
    return made[0];
  }

  private static long record(Runnable body) {
    try (PointerScope scope = new PointerScope();
        LongPointer graph = new LongPointer(1)) {
      check(IgdKernels.igd_jni_torch_graph_begin(graph.address()));
      long address = graph.get();
      boolean done = false;
      try {
        try {
          body.run();
        } finally {
          // Recording has to end whatever happened.
          check(IgdKernels.igd_jni_torch_graph_end(address));
        }
        done = true;
        return address;
      } finally {
        if (!done) {
          IgdKernels.igd_jni_torch_graph_free(address);
        }
      }
    }
  }

  private static void check(int status) {
    if (status != 0) {
      try (BytePointer message = IgdKernels.igd_jni_cuda_message()) {
        throw new IllegalStateException(message.getString().lines().findFirst().orElse(""));
      }
    }
  }

  /** Starts the computation again, on libtorch's current stream; does not wait for it. */
  public void replay() {
    if (address == 0) {
      throw new IllegalStateException("the CUDA graph is closed");
    }
    CudaRuntime.on(device, () -> check(IgdKernels.igd_jni_torch_graph_replay(address)));
  }

  /** Frees the graph and its pool, after everything queued is done. Further calls do nothing. */
  @Override
  public void close() {
    if (address != 0) {
      CudaRuntime.synchronize(device);
      IgdKernels.igd_jni_torch_graph_free(address);
      address = 0;
    }
  }
}
