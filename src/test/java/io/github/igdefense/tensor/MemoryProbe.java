package io.github.igdefense.tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * What {@link MemorySoakTest} runs in a JVM whose heap is touched before and cannot grow: how much
 * the resident memory grows over many operations in scopes ({@code scoped=BYTES}), and over
 * operations whose tensors nobody frees ({@code leaked=BYTES}).
 */
public final class MemoryProbe {
  /** 16 KiB: one such tensor lost per loop would be 312 MiB over 20,000. */
  private static final int ELEMENTS = 4096;

  private static final int WARM_UP = 3_000;
  private static final int LOST = 4_000;
  private static final float[] VALUES = new float[ELEMENTS];

  private MemoryProbe() {}

  /**
   * @param args the number of loops
   */
  public static void main(String[] args) throws IOException {
    int loops = Integer.parseInt(args[0]);
    for (int i = 0; i < WARM_UP; i++) {
      work();
    }
    long before = residentBytes();
    for (int i = 0; i < loops; i++) {
      work();
    }
    System.out.println("scoped=" + (residentBytes() - before));

    List<Tensor> lost = new ArrayList<>();
    before = residentBytes();
    for (int i = 0; i < LOST; i++) {
      try (PointerScope scope = new PointerScope()) {
        lost.add(Tensors.keep(Tensors.of(VALUES, ELEMENTS)));
      }
    }
    System.out.println("leaked=" + (residentBytes() - before));
    lost.forEach(Tensors::free);
  }

  private static void work() {
    try (PointerScope scope = new PointerScope()) {
      Tensor a = Tensors.of(VALUES, 64, 64);
      Tensor b = Tensors.scoped(() -> torch.relu(torch.matmul(a, a).add(a)));
      Tensor c = Tensors.cat(a, b);
      Tensors.sum(c);
      Tensors.shape(c);
      Tensors.to(c, Dtype.FLOAT64);
    }
  }

  private static long residentBytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
      }
    }
    throw new AssertionError("no VmRSS in /proc/self/status");
  }
}
