package io.github.igdefense.cli;

import java.util.ArrayList;
import java.util.List;

/** Things opened one by one that are closed together, the last first. */
final class Opened<T extends AutoCloseable> implements AutoCloseable {
  private final List<T> things = new ArrayList<>();

  <S extends T> S add(S thing) {
    things.add(thing);
    return thing;
  }

  @Override
  public void close() {
    for (int i = things.size() - 1; i >= 0; i--) {
      try {
        things.get(i).close();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
