package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.data.SourceOptions;
import io.github.igdefense.importance.Cosines;
import io.github.igdefense.importance.Features;
import io.github.igdefense.model.ClipModel;
import io.github.igdefense.model.ClipTokenizer;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import picocli.CommandLine.Option;

/** Where the similarity matrix P [images, concepts] of CD-IR comes from: one of four sources. */
final class ConceptOptions {
  @Option(
      names = "--similarity-matrix",
      paramLabel = "P.npy",
      description = "Image-text cosines [images, concepts].")
  Path matrix;

  @Option(
      names = "--image-features",
      paramLabel = "X.npy",
      description = "CLIP features of the images [images, D], with --text-features.")
  Path imageFeatures;

  @Option(
      names = "--text-features",
      paramLabel = "T.npy",
      description = "CLIP features of the concepts [concepts, D].")
  Path textFeatures;

  @Option(
      names = "--clip-model",
      paramLabel = "FILE",
      description =
          "CLIP model: one of OpenAI's TorchScript files, such as ViT-B-16.pt, with --vocabulary"
              + " and --classes.")
  Path clipModel;

  @Option(
      names = "--vocabulary",
      paramLabel = "FILE",
      description = "CLIP's vocabulary, bpe_simple_vocab_16e6.txt.gz.")
  Path vocabulary;

  @Option(
      names = "--template",
      paramLabel = "TEXT",
      description = "Text around a class name, such as \"a photo of a {}\". Default: bare names.")
  String template;

  @Option(
      names = "--concepts",
      paramLabel = "labels",
      description = "Without CLIP: an image's label is its concept.")
  String concepts;

  /** Whether the images themselves are needed. */
  boolean needsImages() {
    return clipModel != null;
  }

  boolean labelsAsConcepts() {
    return concepts != null;
  }

  /** Refuses no source, more than one, and half of one. */
  void check(DataOptions data) {
    Path classes = data.source.classes;
    List<String> sources = new ArrayList<>();
    if (matrix != null) {
      sources.add("--similarity-matrix");
    }
    if (imageFeatures != null || textFeatures != null) {
      sources.add("--image-features with --text-features");
    }
    if (clipModel != null) {
      sources.add("--clip-model");
    }
    if (concepts != null) {
      sources.add("--concepts");
    }
    if (sources.size() != 1) {
      throw new InputException(
          "expected one source of concepts (--clip-model FILE, --similarity-matrix P.npy,"
              + " --image-features X.npy with --text-features T.npy, or --concepts labels), got "
              + (sources.isEmpty() ? "none" : String.join(" and ", sources)));
    }
    if ((imageFeatures == null) != (textFeatures == null)) {
      throw new InputException(
          "expected --image-features and --text-features together, got only "
              + (imageFeatures == null ? "--text-features" : "--image-features"));
    }
    if (clipModel != null && (vocabulary == null || classes == null)) {
      throw new InputException(
          "--clip-model needs "
              + (vocabulary == null ? "--vocabulary FILE (bpe_simple_vocab_16e6.txt.gz)" : "")
              + (vocabulary == null && classes == null ? " and " : "")
              + (classes == null ? "--classes FILE (one class name a line)" : ""));
    }
    if (concepts != null && !concepts.equals("labels")) {
      throw new InputException("expected --concepts labels, got '" + concepts + "'");
    }
    if (clipModel == null && (vocabulary != null || template != null)) {
      throw new InputException("--vocabulary and --template need --clip-model FILE");
    }
    if (clipModel != null) {
      Features.prompts(classes, template);
    }
  }

  /**
   * The matrix P [N,K], in the caller's scope.
   *
   * @param data the images, for CLIP
   * @param labels of the images, for labels as concepts
   * @param classCount number of classes for labels as concepts
   * @param record told what the matrix came from
   */
  Tensor cosines(
      DataOptions data,
      Supplier<long[]> labels,
      int classCount,
      Dtype dtype,
      int batchSize,
      Path cache,
      Output output,
      Map<String, Object> record) {
    if (matrix != null) {
      record.put("concepts", "similarity matrix");
      return Features.read(matrix, "--similarity-matrix [images, concepts]", dtype);
    }
    if (imageFeatures != null) {
      record.put("concepts", "features");
      Tensor images = Features.read(imageFeatures, "--image-features [images, D]", dtype);
      return Cosines.of(
          images, Features.read(textFeatures, "--text-features [concepts, D]", dtype));
    }
    if (concepts != null) {
      record.put("concepts", "labels");
      long[] known = labels.get();
      return Cosines.ofLabels(Tensors.of(known, known.length), classCount, dtype.scalarType());
    }
    List<String> prompts = Features.prompts(data.source.classes, template);
    record.put("concepts", "clip");
    record.put("template", template == null ? "{}" : template);
    record.put("prompts", prompts);
    try (ClipModel clip = ClipModel.open(clipModel, dtype)) {
      record.put("clip_sha256", clip.sha256());
      Tensor texts = Features.texts(clip, ClipTokenizer.open(vocabulary), prompts);
      try (ImageSet images = images(data, clip, output);
          Output.Progress bar = output.progress("CLIP", images.size())) {
        return Cosines.of(Features.images(clip, images, batchSize, cache, bar::to), texts);
      }
    }
  }

  /** The images as CLIP takes them: resized from the stored ones, not from the model's. */
  private static ImageSet images(DataOptions data, ClipModel clip, Output output) {
    SourceOptions resized =
        data.source.parsed().withPreprocessing(Preprocessing.parse(clip.preprocessing()));
    return DataOptions.limited(ImageSets.open(data.data, resized), data.limit, output);
  }
}
