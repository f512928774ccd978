package io.github.igdefense.evaluation;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.Rng;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * The batch size and the split of threads at which a network is fastest on this machine.
 *
 * @param batchSize images per call, for one caller
 * @param threads of that caller
 * @param imagesPerSecond of that caller
 * @param callers that work at the same time, each with {@code threadsPerCaller} threads and batches
 *     of one image, for a service of many requests
 * @param threadsPerCaller threads of each
 * @param callersImagesPerSecond of all of them together
 */
@JsonPropertyOrder({
  "batch_size",
  "threads",
  "images_per_second",
  "callers",
  "threads_per_caller",
  "callers_images_per_second"
})
public record Tuning(
    @JsonProperty("batch_size") int batchSize,
    @JsonProperty("threads") int threads,
    @JsonProperty("images_per_second") double imagesPerSecond,
    @JsonProperty("callers") int callers,
    @JsonProperty("threads_per_caller") int threadsPerCaller,
    @JsonProperty("callers_images_per_second") double callersImagesPerSecond) {
  private static final List<Integer> BATCHES = List.of(8, 16, 32, 48, 64, 96, 128);
  private static final int MOST_ROUNDS = 15;

  /** A larger batch has to be faster by this much: it costs memory and patience. */
  private static final double WORTH = 1.02;

  /**
   * Measures. Sets the number of threads while it runs, and sets it back.
   *
   * @param cores threads at most
   * @param secondsPerStep budget of each of its steps; about 2
   * @param told of what was measured
   */
  public static Tuning measure(
      StagedNetwork network, int cores, double secondsPerStep, Consumer<String> told) {
    int before = NativeRuntime.threads();
    try {
      Choice best = null;
      for (int threads : splits(cores)) {
        NativeRuntime.setThreads(threads);
        Choice found = batches(network, threads, secondsPerStep, told);
        if (best == null || found.rate > best.rate * WORTH) {
          best = found;
        }
      }
      int callers = 1;
      double rate = 0;
      for (int threads : splits(cores)) {
        int count = cores / threads;
        NativeRuntime.setThreads(threads);
        double found = callers(network, count, secondsPerStep);
        told.accept(
            String.format(
                Locale.ROOT,
                "%d callers with %d threads, batch 1: %.4g images/s",
                count,
                threads,
                found));
        if (found > rate) {
          rate = found;
          callers = count;
        }
      }
      return new Tuning(best.batch, best.threads, best.rate, callers, cores / callers, rate);
    } finally {
      NativeRuntime.setThreads(before);
    }
  }

  private record Choice(int batch, int threads, double rate) {}

  /** All cores, half of them, and so on down to one. */
  private static List<Integer> splits(int cores) {
    List<Integer> all = new ArrayList<>();
    for (int threads = cores; threads >= 1; threads /= 2) {
      all.add(threads);
    }
    return all;
  }

  private static Choice batches(
      StagedNetwork network, int threads, double budget, Consumer<String> told) {
    Choice best = null;
    double perImage = 0;
    for (int batch : BATCHES) {
      if (best != null && perImage * batch * 4 > 4 * budget) {
        break;
      }
      try (PointerScope scope = new PointerScope()) {
        Runnable work = BenchmarkModels.forward(network, images(network, batch));
        InterleavedTimes times =
            InterleavedTimes.measure(List.of(work), MOST_ROUNDS, budget / BATCHES.size());
        perImage = times.median(0) / batch;
        double rate = 1 / perImage;
        told.accept(
            String.format(
                Locale.ROOT, "batch %d, %d threads: %.4g images/s", batch, threads, rate));
        if (best == null || rate > best.rate * WORTH) {
          best = new Choice(batch, threads, rate);
        }
      }
    }
    return best;
  }

  private static Tensor images(StagedNetwork network, int n) {
    try (Rng rng = new Rng(0)) {
      return rng.uniform(
          network.dtype(), n, network.inputChannels(), network.imageSize(), network.imageSize());
    }
  }

  /** Images per second of callers that each send one image after another. */
  private static double callers(StagedNetwork network, int callers, double seconds) {
    ExecutorService pool = Executors.newFixedThreadPool(callers);
    try (PointerScope scope = new PointerScope()) {
      Tensor x = images(network, 1);
      long start = System.nanoTime();
      long end = start + (long) (seconds * 1e9);
      List<Future<Integer>> counts = new ArrayList<>();
      for (int i = 0; i < callers; i++) {
        counts.add(
            pool.submit(
                () -> {
                  int calls = 0;
                  do {
                    try (PointerScope inner = new PointerScope()) {
                      network.logits(x);
                    }
                    calls++;
                  } while (System.nanoTime() < end);
                  return calls;
                }));
      }
      int all = 0;
      for (Future<Integer> count : counts) {
        all += count.get();
      }
      return all / ((System.nanoTime() - start) / 1e9);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } finally {
      pool.shutdown();
    }
  }
}
