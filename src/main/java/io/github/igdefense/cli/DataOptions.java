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
      description = "Images with labels: " + ImageSets.FORMS + ". Default: ${DEFAULT-VALUE}.")
  String data;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "Use the first N images only; of a folder, the first of every class.")
  Integer limit;

  /** Test images unless told otherwise. */
  DataOptions() {
    this("embedded:test");
  }

  /** The initial value is the default that the command line shows. */
  DataOptions(String data) {
    this.data = data;
  }

  /** Opens the set and says when fewer images are used than there are, or than were asked for. */
  ImageSet open(Output output) {
    ImageSet all = ImageSets.open(data);
    if (limit == null) {
      return all;
    }
    if (limit < 1) {
      throw new InputException("expected --limit of at least 1, got " + limit);
    }
    // Folders list class after class: their first images are all of one class.
    ImageSet used = data.startsWith("folder:") ? all.balanced(limit) : all.limit(limit);
    output.note("data: asked for " + limit + " of " + all.size() + " images, using " + used.size());
    return used;
  }
}
