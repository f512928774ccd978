package io.github.igdefense.evaluation;

import io.github.igdefense.attack.AttackContext;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.attack.Pgd;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.tensor.ProcessMemory;
import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;

/**
 * Memory of the process over many calls: what leaks or grows shows as a slope after warm-up.
 *
 * <p>Run it in a JVM of its own with a small heap that is touched at the start ({@code -Xms64m
 * -Xmx64m -XX:+AlwaysPreTouch}), as {@code scripts/soak.sh} does: else the heap's first use looks
 * like growth.
 *
 * @param what was repeated
 * @param count how often, warm-up left out
 * @param seconds it took
 * @param residentMib resident memory at the start and after every twentieth part
 */
public record SoakBenchmark(String what, long count, double seconds, List<Double> residentMib) {
  private static final int PARTS = 20;
  private static final int STEPS = 10;
  private static final int ATTACKED = 2;
  private static final double MIB = 1024.0 * 1024;

  /** Fewest repetitions. */
  public static final long LEAST = 100;

  /** Inferences for each attack step in {@link #of}. */
  public static final long INFERENCES_PER_STEP = 100;

  /** Copies the samples. */
  public SoakBenchmark {
    residentMib = List.copyOf(residentMib);
  }

  /**
   * Inferences of a model (base, defended, smoothed in turn), then attack steps on its smoothed
   * defense.
   *
   * @param count inferences; attack steps are a hundredth
   */
  public static List<SoakBenchmark> of(BenchmarkModels models, long count, Consumer<String> told) {
    try (PointerScope scope = new PointerScope()) {
      List<Classifier> classifiers =
          List.of(models.float32(), models.defended(), models.smoothed());
      return List.of(
          inferences(classifiers, models.images(1), count, told),
          attackSteps(
              models.smoothed(), models.images(ATTACKED), count / INFERENCES_PER_STEP, told));
    }
  }

  /**
   * Single images through classifiers, each of them in turn.
   *
   * @param count inferences, at least 100; a tenth of it (at most 20,000) warms up before
   * @param x one image [1,C,H,W]
   * @param told after each part
   */
  public static SoakBenchmark inferences(
      List<Classifier> classifiers, Tensor x, long count, Consumer<String> told) {
    return run(
        "inferences",
        count,
        Math.min(20_000, count / 10),
        calls -> {
          for (long i = 0; i < calls; i++) {
            try (PointerScope scope = new PointerScope()) {
              classifiers.get((int) (i % classifiers.size())).logits(x);
            }
          }
        },
        told);
  }

  /**
   * Steps of PGD (L∞, 8/255), in runs of 10 steps on two images.
   *
   * @param count steps, at least 100; every twentieth part is rounded up to whole runs
   * @param x images [n,C,H,W], n at least 2
   */
  public static SoakBenchmark attackSteps(
      DifferentiableClassifier classifier, Tensor x, long count, Consumer<String> told) {
    Pgd pgd = new Pgd(Norm.LINF, Epsilon.of255(8), STEPS);
    long[] labels = predictions(classifier, x.narrow(0, 0, ATTACKED));
    return run(
        "attack steps",
        count,
        Math.min(1000, count / 4),
        steps -> {
          for (long done = 0; done < steps; done += STEPS) {
            try (PointerScope scope = new PointerScope();
                AttackContext context = AttackContext.seeded(done)) {
              // The result's images are the caller's to free.
              pgd.run(classifier, x.narrow(0, 0, ATTACKED), labels, context).close();
            }
          }
        },
        told);
  }

  /** Attacks work on images that are right: the model's own answers are. */
  private static long[] predictions(Classifier classifier, Tensor x) {
    try (PointerScope scope = new PointerScope()) {
      return Tensors.toLongs(classifier.logits(x).argmax(new LongOptional(1), false));
    }
  }

  /** Repeats something in twenty parts. */
  interface Work {
    /** So many more. */
    void repeat(long count);
  }

  static SoakBenchmark run(String what, long count, long warmUp, Work work, Consumer<String> told) {
    if (count < LEAST) {
      throw new InputException(
          "expected a soak of at least " + LEAST + " " + what + ", got " + count);
    }
    work.repeat(warmUp);
    System.gc();
    List<Double> samples = new ArrayList<>();
    samples.add(ProcessMemory.residentBytes() / MIB);
    long start = System.nanoTime();
    long done = 0;
    for (int part = 1; part <= PARTS; part++) {
      long until = count * part / PARTS;
      work.repeat(until - done);
      done = until;
      samples.add(ProcessMemory.residentBytes() / MIB);
      told.accept(
          String.format(Locale.ROOT, "%d %s: %.1f MiB resident", done, what, samples.get(part)));
    }
    return new SoakBenchmark(what, count, (System.nanoTime() - start) / 1e9, samples);
  }

  /** Resident memory at the end over that after warm-up, less 1. */
  public double growth() {
    return residentMib.get(residentMib.size() - 1) / residentMib.get(0) - 1;
  }

  /** Largest over smallest resident memory after warm-up, less 1. */
  public double spread() {
    double least = residentMib.stream().mapToDouble(v -> v).min().orElseThrow();
    double most = residentMib.stream().mapToDouble(v -> v).max().orElseThrow();
    return most / least - 1;
  }

  /** The numbers by name, for JSON. */
  public Map<String, Object> figures() {
    String key = "soak_" + what.replace(' ', '_');
    Map<String, Object> all = new LinkedHashMap<>();
    all.put(key, count);
    all.put(key + "_seconds", seconds);
    all.put(key + "_growth", growth());
    all.put(key + "_spread", spread());
    all.put(key + "_resident_mib", residentMib);
    return all;
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%d %s in %.1f s: %.1f MiB resident after warm-up, %.1f MiB at the end (%+.2f %%)",
        count,
        what,
        seconds,
        residentMib.get(0),
        residentMib.get(residentMib.size() - 1),
        100 * growth());
  }
}
