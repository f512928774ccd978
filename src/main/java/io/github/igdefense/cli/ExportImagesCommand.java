package io.github.igdefense.cli;

import io.github.igdefense.data.CifarWriter;
import io.github.igdefense.data.ImageArrays;
import io.github.igdefense.data.ImageDifferences;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code igd export-images}: an image set in another form, read back and compared. For the
 * project's scripts.
 */
@Command(
    name = "export-images",
    description = "Write an image set in another form, read it back and compare.",
    hidden = true,
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class ExportImagesCommand implements Callable<Integer> {
  /** Forms to write. */
  enum Form {
    NPZ,
    CIFAR10_BINARY,
    CIFAR10_PYTHON
  }

  /** Parts of CIFAR-10. */
  enum Part {
    TRAIN,
    TEST
  }

  @Mixin DataOptions data;

  @Option(
      names = "--form",
      defaultValue = "NPZ",
      description = "${COMPLETION-CANDIDATES}. Default: ${DEFAULT-VALUE}.")
  Form form;

  @Option(
      names = "--part",
      defaultValue = "TEST",
      description = "Of CIFAR-10, the part to write: ${COMPLETION-CANDIDATES}.")
  Part part;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "PATH",
      description = "File of NPZ; folder of the others.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    try (ImageSet images = data.open(output)) {
      boolean train = part == Part.TRAIN;
      if (form == Form.NPZ) {
        Values.outputFile(out);
        ImageArrays.write(out, images);
      } else {
        Values.outputFolder(out);
        CifarWriter.write(images, form == Form.CIFAR10_PYTHON, train, out);
      }
      String spec = form == Form.NPZ ? "npz:" + out : "cifar10:" + out + (train ? ":train" : "");
      try (ImageSet written = ImageSets.open(spec)) {
        ImageDifferences found = ImageDifferences.between(images, written);
        if (found.different() > 0) {
          throw new InputException(
              "read back "
                  + spec
                  + ": "
                  + found.different()
                  + " of "
                  + found.images()
                  + " images differ, the first at "
                  + found.first());
        }
        output.result(
            found.images() + " images in " + spec + ", read back: all equal to " + images.name());
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("data", spec);
        json.put("images", found.images());
        json.put("sha256", written.sha256());
        output.json(json);
      }
      return 0;
    }
  }
}
