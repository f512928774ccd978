package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import picocli.CommandLine.Mixin;
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
      description =
          "Use the first N images only; of a set sorted by class (folders), the first of every"
              + " class.")
  Integer limit;

  @Mixin ImageSourceOptions source = new ImageSourceOptions();

  /** Test images unless told otherwise. */
  DataOptions() {
    this("embedded:test");
  }

  /** The initial value is the default that the command line shows. */
  DataOptions(String data) {
    this.data = data;
  }

  /** Opens the set and says what was asked for, what there is and what is used. */
  ImageSet open(Output output) {
    if (limit != null && limit < 1) {
      throw new InputException("expected --limit of at least 1, got " + limit);
    }
    return limited(ImageSets.open(data, source.parsed()), limit, output);
  }

  /** The first {@code limit} images (null: all), equally many of each class if they are sorted. */
  static ImageSet limited(ImageSet all, Integer limit, Output output) {
    ImageSet used =
        limit == null ? all : all.isSortedByClass() ? all.balanced(limit) : all.limit(limit);
    say(all, used, limit, output);
    return used;
  }

  /** Says what was asked for, what there is and what is used. */
  static void say(ImageSet all, ImageSet used, Integer limit, Output output) {
    output.note(
        "data: asked for "
            + (limit == null ? "all" : limit)
            + " of "
            + all.size()
            + " images, using "
            + used.size()
            + " of "
            + all.name()
            + "; preprocessing: "
            + all.preprocessing());
    all.remarks().forEach(output::warn);
  }
}
