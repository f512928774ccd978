package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.PointerScope;

/**
 * The multiply-accumulate rate of this machine's units, from registers alone, on as many threads as
 * the kernels use: what shares of the peak are shares of (kernels.h: igd_measure_peak).
 */
public final class PeakRate {
  private static final int UNSUPPORTED = 2;

  /** A unit that multiplies and adds. */
  public enum Unit {
    /** Fused multiply-add of float32 vectors: AVX-512, AVX2, or scalar code. */
    FLOAT32_FMA,
    /** Dot products of bfloat16 vectors: AVX512-BF16. */
    BFLOAT16_VECTOR,
    /** Products of bfloat16 tiles: AMX-BF16. */
    BFLOAT16_TILES;

    /** Its name as processors' manuals have it. */
    public String label() {
      return switch (this) {
        case FLOAT32_FMA -> "float32 FMA (" + isa() + ")";
        case BFLOAT16_VECTOR -> "AVX512-BF16";
        case BFLOAT16_TILES -> "AMX-BF16 tiles";
      };
    }

    private static String isa() {
      NativeRuntime.load();
      try (PointerScope scope = new PointerScope()) {
        return IgdKernels.igd_jni_isa_name(IgdKernels.igd_jni_isa_active()).getString();
      }
    }
  }

  private PeakRate() {}

  /**
   * Measures a unit; the fastest of many short rounds counts.
   *
   * @param seconds how long, more than 0 and at most 60
   * @return multiply-accumulates per second; NaN where this machine lacks the unit
   */
  public static double measure(Unit unit, double seconds) {
    NativeRuntime.load();
    try (PointerScope scope = new PointerScope();
        DoublePointer rate = new DoublePointer(1)) {
      int status = IgdKernels.igd_jni_measure_peak(unit.ordinal(), seconds, rate.address());
      if (status == UNSUPPORTED) {
        return Double.NaN;
      }
      Operands.check(status);
      return rate.get();
    }
  }
}
