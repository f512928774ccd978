package io.github.igdefense.cli;

import io.github.igdefense.importance.LeaveOneOutSums;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code igd rank merge}: the shards of one leave-one-out ranking become the ranking. */
@Command(
    name = "merge",
    description =
        "Join the shards of igd rank loir: the ranking is that of one run, to the last bit.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class RankMergeCommand implements Callable<Integer> {
  @Parameters(
      arity = "1..*",
      paramLabel = "FILE",
      description = "All shard files of one layer, in any order.")
  List<Path> files;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Writes DIR/<checkpoint>/<layer>/unit<u>.npy and DIR/<checkpoint>/<layer>.npz.")
  Path out;

  @Option(
      names = "--name",
      paramLabel = "NAME",
      description = "Name of the <checkpoint> folder. Default: the shard files' own.")
  String name;

  @Mixin Output output;

  @Override
  public Integer call() {
    Values.outputFolder(out);
    Ranking ranking = LeaveOneOutSums.merge(files).ranking();
    Path folder = files.get(0).toAbsolutePath().normalize().getParent();
    String stem = name != null ? name : String.valueOf(folder.getFileName());
    Path file = RankingFiles.write(out, stem, ranking);
    output.result("merged " + files.size() + " shards of " + ranking.layer() + ": " + file);
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("ranking", file.toString());
    json.put("layer", ranking.layer());
    json.put("shards", files.size());
    json.put("provenance", ranking.provenance());
    output.json(json);
    return 0;
  }
}
