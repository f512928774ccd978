package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.importance.LeaveOneOut;
import io.github.igdefense.importance.Normalization;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd rank loir}: leave-one-out importance ranking (paper eq. 5). */
@Command(
    name = "loir",
    description =
        "Leave-one-out importance: mean |change of the true class's logit| without the unit.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class RankLoirCommand implements Callable<Integer> {
  /** Units are ranked on training images: test images are for judging. */
  @Mixin DataOptions data = new DataOptions("embedded:train");

  @Mixin ModelOptions model;

  @Option(
      names = "--layer",
      paramLabel = "NAME",
      description = "Layer. Default: the penultimate one.")
  String layer;

  @Option(
      names = "--normalization",
      paramLabel = "NAME",
      defaultValue = "class-mean",
      description =
          "class-mean, or reference (sum / images * classes, as the published code)."
              + " Default: ${DEFAULT-VALUE}.")
  String normalization;

  @Option(
      names = "--signed",
      description = "Keep the sign of the difference instead of its absolute value.")
  boolean signed;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Writes DIR/<checkpoint>/<layer>/unit<u>.npy and DIR/<checkpoint>/<layer>.npz.")
  Path out;

  @Mixin Output output;

  @Override
  public Integer call() {
    Normalization parsed = Normalization.parse(normalization);
    Values.outputFolder(out);
    try (StagedNetwork network = model.open();
        ImageSet images = data.open(output)) {
      network.notes().forEach(output::note);
      MaskableLayer target = layer == null ? network.penultimate() : network.layer(layer);
      long start = System.nanoTime();
      Ranking ranking;
      try (Output.Progress bar = output.progress("rank " + target.name(), images.size())) {
        ranking =
            new LeaveOneOut(network, target, parsed, signed, model.compute.batchSize)
                .rank(images, bar::to);
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      Path file = RankingFiles.write(out, model.stem(), ranking);
      output.result(
          String.format(
              Locale.ROOT,
              "ranked %d units of %s for %d classes on %d images in %.2f s: %s",
              target.units(),
              target.name(),
              network.classCount(),
              images.size(),
              seconds,
              file));
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("ranking", file.toString());
      json.put("layer", target.name());
      json.put("units", target.units());
      json.put("classes", network.classCount());
      json.put("images", images.size());
      json.put("seconds", seconds);
      json.put("provenance", ranking.provenance());
      output.json(json);
      return 0;
    }
  }
}
