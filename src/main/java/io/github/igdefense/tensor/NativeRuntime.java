package io.github.igdefense.tensor;

import io.github.igdefense.kernels.ProcessEnvironment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.presets.openblas_nolapack;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one place that loads libtorch and our native library, and sets how many threads they use.
 *
 * <p>Order matters, and each step is here for a reason:
 *
 * <ol>
 *   <li>JavaCPP's pointer collector is turned off: memory is freed by scopes alone (its collector
 *       takes a global lock and reads {@code /proc} on every allocation).
 *   <li>The environment gets {@code OPENBLAS_NUM_THREADS=1} and a short OpenMP spin, unless the
 *       user has set them: OpenBLAS's own pool fights libgomp (94 ms instead of 12 for one CIFAR
 *       ResNet-18 image).
 *   <li>The libraries of libtorch are opened by absolute path in dependency order. JavaCPP's own
 *       order opens {@code libtorch.so} before {@code libtorch_cpu.so} has been extracted; beside a
 *       system libtorch the dynamic linker then takes that one, and the process dies.
 * </ol>
 *
 * <p>Threads: {@link #load()} is safe from any thread and does its work once. First load from an
 * empty cache takes about 3 s, later ones about 1 s.
 */
public final class NativeRuntime {
  /**
   * Spins of a waiting OpenMP thread before it sleeps: short, so that a busy machine is not made
   * busier.
   */
  static final String DEFAULT_SPIN_COUNT = "1000";

  /** What our kernels accept. */
  private static final int MAX_THREADS = 1024;

  private static final Logger LOG = LoggerFactory.getLogger(NativeRuntime.class);
  private static final List<String> CUDA_LIBRARIES = List.of("c10_cuda", "torch_cuda");

  /** In the jar of libtorch's CUDA build, which can take the place of the CPU build. */
  static final String GPU_LIBTORCH = "/org/bytedeco/pytorch/linux-x86_64-gpu/libtorch_cpu.so";

  private static volatile boolean loaded;
  private static volatile NativeLoadException failure;

  static {
    System.setProperty("org.bytedeco.javacpp.nopointergc", "true");
    // Physical-memory polling is part of the collector we turn off.
    System.setProperty("org.bytedeco.javacpp.maxPhysicalBytes", "0");
    System.setProperty("org.bytedeco.javacpp.maxBytes", "0");
  }

  private NativeRuntime() {}

  /**
   * Loads everything native, once per process.
   *
   * @throws NativeLoadException with the missing library and the remedy; the same again on later
   *     calls
   */
  public static void load() {
    if (loaded) {
      return;
    }
    synchronized (NativeRuntime.class) {
      if (loaded) {
        return;
      }
      if (failure != null) {
        throw failure;
      }
      try {
        loadInOrder();
      } catch (UnsatisfiedLinkError | NoClassDefFoundError | ExceptionInInitializerError e) {
        failure = NativeLoadException.of(e);
        throw failure;
      }
      loaded = true;
    }
    setThreads(defaultThreads());
  }

  private static void loadInOrder() {
    // Without these checks the search would go on to libraries that the system has under the same
    // names.
    requireResource(
        "/org/bytedeco/openblas/" + Loader.getPlatform() + "/libopenblas.so.0",
        "openblas:0.3.31-1.5.13");
    if (NativeRuntime.class.getResource(GPU_LIBTORCH) == null) {
      requireResource(
          "/org/bytedeco/pytorch/" + Loader.getPlatform() + "/libtorch_cpu.so",
          "pytorch:2.10.0-1.5.13");
    }
    ProcessEnvironment.igd_setenv("OPENBLAS_NUM_THREADS", "1", 0);
    ProcessEnvironment.igd_setenv("GOMP_SPINCOUNT", DEFAULT_SPIN_COUNT, 0);
    Loader.load(org.bytedeco.openblas.global.openblas_nolapack.class);
    openblas_nolapack.blas_set_num_threads(1);

    if (CudaRuntime.gpuLibtorch()) {
      preloadCuda();
    }
    Class<?> torch = org.bytedeco.pytorch.global.torch.class;
    ClassProperties properties = Loader.loadProperties(torch, Loader.loadProperties(), true);
    List<String> order = new ArrayList<>(properties.get("platform.preload"));
    order.removeAll(CUDA_LIBRARIES);
    order.add("c10");
    order.add("torch_cpu");
    order.addAll(CUDA_LIBRARIES);
    for (String library : order) {
      try {
        open(torch, properties, library, library);
      } catch (UnsatisfiedLinkError e) {
        if (library.equals("torch_cpu")) {
          throw e;
        }
        LOG.debug("optional library {} not loaded: {}", library, e.getMessage());
      }
    }
    // libtorch.so is an empty stub. Registering torch_cpu under its name keeps JavaCPP from
    // searching the
    // system for another one.
    open(torch, properties, "torch_cpu", "torch");
    Loader.load(torch);
    Loader.load(io.github.igdefense.kernels.binding.IgdKernels.class);
  }

  /**
   * CUDA's libraries from folders that the dynamic linker does not search: once loaded by path,
   * they are found by name. One that cannot be loaded is left to {@link CudaLibraries} to report.
   */
  private static void preloadCuda() {
    for (Path library : CudaLibraries.toPreload()) {
      try {
        System.load(library.toString());
      } catch (UnsatisfiedLinkError e) {
        LOG.debug("CUDA library {} not loaded: {}", library, e.getMessage());
      }
    }
    List<CudaLibraries.Library> found = CudaLibraries.find();
    List<CudaLibraries.Library> always =
        found.stream().filter(library -> CudaLibraries.ALWAYS.contains(library.name())).toList();
    String missing = CudaLibraries.missing(always);
    if (missing != null) {
      throw new UnsatisfiedLinkError(
          "the CUDA build of libtorch (classifier linux-x86_64-gpu), which needs these even to"
              + " compute on the processor: "
              + missing
              + "; or use the CPU build (classifier linux-x86_64)");
    }
  }

  private static void requireResource(String resource, String artifact) {
    if (NativeRuntime.class.getResource(resource) == null) {
      throw new UnsatisfiedLinkError(
          "expected "
              + resource
              + " on the class path, found none: add org.bytedeco:"
              + artifact
              + " with classifier "
              + Loader.getPlatform());
    }
  }

  private static void open(
      Class<?> owner, ClassProperties properties, String library, String name) {
    Loader.loadLibrary(owner, Loader.findLibrary(owner, properties, library, false), name);
  }

  /**
   * Physical cores this process may use (at least one): cores in the affinity mask, hyper-threads
   * counted once.
   */
  public static int defaultThreads() {
    return CpuTopology.physicalCores();
  }

  /**
   * Sets the number of threads of libtorch's and our own kernels (intra-op). More than the cores is
   * allowed and warned about.
   *
   * @throws IllegalArgumentException if {@code threads} is below 1 or above 1024; nothing changes
   *     then
   */
  public static void setThreads(int threads) {
    if (threads < 1 || threads > MAX_THREADS) {
      throw new IllegalArgumentException(
          "expected 1 to " + MAX_THREADS + " threads, got " + threads);
    }
    int cores = Runtime.getRuntime().availableProcessors();
    if (threads > cores) {
      LOG.warn(
          "{} threads on {} cores: more threads than cores are slower, not faster", threads, cores);
    }
    load();
    org.bytedeco.pytorch.global.torch.set_num_threads(threads);
    io.github.igdefense.kernels.binding.IgdKernels.igd_jni_threads_set(threads);
  }

  /** The number of intra-op threads now in force. */
  public static int threads() {
    load();
    return org.bytedeco.pytorch.global.torch.get_num_threads();
  }

  /** Whether this libtorch can compute on a CUDA device here. */
  public static boolean cudaAvailable() {
    load();
    return org.bytedeco.pytorch.global.torch.cuda_is_available();
  }
}
