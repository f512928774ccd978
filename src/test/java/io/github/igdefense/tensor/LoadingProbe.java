package io.github.igdefense.tensor;

import io.github.igdefense.kernels.ProcessEnvironment;
import io.github.igdefense.kernels.binding.IgdKernels;
import java.nio.file.Files;
import java.nio.file.Path;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What {@link FreshCacheTest} runs in a JVM of its own: loads everything, runs one convolution and
 * one of our kernels, and prints what the process looks like as lines {@code key=value}. The last
 * is {@code OK}.
 */
public final class LoadingProbe {
  private LoadingProbe() {}

  /**
   * Exit code 0 and {@code OK}, or 1 and {@code failed=MESSAGE} when the libraries cannot be
   * loaded.
   */
  public static void main(String[] args) throws Exception {
    try {
      NativeRuntime.load();
    } catch (NativeLoadException e) {
      System.out.println("failed=" + e.getMessage().replace('\n', ' '));
      System.exit(1);
    }
    try (PointerScope scope = new PointerScope()) {
      Tensor image = Tensors.of(new float[16], 1, 1, 4, 4).add_(Tensors.scalar(1));
      Tensor filter = Tensors.of(new float[9], 1, 1, 3, 3).add_(Tensors.scalar(1));
      System.out.println("conv2d=" + Tensors.sum(torch.conv2d(image, filter)));

      Tensor sums = Tensors.of(new double[2], 1, 2);
      Tensor counts = Tensors.of(new long[1], 1);
      FusedOps.looPenultimateAccumulate(
          Tensors.of(new float[] {-3, 5}, 1, 2),
          Tensors.of(new long[] {0}, 1),
          false,
          sums,
          counts);
      System.out.println("kernel=" + Tensors.sum(sums.to(ScalarType.Double)));
    }
    System.out.println("torchThreads=" + torch.get_num_threads());
    System.out.println("kernelThreads=" + IgdKernels.igd_jni_threads_get());
    for (String name : new String[] {"OPENBLAS_NUM_THREADS", "GOMP_SPINCOUNT"}) {
      System.out.println(name + "=" + ProcessEnvironment.igd_getenv(name));
    }
    Files.readAllLines(Path.of("/proc/self/maps")).stream()
        .filter(line -> line.contains(".so"))
        .map(line -> line.substring(line.indexOf('/')))
        .distinct()
        .forEach(path -> System.out.println("mapped=" + path));
    System.out.println("OK");
  }
}
