package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Context;
import org.bytedeco.pytorch.DeviceGuardImplInterface;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;

/**
 * CUDA devices: whether this process can compute on one, and if not, why; our CUDA kernels; the
 * stream that libtorch computes on.
 *
 * <p>Our kernels are in a library of their own (jar with classifier {@value #CLASSIFIER}), which is
 * opened when a device is first asked for. Nothing here touches CUDA before that: computing on the
 * processor needs none of it. Threads: safe from any.
 */
public final class CudaRuntime {
  /** Classifier of the jar with our CUDA kernels. */
  public static final String CLASSIFIER = "linux-x86_64-cuda";

  /** What is known of computing on a GPU; for every report of such a run. */
  public static final String STATUS =
      "igdefense's CUDA code was compiled and emulated, but never run on a GPU by its authors:"
          + " check with scripts/gpu_check.sh";

  private static final String KERNELS =
      "/io/github/igdefense/kernels/" + "linux-x86_64" + "/libigd_kernels_cuda.so";
  private static final String HELP = "; see docs/cuda.md, or compute with --device cpu";

  private static boolean opened;
  private static String unusable;

  private CudaRuntime() {}

  /** Whether libtorch's CUDA build is on the class path. */
  public static boolean gpuLibtorch() {
    return CudaRuntime.class.getResource(NativeRuntime.GPU_LIBTORCH) != null;
  }

  /** Whether our CUDA kernels are on the class path. */
  public static boolean gpuKernels() {
    return CudaRuntime.class.getResource(KERNELS) != null;
  }

  /**
   * Makes a device ready for computing: nothing to do for the processor; for a CUDA device opens
   * our kernels and sets libtorch to full float32 products (no TF32) and deterministic algorithms.
   *
   * @throws DeviceException naming the library or device that is missing, and what to do
   */
  public static void require(Device device) {
    if (!device.isCuda()) {
      return;
    }
    String reason = problem();
    if (reason == null && device.index() >= devices()) {
      reason = "this machine has " + devices() + " CUDA device(s), counted from cuda:0";
    }
    if (reason != null) {
      throw new DeviceException("cannot compute on " + device + ": " + reason + HELP);
    }
  }

  /** Number of CUDA devices that can be computed on; 0 where {@link #problem} says why. */
  public static int devices() {
    return problem() == null ? Byte.toUnsignedInt(torch.cuda_device_count()) : 0;
  }

  /** Why no CUDA device can be used: one sentence with the remedy; null where one can. */
  public static synchronized String problem() {
    if (!opened) {
      unusable = open();
      opened = true;
    }
    return unusable;
  }

  private static String open() {
    String missing = CudaLibraries.missing(CudaLibraries.find());
    if (!gpuLibtorch() || !gpuKernels()) {
      return notOnClassPath() + (missing == null ? "" : "; besides, on this machine: " + missing);
    }
    if (missing != null) {
      return missing;
    }
    NativeRuntime.load();
    String failure = openKernels();
    if (failure != null) {
      return failure;
    }
    if (!torch.cuda_is_available()) {
      IgdKernels.igd_jni_cuda_device_count();
      return "all CUDA libraries are there, but the driver reports no usable device ("
          + text(IgdKernels.igd_jni_cuda_last_error())
          + "); check nvidia-smi, the driver's version (580 or newer) and, in a container, that the"
          + " device is handed in";
    }
    try (PointerScope scope = new PointerScope()) {
      Context context = torch.globalContext();
      context.setAllowTF32CuBLAS(false);
      context.setAllowTF32CuDNN(false);
      context.setBenchmarkCuDNN(false);
      context.setDeterministicCuDNN(true);
    }
    return null;
  }

  private static String notOnClassPath() {
    String what =
        gpuLibtorch()
            ? "our CUDA kernels (io.github.igdefense:igdefense with classifier " + CLASSIFIER + ")"
            : "libtorch's CUDA build (org.bytedeco:pytorch with classifier linux-x86_64-gpu)";
    return what
        + " is not on the class path: this build computes on the CPU only; build with ./mvnw -Pcuda"
        + " -DskipTests package";
  }

