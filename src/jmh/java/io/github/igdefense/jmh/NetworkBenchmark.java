package io.github.igdefense.jmh;

import io.github.igdefense.evaluation.BenchmarkModels;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
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

/** A full-width network: forward, defended forward, input gradient; a call is one batch. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 3)
@Fork(
    value = 1,
    jvmArgsAppend = {"-XX:+UseSerialGC", "-Dorg.bytedeco.javacpp.nopointergc=true"})
public class NetworkBenchmark {
  /** The architecture, with random weights of the published width. */
  @Param({"rn18"})
  public String architecture;

  /** Images per call. */
  @Param({"1", "32"})
  public int batch;

  private BenchmarkModels models;
  private PointerScope scope;
  private Runnable forward;
  private Runnable bfloat16;
  private Runnable defended;
  private Runnable smoothed;
  private Runnable smoothedBfloat16;
  private Runnable gradient;
  private Runnable defendedGradient;

  /** Opens the model in all its forms. */
  @Setup(Level.Trial)
  public void open() {
    models = new BenchmarkModels(architecture, null, 0, units -> Math.min(50, units));
    scope = new PointerScope();
    Tensor x = models.images(batch);
    forward = BenchmarkModels.forward(models.float32(), x);
    bfloat16 = BenchmarkModels.forward(models.bfloat16(), x);
    defended = BenchmarkModels.forward(models.defended(), x);
    smoothed = BenchmarkModels.forward(models.smoothed(), x);
    smoothedBfloat16 = BenchmarkModels.forward(models.smoothedBfloat16(), x);
    gradient = BenchmarkModels.gradient(models.float32(), x);
    defendedGradient = BenchmarkModels.gradient(models.defended(), x);
  }

  /** Closes it. */
  @TearDown(Level.Trial)
  public void close() {
    scope.close();
    models.close();
  }

  private static void run(Runnable work) {
    try (PointerScope inner = new PointerScope()) {
      work.run();
    }
  }

  /** The base model. */
  @Benchmark
  public void forward() {
    run(forward);
  }

  /** The base model in bfloat16. */
  @Benchmark
  public void forwardBfloat16() {
    run(bfloat16);
  }

  /** The defended model without smoothing. */
  @Benchmark
  public void defended() {
    run(defended);
  }

  /** The defended model with one draw of noise. */
  @Benchmark
  public void smoothed() {
    run(smoothed);
  }

  /** The same, pseudo-labels in bfloat16. */
  @Benchmark
  public void smoothedBfloat16() {
    run(smoothedBfloat16);
  }

  /** Forward pass and input gradient of the base model. */
  @Benchmark
  public void gradient() {
    run(gradient);
  }

  /** Forward pass and input gradient of the defended model. */
  @Benchmark
  public void defendedGradient() {
    run(defendedGradient);
  }
}
