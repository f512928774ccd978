package io.github.igdefense.cli;

import io.github.igdefense.tensor.CudaLibraries;
import io.github.igdefense.tensor.Diagnostics;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code igd doctor}: what this machine offers, what is loaded, and what is wrong with it. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = {
      "Shows processor, threads, libraries, libtorch, CUDA (or why not), cache and bfloat16.",
      "Exit codes: 0 nothing wrong, 1 the native libraries cannot be loaded, 3 loaded, with"
          + " problems."
    })
final class DoctorCommand implements Callable<Integer> {
  private static final int PROBLEMS = 3;

  @Mixin Output output;

  @Override
  public Integer call() {
    Diagnostics diagnostics = Diagnostics.collect();
    print(diagnostics);
    output.json(diagnostics);
    return diagnostics.problems().isEmpty() ? 0 : PROBLEMS;
  }

  private void print(Diagnostics d) {
    Diagnostics.Version v = d.version();
    row("igdefense", v.igdefense());
    row(
        "stack",
        "javacpp " + v.javacpp() + ", pytorch " + v.pytorch() + ", openblas " + v.openblas());
    row(
        "java",
        d.java().version()
            + ", "
            + d.java().vendor()
            + ", heap up to "
            + mib(d.java().maxHeapBytes()));
    row("processor", d.processor().model());
    row(
        "cores",
        d.processor().physicalCores() + " physical, " + d.processor().logicalCpus() + " logical");
    row("features", yesNo(d.processor().features()));
    row("kernels", d.kernels().build());
    row("kernels use", d.kernels().active() + " (this machine: " + d.kernels().detected() + ")");
    row(
        "threads",
        "libtorch "
            + d.threads().libtorch()
            + ", kernels "
            + d.threads().kernels()
            + " (default "
            + d.threads().defaultThreads()
            + ")");
    row(
        "environment",
        d.environment().entrySet().stream()
            .filter(entry -> entry.getValue() != null)
            .map(entry -> entry.getKey() + "=" + entry.getValue())
            .collect(Collectors.joining(" ")));
    rows("libtorch", d.libraries().libtorch());
    rows("OpenMP", d.libraries().openMp());
    rows("BLAS", d.libraries().blas());
    rows("our library", d.libraries().kernels());
    row(
        "libtorch has",
        "CPU capability "
            + d.libtorch().cpuCapability()
            + ", oneDNN "
            + yes(d.libtorch().oneDnn())
            + ", OpenMP "
            + yes(d.libtorch().openMp())
            + ", MKL "
            + yes(d.libtorch().mkl()));
    cuda(d.cuda());
    row(
        "cache",
        d.cache().folder()
            + (d.cache().writeable() ? "" : " (not writeable)")
            + ", "
            + mib(d.cache().freeBytes())
            + " free");
    row(
        "bfloat16",
        String.format(
            Locale.ROOT,
            "%s (relative error %.1e), %.2f times the speed of float32",
            d.bfloat16().correct() ? "right" : "WRONG",
            d.bfloat16().relativeError(),
            d.bfloat16().speedup()));
    if (d.problems().isEmpty()) {
      output.result("nothing wrong");
    }
    for (String problem : d.problems()) {
      output.result("problem: " + problem);
    }
  }

  private void cuda(Diagnostics.Cuda cuda) {
    row(
        "CUDA",
        cuda.available() ? cuda.devices().size() + " device(s)" : "no device: " + cuda.reason());
    rows(cuda.devices());
    row("CUDA libtorch", yes(cuda.gpuLibtorch()));
    row("CUDA kernels", cuda.kernels());
    for (CudaLibraries.Library library : cuda.libraries()) {
      row("  " + library.name(), describe(library));
    }
  }

  private void rows(List<String> devices) {
    for (int i = 0; i < devices.size(); i++) {
      row("  cuda:" + i, devices.get(i));
    }
  }

  private static String describe(CudaLibraries.Library library) {
    if (library.path() == null) {
      return "missing; install " + library.install();
    }
    String found =
        (library.version() == null ? "" : "version " + library.version() + ", ") + library.path();
    return library.usable()
        ? found
        : found + ": " + library.problem() + "; install " + library.install();
  }

  private void rows(String name, List<String> values) {
    if (values.isEmpty()) {
      row(name, "none");
    }
    for (String value : values) {
      row(name, value);
    }
  }

  private void row(String name, String value) {
    output.result(String.format(Locale.ROOT, "%-22s %s", name, value));
  }

  private static String yesNo(Map<String, Boolean> flags) {
    return flags.entrySet().stream()
        .map(entry -> entry.getKey() + " " + yes(entry.getValue()))
        .collect(Collectors.joining(", "));
  }

  private static String yes(boolean value) {
    return value ? "yes" : "no";
  }

  private static String mib(long bytes) {
    return (bytes >> 20) + " MiB";
  }
}
