package io.github.igdefense.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.kernels.binding.IgdKernels;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Thread counts reach libtorch and our kernels alike. */
class ThreadsTest {
  @AfterEach
  void restore() {
    NativeRuntime.setThreads(NativeRuntime.defaultThreads());
  }

  @Test
  void theDefaultIsThePhysicalCores() {
    NativeRuntime.load();
    assertThat(NativeRuntime.defaultThreads()).isEqualTo(CpuTopology.physicalCores()).isPositive();
    assertThat(CpuTopology.physicalCores())
        .isLessThanOrEqualTo(Runtime.getRuntime().availableProcessors());
  }

  @Test
  void aChosenCountIsSeenByLibtorchAndByOurKernels() {
    for (int threads : new int[] {1, 2, 1}) {
      NativeRuntime.setThreads(threads);
      assertThat(torch.get_num_threads()).isEqualTo(threads);
      assertThat(IgdKernels.igd_jni_threads_get()).isEqualTo(threads);
      assertThat(NativeRuntime.threads()).isEqualTo(threads);
    }
  }

  @Test
  void impossibleCountsAreRefusedAndChangeNothing() {
    NativeRuntime.setThreads(1);
    for (int threads : new int[] {0, -1, 1025}) {
      assertThatThrownBy(() -> NativeRuntime.setThreads(threads))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("threads")
          .hasMessageContaining(String.valueOf(threads));
      assertThat(NativeRuntime.threads()).isEqualTo(1);
      assertThat(IgdKernels.igd_jni_threads_get()).isEqualTo(1);
    }
  }

  @Test
  void theKernelsListOfProcessorsIsParsed() {
    assertThat(CpuTopology.parseCpuList("0-3,8,10-11")).containsExactly(0, 1, 2, 3, 8, 10, 11);
    assertThat(CpuTopology.parseCpuList("5")).containsExactly(5);
  }
}
