package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import picocli.CommandLine.Option;

/** Which images a command works on. */
final class DataOptions {
  @Option(
      names = "--data",
      paramLabel = "SPEC",
      description =
          "Images: npz:FILE, idx:DIR[:train|test], folder:DIR, cifar10:DIR[:train|test] or"
              + " embedded[:train|test]. Default: ${DEFAULT-VALUE}.",
      defaultValue = "embedded:test")
  String data;

  @Option(names = "--limit", paramLabel = "N", description = "Use the first N images only.")
  Integer limit;

  /** Opens the set and says when fewer images are used than there are, or than were asked for. */
  ImageSet open(Output output) {
    ImageSet all = ImageSets.open(data);
    if (limit == null) {
      return all;
    }
    if (limit < 1) {
      throw new InputException("expected --limit of at least 1, got " + limit);
    }
    ImageSet used = all.limit(limit);
    output.note(
        "data: asked for " + limit + " of " + all.size() + " images, using " + used.size());
    return used;
  }
}
