package io.github.igdefense.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Devices by name, and what a machine without one says. */
class DeviceTest {
  @Test
  void namesAreReadAndWritten() {
    assertThat(Device.parse("cpu")).isEqualTo(Device.CPU).hasToString("cpu");
    assertThat(Device.parse("cuda")).isEqualTo(Device.cuda(0)).hasToString("cuda:0");
    assertThat(Device.parse("cuda:12")).isEqualTo(Device.cuda(12)).hasToString("cuda:12");
    assertThat(Device.parseList("cuda:0, cuda:2")).containsExactly(Device.cuda(0), Device.cuda(2));
    assertThat(Device.toString(List.of(Device.cuda(0), Device.cuda(2)))).isEqualTo("cuda:0,cuda:2");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "gpu",
        "CUDA",
        "cuda:",
        "cuda:-1",
        "cuda:128",
        "cuda:1x",
        "cpu:0",
        "cpu,cuda",
        "cuda:1,cuda:1",
        "cuda,",
        "cuda:9999"
      })
  void otherNamesAreRefused(String text) {
    assertThatThrownBy(() -> Device.parseList(text)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void onTheProcessorNothingMoves() {
    try (PointerScope scope = new PointerScope()) {
      Tensor x = Tensors.of(new float[] {1, 2, 3}, 3);
      assertThat(Device.of(x)).isEqualTo(Device.CPU);
      assertThat(Device.CPU.move(x)).isSameAs(x);
      assertThat(Tensors.toFloats(Device.CPU.zeros(ScalarType.Float, 2))).containsExactly(0, 0);
      assertThat(DevicePipeline.map(Device.CPU, x, y -> y)).isSameAs(x);
    }
  }

  @Test
  void partsCoverTheBatchInOrder() {
    for (long images : new long[] {1, 63, 64, 65, 128, 1000}) {
      long next = 0;
      for (long[] part : DevicePipeline.parts(images, 64)) {
        assertThat(part[0]).isEqualTo(next);
        assertThat(part[1]).isBetween(1L, 64L);
        next += part[1];
      }
      assertThat(next).isEqualTo(images);
    }
  }

  @Test
  void withoutADeviceOneMessageSaysWhyAndTheProcessorWorks() {
    String problem = CudaRuntime.problem();
    assumeTrue(problem != null, "this machine has a CUDA device");
    assertThat(CudaRuntime.devices()).isZero();
    assertThat(CudaRuntime.deviceNames()).isEmpty();
    assertThat(problem).doesNotContain("\n");
    if (!CudaRuntime.gpuLibtorch()) {
      assertThat(problem).contains("linux-x86_64-gpu").contains("-Pcuda");
    }
    List<CudaLibraries.Library> libraries = CudaLibraries.find();
    for (CudaLibraries.Library library : libraries) {
      if (!library.usable()) {
        assertThat(problem).contains(library.name()).contains(library.install());
      }
    }
    assertThatThrownBy(() -> CudaRuntime.require(Device.cuda(0)))
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining("cannot compute on cuda:0: " + problem)
        .hasMessageContaining("--device cpu");
    CudaRuntime.require(Device.CPU);
    try (PointerScope scope = new PointerScope()) {
      assertThat(Tensors.sum(Tensors.of(new float[] {1, 2}, 2))).isEqualTo(3);
    }
  }

  /** With -Pcuda: our CUDA library opens without a driver, and every function is in it. */
  @Test
  void ourCudaKernelsOpenWithoutADriver() {
    assumeTrue(CudaRuntime.gpuKernels(), "no CUDA kernels on the class path (-Pcuda builds them)");
    assertThat(CudaRuntime.kernelBuild()).startsWith("igd_kernels_cuda ").contains("architectures");
  }
}
