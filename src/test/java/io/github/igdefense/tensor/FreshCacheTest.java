package io.github.igdefense.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Loading in JVMs of their own, with an empty JavaCPP cache. {@code -Digd.loading.starts=20} sets
 * how often (default 3 where the environment has CI, else once: each start unpacks 360 MB).
 */
class FreshCacheTest {
  private static final int STARTS =
      Integer.getInteger("igd.loading.starts", System.getenv("CI") != null ? 3 : 1);
  private static final Path SYSTEM_LIBRARIES = Path.of("/usr/lib/x86_64-linux-gnu");
  private static final List<String> ONCE =
      List.of("libtorch_cpu", "libgomp", "libc10", "libigd_kernels");

  @TempDir Path scratch;

  @Test
  void startsFromAnEmptyCacheWithOneBlasThreadAndAShortSpin() throws Exception {
    for (int i = 0; i < STARTS; i++) {
      Subprocess run = start(i, Map.of());
      expectSound(run);
      assertThat(run.value("OPENBLAS_NUM_THREADS")).isEqualTo("1");
      assertThat(run.value("GOMP_SPINCOUNT")).isEqualTo(NativeRuntime.DEFAULT_SPIN_COUNT);
    }
  }

  @Test
  void startsBesideASystemLibtorchOnTheLibraryPath() throws Exception {
    assumeTrue(systemLibtorch(), "no libtorch in " + SYSTEM_LIBRARIES);
    for (int i = 0; i < STARTS; i++) {
      expectSound(start(i, Map.of("LD_LIBRARY_PATH", SYSTEM_LIBRARIES.toString())));
    }
  }

  /**
   * A wrong library of each name comes first on the path, and the user has set the environment.
   * Works on machines without a system libtorch too.
   */
  @Test
  void takesNoLibraryOfTheSameNameFromTheLibraryPathAndKeepsTheUsersSettings() throws Exception {
    Path decoys = Files.createDirectory(scratch.resolve("decoys"));
    Path wrong =
        Path.of("target/classes/io/github/igdefense/kernels/linux-x86_64/libjniigd_env.so");
    for (String name :
        List.of("libtorch.so", "libtorch_cpu.so", "libc10.so", "libtorch_global_deps.so")) {
      Files.copy(wrong, decoys.resolve(name));
    }
    Map<String, String> environment =
        Map.of(
            "LD_LIBRARY_PATH",
            decoys.toString(),
            "OPENBLAS_NUM_THREADS",
            "2",
            "GOMP_SPINCOUNT",
            "77");
    // The cache of this JVM, already filled: only the search path differs.
    Subprocess run =
        Subprocess.run(LoadingProbe.class, scratch, environment, List.of(), entry -> true);
    expectSound(run);
    assertThat(run.values("mapped")).noneMatch(path -> path.startsWith(decoys.toString()));
    assertThat(run.value("OPENBLAS_NUM_THREADS")).isEqualTo("2");
    assertThat(run.value("GOMP_SPINCOUNT")).isEqualTo("77");
  }

  @Test
  void aMissingLibraryIsNamedWithTheArtifactToAdd() throws Exception {
    for (String artifact : List.of("pytorch", "openblas")) {
      Path folder = Files.createDirectory(scratch.resolve(artifact));
      Subprocess run =
          Subprocess.run(
              LoadingProbe.class,
              folder,
              Map.of(),
              List.of("-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("cache")),
              entry -> !entry.matches(".*/" + artifact + "-[^/]*-linux-x86_64(-gpu)?\\.jar"));
      assertThat(run.exitCode()).as("%s", run).isEqualTo(1);
      assertThat(run.value("failed"))
          .contains("class path")
          .contains("add org.bytedeco:" + artifact)
          .contains("classifier linux-x86_64");
    }
  }

  private Subprocess start(int number, Map<String, String> environment) throws Exception {
    Path folder =
        Files.createDirectory(scratch.resolve("start" + number + "-" + environment.size()));
    Path cache = folder.resolve("cache");
    Subprocess run =
        Subprocess.run(
            LoadingProbe.class,
            folder,
            environment,
            List.of("-Dorg.bytedeco.javacpp.cachedir=" + cache),
            entry -> true);
    delete(cache);
    return run;
  }

  /** Ended well, computed the right numbers, and has each library once, from the jars. */
  private static void expectSound(Subprocess run) {
    assertThat(run.exitCode()).as("%s", run).isZero();
    assertThat(run.out()).last().isEqualTo("OK");
    assertThat(run.value("conv2d")).isEqualTo("36.0");
    assertThat(run.value("kernel")).isEqualTo("8.0");
    assertThat(run.value("torchThreads")).isEqualTo(String.valueOf(CpuTopology.physicalCores()));
    assertThat(run.value("kernelThreads")).isEqualTo(String.valueOf(CpuTopology.physicalCores()));
    Map<String, Integer> counts = new HashMap<>();
    for (String path : run.values("mapped")) {
      String name = path.substring(path.lastIndexOf('/') + 1);
      for (String library : ONCE) {
        if (name.startsWith(library + ".") || name.startsWith(library + "-")) {
          counts.merge(library, 1, Integer::sum);
        }
      }
      if (name.startsWith("libtorch")) {
        assertThat(path).doesNotStartWith(SYSTEM_LIBRARIES.toString());
      }
    }
    for (String library : ONCE) {
      assertThat(counts).as("%s", run.values("mapped")).containsEntry(library, 1);
    }
  }

  private static boolean systemLibtorch() throws IOException {
    try (Stream<Path> files = Files.list(SYSTEM_LIBRARIES)) {
      return files.anyMatch(file -> file.getFileName().toString().startsWith("libtorch_cpu.so"));
    }
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
