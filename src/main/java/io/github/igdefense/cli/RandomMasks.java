package io.github.igdefense.cli;

import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.model.MaskableLayer;
import java.nio.file.Files;
import java.nio.file.Path;

/** What may stand for a ranking's file: {@code random} or {@code random:SEED}. */
final class RandomMasks {
  static final String NAME = "random";

  private RandomMasks() {}

  /** Whether a text asks for random masks; a file of that name comes first. */
  static boolean named(String text) {
    return text.matches(NAME + "(:-?\\d{1,18})?") && !Files.exists(Path.of(text));
  }

  /**
   * The masks.
   *
   * @param text with {@link #named}; without a seed it is 0
   */
  static ClassMasks of(String text, MaskableLayer layer, int classes, int keep) {
    long seed = text.equals(NAME) ? 0 : Long.parseLong(text.substring(NAME.length() + 1));
    return ClassMasks.random(layer.name(), classes, layer.units(), keep, seed);
  }
}
