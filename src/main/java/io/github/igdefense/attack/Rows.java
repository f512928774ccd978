package io.github.igdefense.attack;

import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/** Copies of whole images between batches, chosen by flags or positions. */
final class Rows {
  private Rows() {}

  /** Positions at which a flag is set. */
  static int[] where(boolean[] flags) {
    int count = 0;
    for (boolean flag : flags) {
      count += flag ? 1 : 0;
    }
    int[] rows = new int[count];
    int next = 0;
    for (int i = 0; i < flags.length; i++) {
      if (flags[i]) {
        rows[next++] = i;
      }
    }
    return rows;
  }

  /** {@code target[i] = source[i]} for the rows flagged. */
  static void copy(Tensor target, Tensor source, boolean[] flags) {
    int[] rows = where(flags);
    copy(target, rows, source, rows);
  }

  /** {@code target[to[j]] = source[from[j]]} for all j. */
  static void copy(Tensor target, int[] to, Tensor source, int[] from) {
    if (to.length == 0) {
      return;
    }
    try (PointerScope scope = new PointerScope()) {
      if (to.length == target.size(0) && to == from && source.size(0) == to.length) {
        target.copy_(source);
        return;
      }
      target.index_copy_(0, index(to), Tensors.rows(source, from));
    }
  }

  /**
   * Moves the rows at {@code kept} (ascending) to the front of the same memory.
   *
   * @return a view of them, in the caller's scope
   */
  static Tensor compact(Tensor buffer, int[] kept) {
    Tensor front = buffer.narrow(0, 0, kept.length);
    try (PointerScope scope = new PointerScope()) {
      front.copy_(Tensors.rows(buffer, kept));
    }
    return front;
  }

  /** The entries at {@code kept}. */
  static int[] pick(int[] values, int[] kept) {
    int[] picked = new int[kept.length];
    for (int j = 0; j < kept.length; j++) {
      picked[j] = values[kept[j]];
    }
    return picked;
  }

  /** The entries at {@code kept}. */
  static long[] pick(long[] values, int[] kept) {
    long[] picked = new long[kept.length];
    for (int j = 0; j < kept.length; j++) {
      picked[j] = values[kept[j]];
    }
    return picked;
  }

  /** The entries at {@code kept}. */
  static double[] pick(double[] values, int[] kept) {
    double[] picked = new double[kept.length];
    for (int j = 0; j < kept.length; j++) {
      picked[j] = values[kept[j]];
    }
    return picked;
  }

  /** Positions as an index tensor [n] int64 in the caller's scope. */
  static Tensor index(int[] rows) {
    long[] index = new long[rows.length];
    for (int i = 0; i < rows.length; i++) {
      index[i] = rows[i];
    }
    return Tensors.of(index, index.length);
  }
}
