package io.github.igdefense.defense;

import io.github.igdefense.tensor.DefendedNet;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.concurrent.Semaphore;
import java.util.function.IntFunction;

/**
 * The calls that may compute at the same time, each with native memory of its own. First come,
 * first served. Thread-safe.
 */
final class ClassifierSlots {
  private final IntFunction<DefendedNet.Workspace> allocate;
  private final Semaphore permits;
  private final Slot[] free;
  private int freeCount;
  private volatile boolean closed;
  private boolean released;

  /**
   * @param allocate memory for so many images
   */
  ClassifierSlots(int count, IntFunction<DefendedNet.Workspace> allocate) {
    this.allocate = allocate;
    this.permits = new Semaphore(count, true);
    this.free = new Slot[count];
    for (int i = 0; i < count; i++) {
      free[i] = new Slot();
    }
    freeCount = count;
  }

  int count() {
    return free.length;
  }

  /** A slot for this call; waits for one. */
  Slot take() {
    enter(1);
    synchronized (free) {
      return free[--freeCount];
    }
  }

  void give(Slot slot) {
    synchronized (free) {
      free[freeCount++] = slot;
    }
    permits.release();
  }

  private void enter(int count) {
    checkOpen();
    permits.acquireUninterruptibly(count);
    if (closed) {
      permits.release(count);
      checkOpen();
    }
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("the defended classifier is closed; open the bundle again");
    }
  }

  /** Memory for so many images in every slot; waits until no call is running. */
  void reserve(int images) {
    enter(free.length);
    try {
      synchronized (free) {
        for (Slot slot : free) {
          slot.memory(images);
        }
      }
    } finally {
      permits.release(free.length);
    }
  }

  /** Refuses further calls, waits for those running, frees the slots, then runs {@code last}. */
  synchronized void close(Runnable last) {
    if (released) {
      return;
    }
    closed = true;
    permits.acquireUninterruptibly(free.length);
    try {
      released = true;
      synchronized (free) {
        for (Slot slot : free) {
          slot.close();
        }
      }
      last.run();
    } finally {
      permits.release(free.length);
    }
  }

  /** One call's memory. */
  final class Slot {
    private DefendedNet.Workspace memory;
    private FloatBuffer floats;

    /** Memory for at least so many images; what was in it is lost where it has to grow. */
    DefendedNet.Workspace memory(int images) {
      if (memory == null || memory.images() < images) {
        close();
        memory = allocate.apply(images);
        floats = memory.pixels().asFloatBuffer();
      }
      return memory;
    }

    void load(float[] values, int from, int count) {
      floats.put(0, values, from, count);
    }

    void load(ByteBuffer values, int position, int count) {
      ByteBuffer pixels = memory.pixels();
      if (values.order() == ByteOrder.nativeOrder()) {
        pixels.put(0, values, position, Float.BYTES * count);
      } else {
        for (int i = 0; i < count; i++) {
          pixels.putFloat(Float.BYTES * i, values.getFloat(position + Float.BYTES * i));
        }
      }
    }

    private void close() {
      if (memory != null) {
        memory.close();
        memory = null;
        floats = null;
      }
    }
  }
}
