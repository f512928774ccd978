package io.github.igdefense.evaluation;

import io.github.igdefense.data.InputException;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * Times single pieces of work on request, for another program that measures in turns with this one
 * ({@code scripts/bench_vs_pytorch.py}). Keeps the images of every batch asked for. Confined to one
 * thread, whose native scope must stay open as long as this lives.
 */
public final class RequestedWork {
  private static final int MOST_IMAGES = 4096;
  private static final int MOST_CALLS = 100_000;

  private final BenchmarkModels models;
  private final Map<String, Runnable> works = new HashMap<>();
  private final Map<String, Function<Tensor, Runnable>> known = new TreeMap<>();

  /** On models that stay open. */
  public RequestedWork(BenchmarkModels models) {
    this.models = models;
    known.put("forward", x -> BenchmarkModels.forward(models.float32(), x));
    known.put("high", x -> BenchmarkModels.forward(models.high(), x));
    known.put("bfloat16", x -> BenchmarkModels.forward(models.bfloat16(), x));
    known.put("eager", x -> BenchmarkModels.forward(models.eager(), x));
    known.put("defended", x -> BenchmarkModels.forward(models.defended(), x));
    known.put("smoothed", x -> BenchmarkModels.forward(models.smoothed(), x));
    known.put("smoothed-high", x -> BenchmarkModels.forward(models.smoothedHigh(), x));
    known.put("smoothed-medium", x -> BenchmarkModels.forward(models.smoothedMedium(), x));
    known.put("smoothed-bf16", x -> BenchmarkModels.forward(models.smoothedBfloat16(), x));
    known.put("gradient", x -> BenchmarkModels.gradient(models.float32(), x));
  }

  /**
   * Seconds of each call.
   *
   * @param request {@code WORK BATCH CALLS}, such as {@code forward 32 5}
   * @throws InputException naming the works there are
   */
  public double[] times(String request) {
    String[] parts = request.trim().split("\\s+");
    if (parts.length != 3
        || !known.containsKey(parts[0])
        || !parts[1].matches("\\d{1,6}")
        || !parts[2].matches("\\d{1,6}")) {
      throw new InputException(
          "expected WORK BATCH CALLS with WORK one of "
              + known.keySet()
              + ", got '"
              + request
              + "'");
    }
    int batch = Integer.parseInt(parts[1]);
    int calls = Integer.parseInt(parts[2]);
    if (batch < 1 || batch > MOST_IMAGES || calls < 1 || calls > MOST_CALLS) {
      throw new InputException("expected 1 to 4096 images and 1 to 100000 calls, got " + request);
    }
    Runnable work =
        works.computeIfAbsent(
            parts[0] + " " + batch, key -> known.get(parts[0]).apply(models.images(batch)));
    double[] seconds = new double[calls];
    for (int i = 0; i < calls; i++) {
      try (PointerScope scope = new PointerScope()) {
        long start = System.nanoTime();
        work.run();
        seconds[i] = (System.nanoTime() - start) / 1e9;
      }
    }
    return seconds;
  }
}
