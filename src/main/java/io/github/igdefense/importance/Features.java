package io.github.igdefense.importance;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.model.Batches;
import io.github.igdefense.model.ClipModel;
import io.github.igdefense.model.ClipTokenizer;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Matrices of CD-IR from files or from CLIP: features of images and texts, cosines, activations.
 * Stateless; tensors come in the caller's scope.
 */
public final class Features {
  private static final int TEXTS = 64;

  private Features() {}

  /**
   * A matrix of finite numbers from a {@code .npy} file.
   *
   * @param what the matrix in messages, such as {@code --activations [images, units]}
   * @param dtype float64, or float32 for every other
   * @throws InputException if the file holds no matrix, or a number is not finite (naming row and
   *     column)
   */
  public static Tensor read(Path file, String what, Dtype dtype) {
    NpyArray array = Npy.read(file);
    long[] shape = array.shape();
    if (shape.length != 2 || shape[0] < 1 || shape[1] < 1) {
      throw new InputException("expected a matrix " + what + " in " + file + ", got " + array);
    }
    boolean wide = dtype == Dtype.FLOAT64;
    Tensor matrix = wide ? Tensors.of(array.asDouble(), shape) : Tensors.of(array.asFloat(), shape);
    if (!Double.isFinite(Tensors.sum(matrix))) {
      for (long i = 0; i < array.size(); i++) {
        double value = array.getDouble(i);
        if (!Double.isFinite(value)) {
          throw new InputException(
              "expected finite numbers in "
                  + what
                  + " of "
                  + file
                  + ", got "
                  + value
                  + " at ["
                  + i / shape[1]
                  + ", "
                  + i % shape[1]
                  + "]");
        }
      }
    }
    return matrix;
  }

  /**
   * Labels from a {@code .npy} file.
   *
   * @param n expected number
   * @throws InputException if there are more or fewer, or they are no integers of 0 or more
   */
  public static long[] labels(Path file, long n) {
    NpyArray array = Npy.read(file);
    if (array.rank() != 1 || array.size() != n) {
      throw new InputException(
          "expected " + n + " labels, one per image, in " + file + ", got " + array);
    }
    long[] labels = array.asLong();
    for (int i = 0; i < labels.length; i++) {
      if (labels[i] < 0) {
        throw new InputException(
            "expected labels of 0 or more in " + file + ", got " + labels[i] + " at " + i);
      }
    }
    return labels;
  }

  /**
   * Class names or prompts, one a line; blank lines are skipped.
   *
   * @param template text around each name, {@code {}} standing for it; null: bare names
   * @throws InputException if the file cannot be read or holds no name, or the template has no
   *     place for it
   */
  public static List<String> prompts(Path file, String template) {
    if (template != null && !template.contains("{}")) {
      throw new InputException(
          "expected a --template with {} in the place of the class name, got '" + template + "'");
    }
    List<String> prompts = new ArrayList<>();
    try {
      for (String line : Files.readAllLines(file)) {
        if (!line.isBlank()) {
          prompts.add(template == null ? line.strip() : template.replace("{}", line.strip()));
        }
      }
    } catch (java.io.IOException e) {
      throw new InputException("expected class names, one a line, at " + file + " (" + e + ")", e);
    }
    if (prompts.isEmpty()) {
      throw new InputException(
          "expected class names, one a line, in " + file + ", the file has none");
    }
    return prompts;
  }

  /** Features [K,D] of texts. */
  public static Tensor texts(ClipModel clip, ClipTokenizer tokenizer, List<String> texts) {
    int length = clip.contextLength();
    return Tensors.scoped(
        () -> {
          TensorVector parts = new TensorVector();
          for (int from = 0; from < texts.size(); from += TEXTS) {
            List<String> some = texts.subList(from, Math.min(from + TEXTS, texts.size()));
            parts.push_back(
                clip.encodeTexts(Tensors.of(tokenizer.encode(some, length), some.size(), length)));
          }
          return torch.cat(parts, 0);
        });
  }

  /**
   * CLIP features [N,D] of images, which must have {@link ClipModel#imageSize}.
   *
   * @param cache folder of the {@code .npy} files, found again by model and data hash; null: none
   * @param progress told how many images are done, after each batch
   * @throws InputException if the images have another size, or a feature is not finite (naming the
   *     image)
   */
  public static Tensor images(
      ClipModel clip, ImageSet images, int batchSize, Path cache, IntConsumer progress) {
    Path file = cache == null ? null : cache.resolve(name(clip, images));
    Tensor cached = cached(file, images.size(), -1);
    if (cached != null) {
      return cached;
    }
    Tensor features =
        Tensors.scoped(
            () -> {
              TensorVector parts = new TensorVector();
              try (ImageBatches batches =
                  ImageBatches.of(images, batchSize, null, clip.dtype() == Dtype.FLOAT64)) {
                int done = 0;
                while (batches.hasNext()) {
                  ImageBatch batch = batches.next();
                  Tensor part =
                      Tensors.scoped(
                          () ->
                              clip.encodeImages(
                                  clip.normalise(Batches.tensor(batch, clip.dtype()))));
                  checkFinite(part, batch);
                  parts.push_back(part);
                  done += batch.size();
                  progress.accept(done);
                }
              }
              return torch.cat(parts, 0);
            });
    if (file != null) {
      long[] shape = Tensors.shape(features);
      boolean wide = clip.dtype() == Dtype.FLOAT64;
      Npy.write(
          file,
          wide
              ? NpyArray.of(Tensors.toDoubles(features), shape)
              : NpyArray.of(Tensors.toFloats(features), shape));
    }
    return features;
  }

  private static void checkFinite(Tensor features, ImageBatch batch) {
    if (Double.isFinite(Tensors.sum(features))) {
      return;
    }
    double[] values = Tensors.toDoubles(features);
    int width = (int) features.size(1);
    for (int i = 0; i < values.length; i++) {
      if (!Double.isFinite(values[i])) {
        throw new InputException(
            "expected finite CLIP features, got "
                + values[i]
                + " for image "
                + batch.indices()[i / width]);
      }
    }
  }

  private static String name(ClipModel clip, ImageSet images) {
    String key =
        Hashes.builder()
            .text(clip.sha256())
            .text(clip.dtype().toString())
            .text(images.sha256())
            .ints(images.size())
            .text(images.preprocessing())
            .hex();
    return "clip-images-" + key.substring(0, 24) + ".npy";
  }

  /**
   * A matrix [rows,columns] of an earlier run in the type it was written with; null if there is
   * none of that shape (columns below 0: any).
   */
  static Tensor cached(Path file, long rows, long columns) {
    if (file == null || !Files.isRegularFile(file)) {
      return null;
    }
    NpyArray array = Npy.read(file);
    long[] shape = array.shape();
    if (shape.length != 2 || shape[0] != rows || columns >= 0 && shape[1] != columns) {
      return null;
    }
    return array.type() == io.github.igdefense.data.ElementType.FLOAT64
        ? Tensors.of(array.asDouble(), shape)
        : Tensors.of(array.asFloat(), shape);
  }
}
