package io.github.igdefense.cli;

import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.data.SourceOptions;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** How images are opened, besides their specification. */
final class ImageSourceOptions {
  @Option(
      names = "--preprocessing",
      paramLabel = "NAME",
      description =
          "Res256Crop224, BicubicRes256Crop224, Crop288, Res224 (any sizes), or none. Default:"
              + " Res256Crop224 for imagenet:, none for all others.")
  String preprocessing;

  @Option(
      names = "--image-list",
      paramLabel = "FILE",
      description =
          "Of a folder, only the images of this list, in its order: a path on each line, with or"
              + " without a label.")
  Path imageList;

  @Option(
      names = "--class-map",
      paramLabel = "FILE",
      description = "JSON with the label of each class folder: {\"n01440764\": 0, ...}.")
  Path classMap;

  @Option(names = "--classes", paramLabel = "FILE", description = "Class names, one a line.")
  Path classes;

  @Option(
      names = "--skip-unreadable",
      description =
          "Go on without images of a folder that cannot be decoded, and name them. Decodes all"
              + " once.")
  boolean skipUnreadable;

  SourceOptions parsed() {
    return new SourceOptions(
        preprocessing == null ? null : Preprocessing.parse(preprocessing),
        imageList,
        classMap,
        classes,
        skipUnreadable);
  }
}
