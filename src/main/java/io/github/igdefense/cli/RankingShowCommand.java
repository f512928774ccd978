package io.github.igdefense.cli;

import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.InputException;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingReader;
import io.github.igdefense.report.RankingHeatMap;
import io.github.igdefense.report.RankingPicture;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code igd ranking show}: the top units of every class, and a picture. */
@Command(
    name = "show",
    description = "Print a ranking's origin and the top units of every class; draw it.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class RankingShowCommand implements Callable<Integer> {
  private static final int SHOWN_CLASSES = 100;

  @Parameters(
      paramLabel = "FILE|DIR",
      description =
          "Ranking file (.npz), folder of unit<u>.npy files, or a folder with one of them.")
  Path path;

  @Option(
      names = "--layer",
      paramLabel = "NAME",
      description = "Layer, where the folder holds several.")
  String layer;

  @Option(
      names = "--top",
      paramLabel = "K",
      defaultValue = "10",
      description = "Units per class. Default: ${DEFAULT-VALUE}.")
  int top;

  @Option(
      names = "--picture",
      paramLabel = "FILE.png|FILE.svg",
      description = "Also draws a heat map: a strip per class, a column per unit.")
  Path picture;

  @Mixin Output output;

  @Override
  public Integer call() {
    Values.positive("--top", top);
    Ranking ranking = RankingReader.open(path, layer);
    int k = Math.min(top, ranking.units());
    output.result(
        String.format(
            Locale.ROOT,
            "%s: %d units, %d classes%s",
            ranking.layer(),
            ranking.units(),
            ranking.classCount(),
            origin(ranking)));
    List<Map<String, Object>> classes = new ArrayList<>();
    for (int c = 0; c < ranking.classCount(); c++) {
      int[] units = ranking.topK(c, k);
      int index = c;
      Map<String, Object> one = new LinkedHashMap<>();
      one.put("class", c);
      one.put("units", units);
      one.put(
          "importance",
          Arrays.stream(units).mapToDouble(u -> ranking.importance(u, index)).toArray());
      classes.add(one);
      if (c < SHOWN_CLASSES) {
        output.result(
            String.format(
                Locale.ROOT,
                "class %d: %s",
                c,
                Arrays.stream(units)
                    .mapToObj(
                        u ->
                            String.format(
                                Locale.ROOT, "%d (%.4g)", u, ranking.importance(u, index)))
                    .collect(Collectors.joining(", "))));
      }
    }
    if (ranking.classCount() > SHOWN_CLASSES) {
      output.result(
          "... and " + (ranking.classCount() - SHOWN_CLASSES) + " more classes (--json has all)");
    }
    if (picture != null) {
      draw(picture, ranking, k);
      output.result("drawn: " + picture);
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("layer", ranking.layer());
    json.put("units", ranking.units());
    json.put("classes", ranking.classCount());
    json.put("top", k);
    json.put("top_units", classes);
    json.put("picture", picture == null ? null : picture.toString());
    json.put("provenance", ranking.provenance());
    output.json(json);
    return 0;
  }

  private static String origin(Ranking ranking) {
    if (ranking.provenance().method() == null) {
      return "; no record of its origin";
    }
    return "; "
        + ranking.provenance().method()
        + " of "
        + ranking.provenance().architecture()
        + " on "
        + ranking.provenance().images()
        + " images of "
        + ranking.provenance().data()
        + ", igdefense "
        + ranking.provenance().version();
  }

  static void draw(Path file, Ranking ranking, int keep) {
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    double[][] importance = new double[ranking.units()][ranking.classCount()];
    for (int u = 0; u < ranking.units(); u++) {
      for (int c = 0; c < ranking.classCount(); c++) {
        importance[u][c] = ranking.importance(u, c);
      }
    }
    RankingPicture content =
        new RankingPicture(
            ranking.provenance().method(),
            ranking.layer(),
            ranking.units(),
            keep,
            IntStream.range(0, ranking.classCount()).mapToObj(c -> "class " + c).toList(),
            importance);
    if (name.endsWith(".png")) {
      AtomicFiles.writeBytes(file, RankingHeatMap.png(content));
    } else if (name.endsWith(".svg")) {
      AtomicFiles.writeText(file, RankingHeatMap.svg(content));
    } else {
      throw new InputException("expected --picture FILE.png or FILE.svg, got " + file);
    }
  }
}
