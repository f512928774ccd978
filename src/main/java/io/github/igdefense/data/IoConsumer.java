package io.github.igdefense.data;

import java.io.IOException;

/** A consumer that may fail with an {@link IOException}. */
@FunctionalInterface
public interface IoConsumer<T> {
  /** Takes the value. */
  void accept(T value) throws IOException;
}
