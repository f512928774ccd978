package io.github.igdefense.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * What {@code igd doctor} says about this process, and about processes with two libraries of a
 * kind.
 */
class DiagnosticsTest {
  @Test
  void thisProcessIsDescribedAsItIs() {
    Diagnostics diagnostics = Diagnostics.collect();

    assertThat(diagnostics.threads().libtorch()).isEqualTo(NativeRuntime.threads());
    assertThat(diagnostics.threads().kernels()).isEqualTo(NativeRuntime.threads());
    assertThat(diagnostics.environment()).containsKeys("OPENBLAS_NUM_THREADS", "GOMP_SPINCOUNT");
    assertThat(diagnostics.environment().get("OPENBLAS_NUM_THREADS")).isNotNull();
    assertThat(diagnostics.kernels().active()).isIn("portable", "avx2", "avx512");
    assertThat(diagnostics.libtorch().oneDnn()).isTrue();
    assertThat(diagnostics.version().pytorch()).isEqualTo("2.10.0-1.5.13");
    assertThat(diagnostics.libraries().openMp()).hasSize(1);
    assertThat(diagnostics.libraries().blas()).hasSize(1);
    // With -Pcuda the CUDA kernels are open beside them.
    assertThat(diagnostics.libraries().kernels())
        .filteredOn(path -> !path.contains("cuda.so"))
        .hasSize(1);
    assertThat(diagnostics.libraries().libtorch())
        .anyMatch(path -> path.endsWith("libtorch_cpu.so"));
    assertThat(diagnostics.libraries().duplicated()).isEmpty();
    assertThat(diagnostics.cuda().available()).isEqualTo(CudaRuntime.problem() == null);
    assertThat(diagnostics.cuda().libraries()).isEqualTo(CudaLibraries.find());
    if (!diagnostics.cuda().available()) {
      assertThat(diagnostics.cuda().reason()).isNotBlank();
    }
    assertThat(diagnostics.bfloat16().relativeError()).isBetween(1e-5, 0.02);
    assertThat(diagnostics.bfloat16().correct()).isTrue();
    assertThat(diagnostics.bfloat16().speedup()).isPositive();
  }

  @Test
  void itCanBeWrittenAsJson() {
    JsonNode json = new ObjectMapper().valueToTree(Diagnostics.collect());
    assertThat(json.path("processor").path("features").path("avx2").isBoolean()).isTrue();
    assertThat(json.path("cache").path("folder").asText()).isNotBlank();
    assertThat(json.path("problems").isArray()).isTrue();
  }

  @Test
  void twoLibrariesOfAKindAreNamed() {
    Diagnostics.Libraries libraries =
        Diagnostics.sortLibraries(
            List.of(
                "/cache/libtorch_cpu.so",
                "/usr/lib/libtorch_cpu.so.1.13",
                "/cache/libc10.so",
                "/cache/libgomp.so.1",
                "/usr/lib/libomp.so.5",
                "/cache/libopenblas.so.0",
                "/cache/libjniopenblas_nolapack.so",
                "/cache/libigd_kernels.so"));
    assertThat(libraries.duplicated()).containsExactly("OpenMP runtime", "libtorch_cpu");
    assertThat(libraries.blas()).containsExactly("/cache/libopenblas.so.0");
  }
}