  /** Opens our library and what libtorch's presets lack; null where both went well. */
  private static String openKernels() {
    try {
      String kernels = unpacked(CudaRuntime.class.getResource(KERNELS));
      if (IgdKernels.igd_jni_cuda_open(kernels) != 0
          || IgdKernels.igd_jni_torch_open(libtorch("c10_cuda"), libtorch("torch_cuda")) != 0) {
        return text(IgdKernels.igd_jni_cuda_message());
      }
      return null;
    } catch (IOException e) {
      return "our CUDA kernels cannot be unpacked: " + e.getMessage();
    }
  }

  /** The build of our CUDA kernels, or why they cannot be opened. Needs no driver. */
  public static synchronized String kernelBuild() {
    if (!gpuKernels()) {
      return "none: no jar with classifier " + CLASSIFIER + " on the class path";
    }
    NativeRuntime.load();
    try {
      return IgdKernels.igd_jni_cuda_open(unpacked(CudaRuntime.class.getResource(KERNELS))) == 0
          ? text(IgdKernels.igd_jni_cuda_build_info())
          : text(IgdKernels.igd_jni_cuda_message());
    } catch (IOException e) {
      return "cannot be unpacked: " + e.getMessage();
    }
  }

  private static String unpacked(URL resource) throws IOException {
    if (resource.getProtocol().equals("file")) {
      return Path.of(URI.create(resource.toString())).toString();
    }
    return Loader.cacheResource(resource).getPath();
  }

  private static String libtorch(String name) throws IOException {
    URL resource =
        CudaRuntime.class.getResource(
            NativeRuntime.GPU_LIBTORCH.replace("libtorch_cpu", "lib" + name));
    File file = Loader.cacheResource(resource);
    if (!Files.isRegularFile(file.toPath())) {
      throw new IOException("expected " + file + ", found none");
    }
    return file.getPath();
  }

  private static String text(BytePointer pointer) {
    try (pointer) {
      return pointer.getString().trim();
    }
  }

  /** The {@code cudaStream_t} that libtorch computes on in this thread, on a CUDA device. */
  static long currentStream(Device device) {
    try (PointerScope scope = new PointerScope();
        LongPointer stream = new LongPointer(1)) {
      if (IgdKernels.igd_jni_torch_current_stream(device.index(), stream.address()) != 0) {
        throw new IllegalStateException(text(IgdKernels.igd_jni_cuda_message()));
      }
      return stream.get();
    }
  }

  /**
   * Runs something with a CUDA device as the thread's current one, for libtorch and for our kernels
   * (each has a CUDA runtime of its own). Tensors made in it are freed at its end unless kept.
   */
  static void on(Device device, Runnable body) {
    require(device);
    try (PointerScope scope = new PointerScope()) {
      DeviceGuardImplInterface guard = torch.getDeviceGuardImpl(DeviceType.CUDA);
      org.bytedeco.pytorch.Device before = guard.exchangeDevice(device.torch());
      try {
        check(IgdKernels.igd_jni_cuda_device_select(device.index()));
        body.run();
      } finally {
        guard.setDevice(before);
      }
    }
  }

  /** Turns the status of a CUDA kernel into an exception. */
  static void check(int status) {
    if (status != 0) {
      throw new IllegalStateException(
          "CUDA kernel failed (status "
              + status
              + "): "
              + text(IgdKernels.igd_jni_cuda_last_error()));
    }
  }

  /** Waits until everything queued on a device is done, and reports faults of earlier launches. */
  public static void synchronize(Device device) {
    if (device.isCuda()) {
      torch.cuda_synchronize(device.index());
    }
  }

  /**
   * A device for reports: its name, and what has run on a GPU so far, as every result of one should
   * say.
   */
  public static String describe(Device device) {
    return device
        + " ("
        + text(IgdKernels.igd_jni_cuda_device_name(device.index()))
        + "; "
        + STATUS
        + ")";
  }

  /** Names of the devices, such as for reports; empty without one. */
  public static List<String> deviceNames() {
    return java.util.stream.IntStream.range(0, devices())
        .mapToObj(i -> text(IgdKernels.igd_jni_cuda_device_name(i)))
        .toList();
  }
}
