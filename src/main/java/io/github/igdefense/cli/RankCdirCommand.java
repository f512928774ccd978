package io.github.igdefense.cli;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.importance.ClipDissect;
import io.github.igdefense.importance.Features;
import io.github.igdefense.importance.PooledActivations;
import io.github.igdefense.importance.PooledActivations.Pool;
import io.github.igdefense.importance.RankReorder;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingFiles;
import io.github.igdefense.importance.RankingProvenance;
import io.github.igdefense.importance.Similarities;
import io.github.igdefense.importance.Similarity;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Version;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code igd rank cdir}: CLIP-Dissect importance ranking (paper Sec. 3.2). */
@Command(
    name = "cdir",
    description =
        "CLIP-Dissect importance: similarity of a unit's activations to the class names over the"
            + " probe images.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class RankCdirCommand implements Callable<Integer> {
  /** Units are ranked on training images: test images are for judging. */
  @Mixin DataOptions data = new DataOptions("embedded:train");

  @Option(
      names = "--arch",
      paramLabel = "NAME",
      defaultValue = "rn18",
      description = "Architecture of the checkpoint. Default: ${DEFAULT-VALUE}.")
  String arch;

  @Option(
      names = "--checkpoint",
      paramLabel = "FILE",
      description = "Weights of the model whose units are ranked.")
  String checkpoint;

  @Option(
      names = "--activations",
      paramLabel = "Q.npy",
      description = "Instead of a model: pooled activations [images, units].")
  Path activations;

  @Option(
      names = "--labels",
      paramLabel = "y.npy",
      description = "Labels of the images, with --activations. Default: those of --data.")
  Path labels;

  @Option(
      names = "--layer",
      paramLabel = "NAME",
      split = ",",
      description =
          "Layers, separated by commas or repeated; collected in one pass. Default: the penultimate"
              + " one.")
  List<String> layers;

  @Option(
      names = "--pool",
      paramLabel = "NAME",
      defaultValue = "avg",
      description = "How a channel becomes one number: avg or max. Default: ${DEFAULT-VALUE}.")
  String pool;

  @Option(
      names = "--point",
      paramLabel = "NAME",
      defaultValue = "masked",
      description =
          "Where a layer is read: masked (where the mask acts), or reference (a wide ResNet's last"
              + " group before its batch normalisation, as the published code). Default:"
              + " ${DEFAULT-VALUE}.")
  String point;

  @Mixin ConceptOptions concepts;

  @Option(
      names = "--similarity",
      paramLabel = "NAME",
      defaultValue = "soft_wpmi",
      description =
          "soft_wpmi, wpmi, rank_reorder, cos_similarity, cos_similarity_cubed, soft_wpmi_gt,"
              + " cos_similarity_gt, cos_similarity_cubed_gt or majority_vote_gt. Default:"
              + " ${DEFAULT-VALUE}.")
  String similarity;

  @Option(
      names = "--top-k",
      paramLabel = "N",
      description = "Images per unit. Default: the similarity's own (soft_wpmi: 100).")
  Integer topK;

  @Option(
      names = "--dtype",
      paramLabel = "NAME",
      defaultValue = "float32",
      converter = ModelOptions.DtypeConverter.class,
      description =
          "Arithmetic: float32, float64, or bfloat16 (the model only). Default: ${DEFAULT-VALUE}.")
  Dtype dtype;

  @Option(
      names = "--cache",
      paramLabel = "DIR",
      description =
          "Keeps activations and CLIP's image features there, found again by model and data hash.")
  Path cache;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description =
          "Writes DIR/<checkpoint>/<layer>/unit<u>.npy and DIR/<checkpoint>/<layer>.npz (with"
              + " --activations: the file's name in place of the checkpoint's).")
  Path out;

  @Mixin ComputeOptions compute;
  @Mixin Output output;

  /** What is ranked: activations per layer, and where they come from. */
  private record Units(
      Map<String, Tensor> activations,
      String stem,
      String architecture,
      String modelSha256,
      String data,
      String dataSha256,
      int classCount) {}

  @Override
  public Integer call() {
    Similarity chosen = chosen();
    Pool.parse(pool);
    check();
    Values.outputFolder(out);
    compute.requireBatchSize();
    compute.start();
    long start = System.nanoTime();
    Dtype wide = dtype == Dtype.FLOAT64 ? Dtype.FLOAT64 : Dtype.FLOAT32;
    Map<String, Object> parameters = new LinkedHashMap<>();
    parameters.put("similarity", chosen.name());
    parameters.putAll(chosen.parameters());
    List<Map<String, Object>> written = new ArrayList<>();
    Map<String, Object> json = new LinkedHashMap<>();
    try (PointerScope scope = new PointerScope();
        ImageSet images = needsData(chosen) ? data.open(output) : null) {
      Units units = activations == null ? collect(images, parameters) : read(wide);
      long n = units.activations.values().iterator().next().size(0);
      long[] classes = labels(images, n);
      int classCount =
          units.classCount > 0 || classes == null
              ? units.classCount
              : (int) Arrays.stream(classes).max().orElse(0) + 1;
      Tensor cosines =
          concepts.cosines(
              data, () -> classes, classCount, wide, compute.batchSize, cache, output, parameters);
      requireOneConceptPerClass(units, cosines);
      ClipDissect dissect = new ClipDissect(chosen);
      for (Map.Entry<String, Tensor> layer : units.activations.entrySet()) {
        Ranking ranking =
            dissect.rank(
                layer.getKey(),
                cosines,
                layer.getValue(),
                classes,
                provenance(units, layer.getKey(), (int) n, classes, cosines, parameters));
        Path file = RankingFiles.write(out, units.stem, ranking);
        Map<String, Object> one = new LinkedHashMap<>();
        one.put("ranking", file.toString());
        one.put("layer", ranking.layer());
        one.put("units", ranking.units());
        written.add(one);
        json.putAll(written.size() == 1 ? one : Map.of());
        json.putIfAbsent("classes", ranking.classCount());
        json.putIfAbsent("images", n);
        json.putIfAbsent("provenance", ranking.provenance());
        output.result(
            String.format(
                Locale.ROOT,
                "ranked %d units of %s for %d classes on %d images by %s: %s",
                ranking.units(),
                ranking.layer(),
                ranking.classCount(),
                n,
                chosen.name(),
                file));
      }
    }
    json.put("seconds", (System.nanoTime() - start) / 1e9);
    json.put("rankings", written);
    output.json(json);
    return 0;
  }

  private Similarity chosen() {
    Similarity named = Similarities.parse(similarity);
    if (named instanceof RankReorder shuffled) {
      named =
          new RankReorder(shuffled.p(), shuffled.topFraction(), shuffled.scaleP(), compute.seed);
    }
    if (topK == null) {
      return named;
    }
    Similarity limited = named.withTopK(Values.positive("--top-k", topK));
    if (!limited.parameters().containsKey("top_k")) {
      output.warn("--top-k has no meaning for " + similarity + " and is not used");
    }
    return limited;
  }

  private void check() {
    concepts.check(data);
    if ((checkpoint == null) == (activations == null)) {
      throw new InputException(
          "expected --checkpoint FILE (the model whose units are ranked) or --activations Q.npy,"
              + " got "
              + (checkpoint == null ? "neither" : "both"));
    }
    if (labels != null && activations == null) {
      throw new InputException("--labels goes with --activations; a model's images have labels");
    }
    if (activations != null && layers != null && layers.size() > 1) {
      throw new InputException(
          "expected one --layer with --activations, which are of one layer, got " + layers);
    }
    if (!point.equals("masked") && !point.equals("reference")) {
      throw new InputException("expected --point masked or reference, got '" + point + "'");
    }
  }

  private boolean needsData(Similarity chosen) {
    boolean needsLabels = chosen.needsLabels() || concepts.labelsAsConcepts();
    return activations == null || needsLabels && labels == null;
  }

  private long[] labels(ImageSet images, long n) {
    if (labels != null) {
      return Features.labels(labels, n);
    }
    return images == null ? null : Arrays.stream(images.labels()).asLongStream().toArray();
  }

  private Units read(Dtype wide) {
    String name = layers == null ? "layer" : layers.get(0);
    Tensor q = Features.read(activations, "--activations [images, units]", wide);
    return new Units(
        Map.of(name, q),
        ModelOptions.stem(activations.toString()),
        null,
        null,
        activations.getFileName().toString(),
        Hashes.sha256(activations),
        0);
  }

  private Units collect(ImageSet images, Map<String, Object> parameters) {
    parameters.put("pool", pool);
    parameters.put("point", point);
    try (StagedNetwork network =
            Networks.open(arch, checkpoint, NetworkOptions.of(dtype).withDevice(compute.device()));
        Output.Progress bar = output.progress("activations", images.size())) {
      List<String> names = layers == null ? List.of(network.penultimate().name()) : layers;
      Map<String, String> stages = new LinkedHashMap<>();
      names.forEach(name -> stages.put(name, stage(network, name)));
      Map<String, Tensor> found =
          new PooledActivations(network, Pool.parse(pool), compute.batchSize, cache)
              .collect(
                  images.withClassCount(network.classCount()),
                  List.copyOf(stages.values()),
                  bar::to);
      Map<String, Tensor> byLayer = new LinkedHashMap<>();
      stages.forEach((name, stage) -> byLayer.put(name, found.get(stage)));
      return new Units(
          byLayer,
          ModelOptions.stem(checkpoint),
          network.architecture(),
          network.sha256(),
          images.name(),
          images.sha256(),
          network.classCount());
    }
  }

  /** The stage where the published code reads a layer, where that is another one. */
  private String stage(StagedNetwork network, String layer) {
    String raw = layer + ".raw";
    boolean other =
        point.equals("reference")
            && network.stages().stream().anyMatch(stage -> stage.name().equals(raw));
    return other ? raw : layer;
  }

  private static void requireOneConceptPerClass(Units units, Tensor cosines) {
    if (units.classCount > 0 && cosines.size(1) != units.classCount) {
      throw new InputException(
          "expected one concept per class of the model ("
              + units.classCount
              + "), got "
              + cosines.size(1)
              + "; give the class names in the order of the labels");
    }
  }

  private RankingProvenance provenance(
      Units units,
      String layer,
      int n,
      long[] classes,
      Tensor cosines,
      Map<String, Object> parameters) {
    long[] counts = null;
    if (classes != null) {
      counts =
          new long[(int) Math.max(cosines.size(1), Arrays.stream(classes).max().orElse(0) + 1)];
      for (long label : classes) {
        counts[(int) label]++;
      }
    }
    return RankingProvenance.of("cdir", layer)
        .model(units.architecture, units.modelSha256)
        .data(units.data, units.dataSha256, n, counts)
        .computed(dtype.toString(), Version.get())
        .parameters(parameters)
        .build();
  }
}
