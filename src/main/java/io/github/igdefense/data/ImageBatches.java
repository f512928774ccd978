package io.github.igdefense.data;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Batches of an image set in a fixed order, decoded in parallel ahead of their use.
 *
 * <p>At most {@code threads + 1} batches exist besides the one handed out, so memory stays bounded
 * however large the set is. The order and content do not depend on the number of threads. An
 * instance is for one consumer thread; close it (idempotent) to stop its decoding threads. Closing
 * does not close the set.
 *
 * <pre>{@code
 * try (ImageBatches batches = ImageBatches.of(set, 64)) {
 *   while (batches.hasNext()) {
 *     ImageBatch batch = batches.next();
 *   }
 * }
 * }</pre>
 */
public final class ImageBatches implements Iterator<ImageBatch>, AutoCloseable {
  private final ImageSet set;
  private final int batchSize;
  private final int[] order;
  private final boolean asDouble;
  private final int ahead;
  private final ExecutorService executor;
  private final Deque<Future<ImageBatch>> pending = new ArrayDeque<>();
  private final int batchCount;
  private int submitted;
  private int delivered;

  private ImageBatches(ImageSet set, int batchSize, int[] order, boolean asDouble, int threads) {
    if (batchSize < 1) {
      throw new InputException("expected a positive batch size, got " + batchSize);
    }
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be positive: " + threads);
    }
    this.set = Objects.requireNonNull(set, "set");
    this.batchSize = batchSize;
    this.order = order;
    this.asDouble = asDouble;
    this.batchCount = (int) (((long) order.length + batchSize - 1) / batchSize);
    this.ahead = threads + 1;
    this.executor =
        Executors.newFixedThreadPool(
            Math.max(1, Math.min(threads, batchCount)),
            task -> {
              Thread thread = new Thread(task, "igd-decode");
              thread.setDaemon(true);
              return thread;
            });
  }

  /** All images in their order, float32, last batch possibly smaller. */
  public static ImageBatches of(ImageSet set, int batchSize) {
    return of(set, batchSize, null, false);
  }

  /**
   * The images at {@code order} (null: all in their order), with up to two decoding threads, eight
   * for image files, but no more than there are processors.
   *
   * @param order positions in the set, for example a shuffled permutation; copied
   * @param asDouble fill {@link ImageBatch#doubles()} instead of {@link ImageBatch#floats()}
   */
  public static ImageBatches of(ImageSet set, int batchSize, int[] order, boolean asDouble) {
    int most = set.isLazy() ? 8 : 2;
    int threads = Math.min(most, Runtime.getRuntime().availableProcessors());
    return of(set, batchSize, order, asDouble, threads);
  }

  /** As {@link #of(ImageSet, int, int[], boolean)} with a given number of decoding threads. */
  public static ImageBatches of(
      ImageSet set, int batchSize, int[] order, boolean asDouble, int threads) {
    int[] positions;
    if (order == null) {
      positions = new int[set.size()];
      Arrays.setAll(positions, i -> i);
    } else {
      positions = order.clone();
      for (int index : positions) {
        Objects.checkIndex(index, set.size());
      }
    }
    return new ImageBatches(set, batchSize, positions, asDouble, threads);
  }

  /** Number of batches in all. */
  public int batchCount() {
    return batchCount;
  }

  /** Number of images in all. */
  public int imageCount() {
    return order.length;
  }

  @Override
  public boolean hasNext() {
    return delivered < batchCount;
  }

  /**
   * The next batch; waits for its decoding.
   *
   * @throws InputException if one of its images cannot be decoded
   * @throws IllegalStateException if this was closed or the waiting thread was interrupted
   */
  @Override
  public ImageBatch next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    if (executor.isShutdown()) {
      throw new IllegalStateException("batches are closed");
    }
    while (submitted < batchCount && pending.size() < ahead) {
      int first = submitted++ * batchSize;
      pending.add(executor.submit(() -> decode(first)));
    }
    try {
      ImageBatch batch = pending.remove().get();
      delivered++;
      if (submitted < batchCount) {
        int first = submitted++ * batchSize;
        pending.add(executor.submit(() -> decode(first)));
      }
      return batch;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      close();
      throw new IllegalStateException("interrupted while decoding images", e);
    } catch (ExecutionException e) {
      close();
      if (e.getCause() instanceof RuntimeException failure) {
        throw failure;
      }
      if (e.getCause() instanceof Error failure) {
        throw failure;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  private ImageBatch decode(int first) {
    int[] indices = Arrays.copyOfRange(order, first, Math.min(order.length, first + batchSize));
    int length = set.imageLength();
    int total = Math.multiplyExact(indices.length, length);
    float[] floats = asDouble ? null : new float[total];
    double[] doubles = asDouble ? new double[total] : null;
    long[] labels = new long[indices.length];
    for (int i = 0; i < indices.length; i++) {
      if (asDouble) {
        set.read(indices[i], doubles, i * length);
      } else {
        set.read(indices[i], floats, i * length);
      }
      labels[i] = set.label(indices[i]);
    }
    return new ImageBatch(
        indices, set.channels(), set.height(), set.width(), floats, doubles, labels);
  }

  /** Stops decoding; idempotent. */
  @Override
  public void close() {
    executor.shutdownNow();
    pending.clear();
  }
}
