package io.github.igdefense.cli;

import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingComparison;
import io.github.igdefense.importance.RankingReader;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code igd ranking compare}: how much two rankings agree. */
@Command(
    name = "compare",
    description =
        "Overlap of the top units (Jaccard) and rank correlation (Spearman) of two rankings, class"
            + " by class.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class RankingCompareCommand implements Callable<Integer> {
  private static final int SHOWN_CLASSES = 100;

  @Parameters(index = "0", paramLabel = "A", description = "A ranking: file or folder.")
  Path first;

  @Parameters(index = "1", paramLabel = "B", description = "Another of as many units and classes.")
  Path second;

  @Option(
      names = "--layer",
      paramLabel = "NAME",
      description = "Layer, where a folder holds several.")
  String layer;

  @Option(
      names = "--top",
      paramLabel = "K",
      description = "Units per class. Default: 50 (750 of a layer of 2048 or more), at most all.")
  Integer top;

  @Mixin Output output;

  @Override
  public Integer call() {
    Ranking a = RankingReader.open(first, layer);
    Ranking b = RankingReader.open(second, layer);
    int k = top == null ? DefenseOptions.defaultKeep(a.units()) : Values.positive("--top", top);
    RankingComparison comparison = RankingComparison.of(a, b, k);
    double[] jaccard = comparison.jaccard();
    double[] spearman = comparison.spearman();
    for (int c = 0; c < jaccard.length && c < SHOWN_CLASSES; c++) {
      output.result(
          String.format(
              Locale.ROOT,
              "class %d: Jaccard at %d %.4f, Spearman %.4f",
              c,
              k,
              jaccard[c],
              spearman[c]));
    }
    output.result(
        String.format(
            Locale.ROOT,
            "mean of %d classes: Jaccard at %d %.4f (two random rankings: %.4f), Spearman %.4f",
            jaccard.length,
            k,
            comparison.meanJaccard(),
            comparison.chanceJaccard(),
            comparison.meanSpearman()));
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("top", k);
    json.put("units", a.units());
    json.put("classes", a.classCount());
    json.put("jaccard", jaccard);
    json.put("spearman", spearman);
    json.put("mean_jaccard", comparison.meanJaccard());
    json.put("chance_jaccard", comparison.chanceJaccard());
    json.put("mean_spearman", comparison.meanSpearman());
    output.json(json);
    return 0;
  }
}
