package io.github.igdefense.cli;

import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.importance.DtypeAgreement;
import io.github.igdefense.importance.LeaveOneOut;
import io.github.igdefense.importance.LeaveOneOutOptions;
import io.github.igdefense.importance.LeaveOneOutSums;
import io.github.igdefense.importance.Normalization;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.importance.Shard;
import io.github.igdefense.importance.TopKRace;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
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
  private static final double SECOND = 1e9;

  /** Units are ranked on training images: test images are for judging. */
  @Mixin DataOptions data = new DataOptions("embedded:train");

  @Mixin ModelOptions model;

  @Option(
      names = "--layer",
      paramLabel = "NAME",
      split = ",",
      description = "Layers, separated by commas. Default: the penultimate one.")
  List<String> layers = new ArrayList<>();

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

  @Option(
      names = "--block-size",
      paramLabel = "N",
      description =
          "Interior layers: pairs (unit, image) through the rest of the network at once."
              + " Default: the fastest of a few sizes, measured on the first batch.")
  Integer blockSize;

  @Option(
      names = "--memory",
      paramLabel = "MIB",
      defaultValue = "1024",
      description = "Memory that a block may take, in MiB. Default: ${DEFAULT-VALUE}.")
  long memory;

  @Option(
      names = "--shard",
      paramLabel = "I/N",
      description =
          "Only part I of N; writes DIR/<checkpoint>/<layer>.shard-I-of-N.npz for igd rank merge.")
  String shard;

  @Option(
      names = "--shard-by",
      paramLabel = "WHAT",
      defaultValue = "units",
      description = "What the shards share: units or images. Default: ${DEFAULT-VALUE}.")
  String shardBy;

  @Option(
      names = "--resume",
      description = "Go on from the state of an interrupted run in --out, if there is one.")
  boolean resume;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description =
          "Interior layers: how often the state is saved (0: after every block of units)."
              + " Default: ${DEFAULT-VALUE}.")
  double checkpointEvery;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description =
          "Stop early: only the K most important units of every class are found, with"
              + " --confidence. Interior layers. Default: every image counts for every unit.")
  Integer topK;

  @Option(
      names = "--confidence",
      paramLabel = "P",
      defaultValue = "0.99",
      description =
          "Probability that all sets of --top-k units are those of the whole data."
              + " Default: ${DEFAULT-VALUE}.")
  double confidence;

  @Option(
      names = "--range-margin",
      paramLabel = "X",
      defaultValue = "3",
      description =
          "Assumption of --top-k: no difference exceeds X times the largest seen of its unit."
              + " Default: ${DEFAULT-VALUE}.")
  double rangeMargin;

  @Mixin Output output;

  private final List<Map<String, Object>> results = new ArrayList<>();

  @Override
  public Integer call() {
    int pairs = blockSize == null ? 0 : Values.positive("--block-size", blockSize);
    Normalization.parse(normalization);
    Shard part = shard == null ? Shard.WHOLE : Shard.parse(shard, shardBy);
    if (topK != null && (shard != null || resume || signed)) {
      throw new InputException(
          "expected --top-k without --shard, --resume and --signed: a race is one run on absolute"
              + " differences");
    }
    if (checkpointEvery < 0) {
      throw new InputException(
          "expected --checkpoint-every of at least 0 seconds, got " + checkpointEvery);
    }
    Values.outputFolder(out);
    try (StagedNetwork network = model.open();
        ImageSet images = data.open(output)) {
      network.notes().forEach(output::note);
      LeaveOneOutOptions options =
          new LeaveOneOutOptions(
              Normalization.parse(normalization),
              signed,
              model.compute.batchSize,
              pairs,
              Math.multiplyExact(Math.max(0, memory), 1L << 20));
      List<MaskableLayer> targets =
          layers.isEmpty()
              ? List.of(network.penultimate())
              : layers.stream().map(network::layer).distinct().toList();
      for (MaskableLayer target : targets) {
        rank(network, images, target, options, part);
      }
    }
    if (results.size() == 1) {
      output.json(results.get(0));
    } else {
      output.json(Map.of("rankings", results));
    }
    return 0;
  }

  private void rank(
      StagedNetwork network,
      ImageSet images,
      MaskableLayer target,
      LeaveOneOutOptions options,
      Shard part) {
    long start = System.nanoTime();
    Map<String, Object> json = new LinkedHashMap<>();
    Ranking ranking;
    if (topK != null) {
      ranking = race(network, images, target, options, json);
    } else {
      Path state = state(target, part);
      LeaveOneOutSums sums = sum(network, images, target, options, part, state);
      if (part.isPart()) {
        Path file = shardFile(target, part);
        sums.save(file);
        delete(state);
        output.result("shard " + part + " of " + target.name() + ": " + file);
        json.put("shard", file.toString());
        json.put("layer", target.name());
        json.put("settings", sums.settings());
        results.add(json);
        return;
      }
      ranking = sums.ranking();
    }
    if (network.dtype() == Dtype.BFLOAT16
        || network.float32Precision() != Float32Precision.HIGHEST) {
      ranking = compare(network, images, target, options, ranking);
    }
    double seconds = (System.nanoTime() - start) / SECOND;
    Path file = RankingFiles.write(out, model.stem(), ranking);
    delete(state(target, part));
    leftovers(out.resolve(model.stem()).resolve(target.name()));
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
    json.put("ranking", file.toString());
    json.put("layer", target.name());
    json.put("units", target.units());
    json.put("classes", network.classCount());
    json.put("images", images.size());
    json.put("seconds", seconds);
    json.put("provenance", ranking.provenance());
    results.add(json);
  }

  private LeaveOneOutSums sum(
      StagedNetwork network,
      ImageSet images,
      MaskableLayer target,
      LeaveOneOutOptions options,
      Shard part,
      Path state) {
    LeaveOneOutSums resumed = null;
    if (resume && Files.exists(state)) {
      resumed = LeaveOneOutSums.load(state);
      output.note("resuming " + target.name() + " from " + state);
    } else if (resume) {
      output.note("no state of an interrupted run at " + state + ": starting at the beginning");
    }
    long interval = (long) (checkpointEvery * SECOND);
    long[] saved = {System.nanoTime()};
    try (Output.Progress bar = output.progress("rank " + target.name(), images.size())) {
      return new LeaveOneOut(network, target, options)
          .sum(
              images,
              part,
              resumed,
              sums -> {
                if (!target.penultimate() && System.nanoTime() - saved[0] >= interval) {
                  sums.save(state);
                  saved[0] = System.nanoTime();
                }
              },
              bar::to);
    }
  }

  private Ranking race(
      StagedNetwork network,
      ImageSet images,
      MaskableLayer target,
      LeaveOneOutOptions options,
      Map<String, Object> json) {
    TopKRace.Result result;
    try (Output.Progress bar = output.progress("race " + target.name(), images.size())) {
      result =
          new TopKRace(network, target, options, topK, confidence, rangeMargin, model.compute.seed)
              .run(images, bar::to);
    }
    output.result(result.summary());
    json.put("race", result.figures());
    return result.ranking();
  }

  /** How well the top units agree with those of float32 at highest precision, on a sample. */
  private Ranking compare(
      StagedNetwork network,
      ImageSet images,
      MaskableLayer target,
      LeaveOneOutOptions options,
      Ranking ranking) {
    try (StagedNetwork reference = model.openWide(network)) {
      int keep = topK != null ? topK : DefenseOptions.defaultKeep(target.units());
      DtypeAgreement agreement =
          DtypeAgreement.measure(network, reference, target.name(), images, options, keep);
      output.result(agreement.toString());
      return agreement.into(ranking);
    }
  }

  private Path state(MaskableLayer target, Shard part) {
    String name =
        part.isPart()
            ? "." + target.name() + shardName(part) + ".state.npz"
            : "." + target.name() + ".state.npz";
    return out.resolve(model.stem()).resolve(name);
  }

  private Path shardFile(MaskableLayer target, Shard part) {
    return out.resolve(model.stem()).resolve(target.name() + shardName(part) + ".npz");
  }

  private static String shardName(Shard part) {
    return ".shard-" + part.index() + "-of-" + part.of();
  }

  /** Removes a state, and what a killed process left of one. */
  private static void delete(Path state) {
    try {
      Files.deleteIfExists(state);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot delete " + state + ": " + e.getMessage(), e);
    }
    leftovers(state);
  }

  private static void leftovers(Path target) {
    try {
      AtomicFiles.deleteLeftovers(target);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot delete what is left of " + target + ": " + e.getMessage(), e);
    }
  }
}
