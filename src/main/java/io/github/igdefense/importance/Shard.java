package io.github.igdefense.importance;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.github.igdefense.data.InputException;

/**
 * A part of a ranking's work, for several processes or machines.
 *
 * @param by {@code units} or {@code images}
 * @param index 1..of
 * @param of number of parts
 */
public record Shard(
    @JsonProperty("by") String by, @JsonProperty("index") int index, @JsonProperty("of") int of) {

  /** All of it. */
  public static final Shard WHOLE = new Shard("units", 1, 1);

  /**
   * Checks the values.
   *
   * @throws InputException if they make no part
   */
  public Shard {
    if (!"units".equals(by) && !"images".equals(by)) {
      throw new InputException("expected --shard-by units or images, got '" + by + "'");
    }
    if (of < 1 || index < 1 || index > of) {
      throw new InputException(
          "expected --shard i/n with 1 <= i <= n, such as 1/4, got " + index + "/" + of);
    }
  }

  /**
   * Parses {@code i/n}.
   *
   * @throws InputException if it is no such fraction
   */
  public static Shard parse(String text, String by) {
    String[] parts = text.split("/", -1);
    try {
      if (parts.length == 2) {
        return new Shard(
            by, Integer.parseInt(parts[0].strip()), Integer.parseInt(parts[1].strip()));
      }
    } catch (NumberFormatException e) {
      // said below
    }
    throw new InputException("expected --shard i/n, such as 1/4, got '" + text + "'");
  }

  /** Whether it is a part of several. */
  @JsonIgnore
  public boolean isPart() {
    return of > 1;
  }

  /** First of {@code count} things that are this part's, if shared by {@code kind}. */
  int from(String kind, int count) {
    return kind.equals(by) ? (int) ((long) count * (index - 1) / of) : 0;
  }

  /** One past the last. */
  int to(String kind, int count) {
    return kind.equals(by) ? (int) ((long) count * index / of) : count;
  }

  @Override
  public String toString() {
    return index + "/" + of + " of the " + by;
  }
}
