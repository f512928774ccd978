package io.github.igdefense.tensor;

import io.github.igdefense.kernels.ProcessEnvironment;
import io.github.igdefense.kernels.binding.IgdKernels;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What this machine and process look like to the engine: for {@code igd doctor}, and for the
 * provenance of results. Plain values only, ready to be written as JSON; nothing native is held.
 *
 * @param problems what is wrong and what to do about it, one sentence each; empty if nothing is
 */
public record Diagnostics(
    Version version,
    Processor processor,
    Kernels kernels,
    Threads threads,
    Map<String, String> environment,
    Libraries libraries,
    Libtorch libtorch,
    Cuda cuda,
    Cache cache,
    JavaRuntime java,
    BFloat16 bfloat16,
    List<String> problems) {

  /** Versions of the engine and of the stack under it, as the class path has them. */
  public record Version(String igdefense, String javacpp, String pytorch, String openblas) {}

  /**
   * @param features of the instruction sets that matter here, whether this processor has each
   */
  public record Processor(
      String model, int logicalCpus, int physicalCores, Map<String, Boolean> features) {}

  /**
   * Our native library.
   *
   * @param detected best instruction set of this machine
   * @param active the one in use ({@code IGD_ISA} can lower it)
   */
  public record Kernels(String build, String detected, String active) {}

  /** Threads in force: of libtorch inside and between operators, and of our kernels. */
  public record Threads(int libtorch, int libtorchInterOp, int kernels, int defaultThreads) {}

  /**
   * Libraries mapped into this process.
   *
   * @param duplicated kinds of which more than one file is mapped: two of them fight for the cores,
   *     or crash
   */
  public record Libraries(
      List<String> libtorch,
      List<String> openMp,
      List<String> blas,
      List<String> kernels,
      List<String> duplicated) {}

  /**
   * @param cpuCapability the instruction set that libtorch's own loops use
   * @param oneDnn whether convolutions can go to oneDNN
   */
  public record Libtorch(
      String cpuCapability, boolean oneDnn, boolean openMp, boolean mkl, String config) {}

  /**
   * Computing on CUDA devices.
   *
   * @param devices one line for each
   * @param reason why no device can be used, and what to do; null where one can
   * @param gpuLibtorch whether libtorch's CUDA build is on the class path
   * @param kernels the build of our CUDA kernels, or why there are none
   * @param libraries each library that CUDA computation needs, found or not
   */
  public record Cuda(
      boolean available,
      List<String> devices,
      String reason,
      boolean gpuLibtorch,
      String kernels,
      List<CudaLibraries.Library> libraries) {}

  /** JavaCPP's cache, where the native libraries are unpacked. */
  public record Cache(String folder, boolean writeable, long freeBytes) {}

  /** The JVM. */
  public record JavaRuntime(String version, String vendor, String home, long maxHeapBytes) {}

  /**
   * A 3×3 convolution of 64 channels in bfloat16 against float32.
   *
   * @param relativeError ‖y₁₆ − y₃₂‖ / ‖y₃₂‖; about 0.003 is right
   * @param speedup time in float32 over time in bfloat16; below one, bfloat16 does not pay here
   * @param correct whether the error is below 0.02
   */
  public record BFloat16(double relativeError, double speedup, boolean correct) {}

  private static final List<String> FEATURES =
      List.of("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16");
  private static final List<String> VARIABLES =
      List.of(
          "OPENBLAS_NUM_THREADS",
          "OPENBLAS_CORETYPE",
          "OMP_NUM_THREADS",
          "OMP_WAIT_POLICY",
          "GOMP_SPINCOUNT",
          "GOMP_CPU_AFFINITY",
          "MKL_NUM_THREADS",
          "IGD_ISA",
          "LD_LIBRARY_PATH",
          "LD_PRELOAD");

  /** libtorch and its libraries, unpacked. */
  private static final long CACHE_BYTES = 450L << 20;

  private static final double BFLOAT16_TOLERANCE = 0.02;

  /**
   * Looks at everything. Loads the native libraries and takes about a second, most of it for {@link
   * #bfloat16Probe()}.
   *
   * @throws NativeLoadException when they cannot be loaded
   */
  public static Diagnostics collect() {
    NativeRuntime.load();
    Processor processor = readProcessor();
    Threads threads =
        new Threads(
            torch.get_num_threads(),
            (int) torch.get_num_interop_threads(),
            IgdKernels.igd_jni_threads_get(),
            NativeRuntime.defaultThreads());
    Map<String, String> environment = new LinkedHashMap<>();
    for (String name : VARIABLES) {
      environment.put(name, ProcessEnvironment.igd_getenv(name));
    }
    Libtorch libtorch = readLibtorch();
    // oneDNN and OpenMP do their lazy loading here, before the libraries are listed.
    BFloat16 bfloat16 = bfloat16Probe();
    Libraries libraries = sortLibraries(mappedLibraries());
    Cuda cuda = readCuda();
    Cache cache = readCache();
    return new Diagnostics(
        new Version(
            io.github.igdefense.tensor.Version.get(),
            artifactVersion("javacpp"),
            artifactVersion("pytorch"),
            artifactVersion("openblas")),
        processor,
        readKernels(),
        threads,
        environment,
        libraries,
        libtorch,
        cuda,
        cache,
        new JavaRuntime(
            System.getProperty("java.version"),
            System.getProperty("java.vendor"),
            System.getProperty("java.home"),
            Runtime.getRuntime().maxMemory()),
        bfloat16,
        problems(processor, threads, environment, libraries, libtorch, cuda, cache, bfloat16));
  }

  /**
   * Compares a convolution in bfloat16 with the same in float32: is it right on this processor, and
   * is it faster? Takes about a quarter of a second. Some processors and library versions compute
   * bfloat16 slowly.
   */
  public static BFloat16 bfloat16Probe() {
    try (PointerScope scope = new PointerScope()) {
      Tensor x;
      Tensor w;
      try (Rng rng = new Rng(0)) {
        x = rng.normal(Dtype.FLOAT32, 32, 64, 32, 32).contiguous(torch.MemoryFormat.ChannelsLast);
        w = rng.normal(Dtype.FLOAT32, 64, 64, 3, 3).contiguous(torch.MemoryFormat.ChannelsLast);
      }
      Tensor x16 = x.to(ScalarType.BFloat16);
      Tensor w16 = w.to(ScalarType.BFloat16);
      // The same rounded inputs for both, so that the error is the arithmetic's.
      Tensor x32 = x16.to(ScalarType.Float);
      Tensor w32 = w16.to(ScalarType.Float);
      double error;
      try (PointerScope inner = new PointerScope()) {
        Tensor expected = torch.conv2d(x32, w32);
        Tensor actual = torch.conv2d(x16, w16).to(ScalarType.Float);
        error = torch.norm(actual.sub(expected)).item_double() / torch.norm(expected).item_double();
      }
      double nanos32 = medianNanos(x32, w32);
      double nanos16 = medianNanos(x16, w16);
      return new BFloat16(error, nanos32 / nanos16, error < BFLOAT16_TOLERANCE);
    }
  }

  private static double medianNanos(Tensor x, Tensor w) {
    long[] nanos = new long[7];
    for (int i = 0; i < nanos.length; i++) {
      long start = System.nanoTime();
      try (PointerScope scope = new PointerScope()) {
        torch.conv2d(x, w);
      }
      nanos[i] = System.nanoTime() - start;
    }
    Arrays.sort(nanos);
    return nanos[nanos.length / 2];
  }

  private static Processor readProcessor() {
    Set<String> flags = new HashSet<>(Arrays.asList(CpuTopology.flags().split(" ")));
    Map<String, Boolean> features = new LinkedHashMap<>();
    for (String feature : FEATURES) {
      features.put(feature, flags.contains(feature));
    }
    return new Processor(
        CpuTopology.modelName(),
        Runtime.getRuntime().availableProcessors(),
        CpuTopology.physicalCores(),
        features);
  }

  private static Kernels readKernels() {
    return new Kernels(
        text(IgdKernels.igd_jni_build_info()),
        text(IgdKernels.igd_jni_isa_name(IgdKernels.igd_jni_isa_detected())),
        text(IgdKernels.igd_jni_isa_name(IgdKernels.igd_jni_isa_active())));
  }

  private static Libtorch readLibtorch() {
    return new Libtorch(
        text(torch.get_cpu_capability()),
        torch.hasMKLDNN(),
        torch.hasOpenMP(),
        torch.hasMKL(),
        text(torch.show_config()));
  }

  private static String text(BytePointer pointer) {
    try (pointer) {
      return pointer.getString().trim();
    }
  }

  /**
   * The paths of all shared libraries in this process, each once, in the order of their addresses.
   */
  static List<String> mappedLibraries() {
    Set<String> paths = new LinkedHashSet<>();
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
        int slash = line.indexOf('/');
        if (slash >= 0 && line.indexOf(".so", slash) >= 0) {
          paths.add(line.substring(slash));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read /proc/self/maps", e);
    }
    return List.copyOf(paths);
  }

  /** Sorts mapped paths by kind, and names the kinds that are there twice. */
  static Libraries sortLibraries(List<String> mapped) {
    List<String> libtorch = new ArrayList<>();
    List<String> openMp = new ArrayList<>();
    List<String> blas = new ArrayList<>();
    List<String> kernels = new ArrayList<>();
    Map<String, Set<String>> byKind = new TreeMap<>();
    for (String path : mapped) {
      String name = path.substring(path.lastIndexOf('/') + 1);
      if (name.startsWith("libtorch") || name.startsWith("libc10")) {
        libtorch.add(path);
        if (!name.startsWith("libtorch.so")) {
          byKind
              .computeIfAbsent(name.replaceAll("[-.].*", ""), k -> new LinkedHashSet<>())
              .add(path);
        }
      } else if (name.startsWith("libgomp")
          || name.startsWith("libomp")
          || name.startsWith("libiomp")) {
        openMp.add(path);
        byKind.computeIfAbsent("OpenMP runtime", k -> new LinkedHashSet<>()).add(path);
      } else if (name.matches("lib(open)?blas.*|libmkl_rt.*|libblis.*|libcblas.*")
          && !name.startsWith("libopenblas_nolapack")) {
        blas.add(path);
        byKind.computeIfAbsent("BLAS", k -> new LinkedHashSet<>()).add(path);
      } else if (name.startsWith("libigd_kernels")) {
        kernels.add(path);
        if (!name.contains("cuda")) {
          byKind.computeIfAbsent("igdefense kernels", k -> new LinkedHashSet<>()).add(path);
        }
      }
    }
    List<String> duplicated =
        byKind.entrySet().stream()
            .filter(entry -> entry.getValue().size() > 1)
            .map(Map.Entry::getKey)
            .toList();
    return new Libraries(libtorch, openMp, blas, kernels, duplicated);
  }

  private static Cuda readCuda() {
    List<CudaLibraries.Library> libraries = CudaLibraries.find();
    String problem = CudaRuntime.problem();
    return new Cuda(
        problem == null,
        CudaRuntime.deviceNames(),
        problem,
        CudaRuntime.gpuLibtorch(),
        CudaRuntime.kernelBuild(),
        libraries);
  }

  private static Cache readCache() {
    try {
      File folder = Loader.getCacheDir();
      return new Cache(
          folder.getPath(), Files.isWritable(folder.toPath()), folder.getUsableSpace());
    } catch (IOException e) {
      return new Cache(e.getMessage(), false, 0);
    }
  }

  private static String artifactVersion(String artifact) {
    Properties properties = new Properties();
    try (InputStream in =
        Diagnostics.class.getResourceAsStream(
            "/META-INF/maven/org.bytedeco/" + artifact + "/pom.properties")) {
      if (in == null) {
        return "unknown";
      }
      properties.load(in);
    } catch (IOException e) {
      return "unknown";
    }
    return properties.getProperty("version", "unknown");
  }

  private static List<String> problems(
      Processor processor,
      Threads threads,
      Map<String, String> environment,
      Libraries libraries,
      Libtorch libtorch,
      Cuda cuda,
      Cache cache,
      BFloat16 bfloat16) {
    List<String> problems = new ArrayList<>();
    for (String kind : libraries.duplicated()) {
      problems.add(
          "more than one "
              + kind
              + " is loaded: they compete for the cores or crash; unset LD_PRELOAD and"
              + " LD_LIBRARY_PATH, or remove the one that does not come from the JavaCPP cache");
    }
    String blas = environment.get("OPENBLAS_NUM_THREADS");
    if (!"1".equals(blas)) {
      problems.add(
          "OPENBLAS_NUM_THREADS is "
              + blas
              + ": OpenBLAS's own threads fight with OpenMP's (several times"
              + " slower for single images); unset it or set it to 1");
    }
    if (environment.get("OPENBLAS_CORETYPE") != null) {
      problems.add(
          "OPENBLAS_CORETYPE is "
              + environment.get("OPENBLAS_CORETYPE")
              + ": matrix products may use less than"
              + " this processor can; unset it for benchmarks");
    }
    if (threads.libtorch() > processor.physicalCores()) {
      problems.add(
          threads.libtorch()
              + " threads on "
              + processor.physicalCores()
              + " physical cores: fewer are faster");
    }
    if (!libtorch.oneDnn()) {
      problems.add(
          "this libtorch has no oneDNN: convolutions are slow; use the linux-x86_64 build");
    }
    if (!processor.features().get("avx2")) {
      problems.add(
          "this processor has no AVX2: expect a fraction of the speed that the README states");
    }
    if (!bfloat16.correct()) {
      problems.add(
          String.format(
              Locale.ROOT,
              "bfloat16 convolutions are wrong here (relative error %.3g): do not use --dtype"
                  + " bfloat16",
              bfloat16.relativeError()));
    }
    if (!cuda.available() && cuda.gpuLibtorch()) {
      problems.add("CUDA build of libtorch, but no device can be used: " + cuda.reason());
    }
    if (!cache.writeable()) {
      problems.add(
          "the JavaCPP cache "
              + cache.folder()
              + " is not writeable; use -Dorg.bytedeco.javacpp.cachedir=DIR");
    } else if (cache.freeBytes() < CACHE_BYTES) {
      problems.add(
          "the JavaCPP cache "
              + cache.folder()
              + " has "
              + (cache.freeBytes() >> 20)
              + " MiB free, and unpacking"
              + " takes "
              + (CACHE_BYTES >> 20));
    }
    return List.copyOf(problems);
  }
}
