package io.github.igdefense.cli;

import io.github.igdefense.data.ImageArrays;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.Subset;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd subset}: a class-balanced subset of an image set. */
@Command(
    name = "subset",
    description = {
      "Draw the same number of images of every class, with a seed.",
      "Writes a folder of links, a list of images (FILE.txt) or arrays (FILE.npz)."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class SubsetCommand implements Callable<Integer> {
  @Option(
      names = "--data",
      required = true,
      paramLabel = "SPEC",
      description = "Images to draw from: " + ImageSets.FORMS + ".")
  String data;

  @Mixin ImageSourceOptions source;

  @Option(
      names = "--per-class",
      required = true,
      paramLabel = "N",
      description = "Images of each class.")
  int perClass;

  @Option(
      names = "--seed",
      paramLabel = "S",
      defaultValue = "0",
      description = "Seed of the draw. Default: ${DEFAULT-VALUE}.")
  long seed;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR|FILE",
      description = "New folder for links; or a list if it ends in .txt, arrays if in .npz.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    Values.positive("--per-class", perClass);
    String name = out.toString();
    boolean list = name.endsWith(".txt");
    boolean arrays = name.endsWith(".npz");
    if (list || arrays) {
      Values.outputFile(out);
    } else {
      Values.outputFolder(out);
    }
    try (ImageSet images = ImageSets.open(data, source.parsed())) {
      images.remarks().forEach(output::warn);
      int[] chosen = Subset.choose(images, perClass, seed);
      if (list) {
        Subset.writeList(images, chosen, out);
      } else if (arrays) {
        ImageArrays.write(out, images.select(chosen));
      } else {
        Subset.writeLinks(images, chosen, out);
      }
      output.result(
          String.format(
              "%d images of each of %d classes (seed %d), %d of %d images of %s: %s",
              perClass,
              images.classCount(),
              seed,
              chosen.length,
              images.size(),
              images.name(),
              out));
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("out", out.toString());
      json.put("form", list ? "list" : arrays ? "arrays" : "links");
      json.put("per_class", perClass);
      json.put("classes", images.classCount());
      json.put("seed", seed);
      json.put("images", chosen.length);
      json.put("images_available", images.size());
      output.json(json);
      return 0;
    }
  }
}
