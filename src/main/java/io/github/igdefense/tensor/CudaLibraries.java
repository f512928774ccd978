package io.github.igdefense.tensor;

import io.github.igdefense.kernels.ProcessEnvironment;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The libraries that computing on CUDA devices needs, and where this machine has them: what {@code
 * libtorch_cuda}, {@code libtorch_cpu} of the CUDA build and our kernels name as needed.
 *
 * <p>They are looked for as the dynamic linker does (its path, its cache, the system's folders),
 * then in the usual folders of CUDA toolkits, from where {@link NativeRuntime} loads them by path.
 * Files are read, never loaded or run: a broken library cannot take this process down.
 */
public final class CudaLibraries {
  private static final String DRIVER =
      "the NVIDIA driver, 580 or newer (package cuda-drivers, or the system's own)";
  private static final String TOOLKIT =
      "the libraries of CUDA 13 (NVIDIA's packages cuda-libraries-13-1 and cuda-cupti-13-1, or the"
          + " whole cuda-toolkit-13-1)";
  private static final String CUDNN = "cuDNN 9 for CUDA 13 (NVIDIA's package cudnn9-cuda-13)";
  private static final String NCCL = "NCCL 2 (NVIDIA's package libnccl2)";

  /** The name of each library and what brings it, in an order in which they can be loaded. */
  private static final Map<String, String> WANTED = wanted();

  private static Map<String, String> wanted() {
    Map<String, String> wanted = new LinkedHashMap<>();
    wanted.put("libcuda.so.1", DRIVER);
    for (String name :
        List.of(
            "libcudart.so.13",
            "libcupti.so.13",
            "libnvJitLink.so.13",
            "libcublasLt.so.13",
            "libcublas.so.13",
            "libcufft.so.12",
            "libcufile.so.0",
            "libcurand.so.10",
            "libcusparse.so.12",
            "libcusolver.so.12")) {
      wanted.put(name, TOOLKIT);
    }
    for (String part : List.of("", "_graph", "_ops", "_adv", "_cnn")) {
      wanted.put("libcudnn" + part + ".so.9", CUDNN);
    }
    wanted.put("libnccl.so.2", NCCL);
    return wanted;
  }

  /** What libtorch's CUDA build needs even to compute on the processor. */
  static final List<String> ALWAYS = List.of("libcudart.so.13", "libcupti.so.13");

  private CudaLibraries() {}

  /**
   * A library as it was found, or not.
   *
   * @param name as other libraries ask for it
   * @param path of the file, links resolved; null where there is none
   * @param version as the file's name tells it, such as {@code 9.19.0}; null without a file
   * @param problem why the file cannot be used, or what it needs that is missing; null where
   *     nothing is wrong
   * @param install what brings it
   */
  public record Library(String name, String path, String version, String problem, String install) {
    /** Whether it is there, for this processor, with all it needs. */
    public boolean usable() {
      return path != null && problem == null;
    }
  }

  /** All of them, in the order of loading. Reads some files; takes milliseconds. */
  public static List<Library> find() {
    return find(new Search(linkerFolders(), toolkitFolders()));
  }

  static List<Library> find(Search search) {
    List<Library> found = new ArrayList<>();
    WANTED.forEach((name, install) -> found.add(search.library(name, install)));
    return found;
  }

  /**
   * One sentence for what is missing: its names, grouped by what to install; null where nothing is.
   */
  public static String missing(List<Library> libraries) {
    Map<String, List<String>> byRemedy = new LinkedHashMap<>();
    for (Library library : libraries) {
      if (!library.usable()) {
        byRemedy
            .computeIfAbsent(library.install(), k -> new ArrayList<>())
            .add(library.path() == null ? library.name() : library.path() + ": " + library.problem);
      }
    }
    if (byRemedy.isEmpty()) {
      return null;
    }
    return byRemedy.entrySet().stream()
        .map(
            entry ->
                "missing " + String.join(", ", entry.getValue()) + ": install " + entry.getKey())
        .collect(Collectors.joining("; "));
  }

  /** Paths of libraries that the dynamic linker does not find by itself, in loading order. */
  static List<Path> toPreload() {
    Search linker = new Search(linkerFolders(), List.of());
    Search all = new Search(linkerFolders(), toolkitFolders());
    List<Path> paths = new ArrayList<>();
    for (String name : WANTED.keySet()) {
      Path path = all.locate(name);
      if (path != null && linker.locate(name) == null) {
        paths.add(path);
      }
    }
    return paths;
  }

  private static List<Path> linkerFolders() {
    List<Path> folders = new ArrayList<>();
    String path = ProcessEnvironment.igd_getenv("LD_LIBRARY_PATH");
    if (path != null) {
      Arrays.stream(path.split(File.pathSeparator))
          .filter(folder -> !folder.isEmpty())
          .forEach(folder -> folders.add(Path.of(folder)));
    }
    return folders;
  }

  /** Where toolkits are installed, besides the linker's folders. */
  private static List<Path> toolkitFolders() {
    Set<Path> roots = new LinkedHashSet<>();
    for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
      String value = ProcessEnvironment.igd_getenv(variable);
      if (value != null && !value.isEmpty()) {
        roots.add(Path.of(value));
      }
    }
    roots.add(Path.of("/usr/local/cuda"));
    try (DirectoryStream<Path> versions =
        Files.newDirectoryStream(Path.of("/usr/local"), "cuda-13*")) {
      versions.forEach(roots::add);
    } catch (IOException e) {
      // No such folder: nothing there.
    }
    List<Path> folders = new ArrayList<>();
    for (Path root : roots) {
      for (String folder :
          List.of("lib64", "lib", "targets/x86_64-linux/lib", "extras/CUPTI/lib64")) {
        folders.add(root.resolve(folder));
      }
    }
    folders.add(Path.of("/usr/lib/wsl/lib"));
    return folders;
  }

  /**
   * Where to look.
   *
   * @param first before the linker's cache and the system's folders
   * @param last after them
   */
  record Search(List<Path> first, List<Path> last) {
    private static final List<Path> SYSTEM =
        List.of(
            Path.of("/lib/x86_64-linux-gnu"),
            Path.of("/usr/lib/x86_64-linux-gnu"),
            Path.of("/lib64"),
            Path.of("/usr/lib64"),
            Path.of("/lib"),
            Path.of("/usr/lib"));
    private static final Path LINKER_CACHE = Path.of("/etc/ld.so.cache");

    /** The file of a name, or null. */
    Path locate(String name) {
      Path path = in(first, name);
      if (path == null) {
        path = cached(name);
      }
      if (path == null) {
        path = in(SYSTEM, name);
      }
      return path == null ? in(last, name) : path;
    }

    private static Path in(List<Path> folders, String name) {
      for (Path folder : folders) {
        Path path = folder.resolve(name);
        if (Files.isRegularFile(path)) {
          return path;
        }
      }
      return null;
    }

    /** The dynamic linker's cache holds full paths, each ended by a zero. */
    private static Path cached(String name) {
      try {
        String cache = new String(Files.readAllBytes(LINKER_CACHE), StandardCharsets.ISO_8859_1);
        String end = "/" + name + "\0";
        for (int at = cache.indexOf(end); at >= 0; at = cache.indexOf(end, at + 1)) {
          Path path =
              Path.of(cache.substring(cache.lastIndexOf('\0', at) + 1, at + end.length() - 1));
          if (Files.isRegularFile(path)) {
            return path;
          }
        }
      } catch (IOException e) {
        // No cache: the folders remain.
      }
      return null;
    }

    Library library(String name, String install) {
      Path path = locate(name);
      if (path == null) {
        return new Library(name, null, null, "not found", install);
      }
      try {
        Path real = path.toRealPath();
        ElfFile elf = ElfFile.read(real);
        List<String> missing = new ArrayList<>();
        for (String needed : elf.needed()) {
          if (locate(needed) == null && in(elf.runPath(), needed) == null) {
            missing.add(needed);
          }
        }
        return new Library(
            name,
            real.toString(),
            version(real.getFileName().toString()),
            missing.isEmpty() ? null : "it needs " + String.join(", ", missing),
            install);
      } catch (IOException e) {
        return new Library(name, path.toString(), null, e.getMessage(), install);
      }
    }

    private static String version(String file) {
      int at = file.indexOf(".so.");
      return at < 0 ? null : file.substring(at + ".so.".length());
    }
  }
}
