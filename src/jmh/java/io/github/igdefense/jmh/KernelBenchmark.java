package io.github.igdefense.jmh;

import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.FusedOps;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Our kernels alone, on activations of ResNet-18's last layer: [N,512,4,4], 10 classes. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {"-XX:+UseSerialGC", "-Dorg.bytedeco.javacpp.nopointergc=true"})
public class KernelBenchmark {
  private static final int UNITS = 512;
  private static final int CLASSES = 10;
  private static final double TEMPERATURE = 0.01;

  /** Images per call. */
  @Param({"1", "64"})
  public int batch;

  private PointerScope scope;
  private Tensor activation;
  private Tensor weight;
  private Tensor bias;
  private Tensor masks;
  private Tensor gradient;
  private Tensor labels;
  private Tensor sums;
  private Tensor counts;
  private FusedOps.MaskedHead head;

  /** Makes the tensors. */
  @Setup(Level.Trial)
  public void open() {
    NativeRuntime.load();
    scope = new PointerScope();
    try (Rng rng = new Rng(1)) {
      activation = rng.normal(Dtype.FLOAT32, batch, UNITS, 4, 4);
      weight = rng.normal(Dtype.FLOAT32, CLASSES, UNITS);
      bias = rng.normal(Dtype.FLOAT32, CLASSES);
      masks = rng.uniform(Dtype.FLOAT32, CLASSES, UNITS).mul(Tensors.scalar(1.1)).to(ScalarType.Byte);
      gradient = rng.normal(Dtype.FLOAT32, batch, CLASSES);
    }
    long[] classes = new long[batch];
    Arrays.setAll(classes, i -> i % CLASSES);
    labels = Tensors.of(classes, batch);
    sums = torch.zeros(new long[] {CLASSES, UNITS}, Tensors.options(ScalarType.Double));
    counts = torch.zeros(new long[] {CLASSES}, Tensors.options(ScalarType.Long));
    head = FusedOps.maskedHead(activation, weight, bias, masks, TEMPERATURE, null);
  }

  /** Frees them. */
  @TearDown(Level.Trial)
  public void close() {
    scope.close();
  }

  /** Pooling to final logits. */
  @Benchmark
  public void maskedHead() {
    try (PointerScope inner = new PointerScope()) {
      FusedOps.maskedHead(activation, weight, bias, masks, TEMPERATURE, null);
    }
  }

  /** Its gradient with respect to the activation. */
  @Benchmark
  public void maskedHeadBackward() {
    try (PointerScope inner = new PointerScope()) {
      FusedOps.maskedHeadBackward(gradient, head, activation, weight, masks, TEMPERATURE, true);
    }
  }

  /** Leave-one-out at the penultimate layer: one batch into the class sums. */
  @Benchmark
  public void leaveOneOut() {
    try (PointerScope inner = new PointerScope()) {
      FusedOps.looPenultimateAccumulate(activation, labels, false, sums, counts);
    }
  }
}
