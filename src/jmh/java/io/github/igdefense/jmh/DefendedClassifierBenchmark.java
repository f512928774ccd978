package io.github.igdefense.jmh;

import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.defense.Bundle;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.Classification;
import io.github.igdefense.defense.DefendedClassifier;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
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

/** The embedded classifier; with {@code -prof gc}, gc.alloc.rate.norm is the garbage of a call. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 3)
@Fork(
    value = 1,
    jvmArgsAppend = {"-XX:+UseSerialGC", "-Dorg.bytedeco.javacpp.nopointergc=true"})
public class DefendedClassifierBenchmark {
  /** The architecture, with random weights of the published width. */
  @Param({"rn18"})
  public String architecture;

  /** Images per call. */
  @Param({"1", "32"})
  public int batch;

  private Path file;
  private DefendedClassifier classifier;
  private float[] images;
  private Classification result;

  /** Writes a bundle and opens it. */
  @Setup(Level.Trial)
  public void open() throws IOException {
    file = Files.createTempFile("igd-jmh-", ".igd");
    try (StagedNetwork network = Networks.random(architecture, 3, 0, 10, 0, Dtype.FLOAT32)) {
      MaskableLayer layer = network.penultimate();
      Bundle.of(
              network,
              Networks.randomState(Networks.describe(architecture, 3, 10), 0),
              ClassMasks.random(layer.name(), 10, layer.units(), Math.min(50, layer.units()), 0),
              new Bundle.Settings(
                  network.imageSize(),
                  network.imageSize(),
                  Preprocessing.NONE,
                  List.of(),
                  IgDefense.DEFAULT_TEMPERATURE,
                  Smoothing.NONE,
                  0,
                  Map.of()))
          .write(file);
    }
    classifier = DefendedClassifier.open(file);
    classifier.warmUp(batch);
    images = new float[batch * classifier.imageLength()];
    Arrays.fill(images, 0.5f);
    result = classifier.newResult(batch);
  }

  /** Closes it and deletes the bundle. */
  @TearDown(Level.Trial)
  public void close() throws IOException {
    classifier.close();
    Files.delete(file);
  }

  /** Into a result of the caller's. */
  @Benchmark
  public Classification classify() {
    classifier.classify(images, result);
    return result;
  }

  /** With a new result. */
  @Benchmark
  public Classification classifyIntoNewResult() {
    return classifier.classify(images);
  }
}
