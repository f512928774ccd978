package io.github.igdefense.model;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.ZipArchive;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * A CLIP model (Radford et al. 2021) from one of OpenAI's TorchScript archives, ViT or ResNet:
 * images and texts to features of one space.
 *
 * <p>The archive's own graph is run; the device and precision it was traced with are replaced when
 * it is opened. Owns native memory until {@link #close}. Threads: any number may encode at the same
 * time. Archives hold code that libtorch interprets: open only those you trust.
 */
public final class ClipModel implements AutoCloseable {
  /** Mean of the red, green and blue channel that images are normalised with. */
  private static final double[] MEAN = {0.48145466, 0.4578275, 0.40821073};

  /** Standard deviation of the channels. */
  private static final double[] STD = {0.26862954, 0.26130258, 0.27577711};

  private final TorchScriptArchive archive;
  private final Path file;
  private final String sha256;
  private final Dtype dtype;
  private final int imageSize;
  private final int contextLength;
  private final int vocabularySize;

  private ClipModel(
      TorchScriptArchive archive, Path file, String sha256, Dtype dtype, int[] sizes) {
    this.archive = archive;
    this.file = file;
    this.sha256 = sha256;
    this.dtype = dtype;
    this.imageSize = sizes[0];
    this.contextLength = sizes[1];
    this.vocabularySize = sizes[2];
  }

  /**
   * Opens an archive.
   *
   * @param dtype float32 or float64
   * @throws InputException if the file is missing, no TorchScript archive, lacks {@code
   *     encode_image} or {@code encode_text}, or does not say which image size it takes
   */
  public static ClipModel open(Path file, Dtype dtype) {
    if (dtype == Dtype.BFLOAT16) {
      throw new InputException("expected dtype float32 or float64 for CLIP, got bfloat16");
    }
    Bytes bytes = Bytes.ofFile(file);
    Path copy = null;
    try {
      Path used = file;
      if (TorchScriptArchive.matches(file)) {
        copy = Files.createTempFile("igd-clip-", ".pt");
        if (ScriptCode.rewrite(ZipArchive.of(bytes, file.toString()), dtype, copy)) {
          used = copy;
        }
      }
      TorchScriptArchive archive = TorchScriptArchive.open(used);
      boolean done = false;
      try {
        ClipModel model = of(archive, file, bytes.sha256(), dtype);
        done = true;
        return model;
      } finally {
        if (!done) {
          archive.close();
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write a temporary file: " + e.getMessage(), e);
    } finally {
      delete(copy);
    }
  }

  private static ClipModel of(TorchScriptArchive archive, Path file, String sha256, Dtype dtype) {
    for (String method : new String[] {"encode_image", "encode_text"}) {
      if (!archive.hasMethod(method)) {
        throw new InputException(
            "expected a CLIP archive with the methods encode_image and encode_text at "
                + file
                + ", it has "
                + archive.methods()
                + "; use one of OpenAI's TorchScript files, such as ViT-B-16.pt");
      }
    }
    int[] sizes = {imageSize(archive), contextLength(archive), vocabularySize(archive)};
    String[] names = {"image size", "context length", "vocabulary size"};
    for (int i = 0; i < sizes.length; i++) {
      if (sizes[i] < 1) {
        throw new InputException(
            "expected a CLIP archive whose "
                + names[i]
                + " can be found at "
                + file
                + " (input_resolution, context_length, vocab_size, or the weights of"
                + " OpenAI's ViT and ResNet models), found none");
      }
    }
    archive.to(dtype);
    return new ClipModel(archive, file, sha256, dtype, sizes);
  }

  private static int imageSize(TorchScriptArchive archive) {
    for (String name : new String[] {"input_resolution", "visual.input_resolution"}) {
      Long stated = archive.number(name);
      if (stated != null && stated > 0 && stated < 1 << 14) {
        return stated.intValue();
      }
    }
    long[] patch = archive.shape("visual.conv1.weight");
    long[] places = archive.shape("visual.positional_embedding");
    if (patch != null && patch.length == 4 && places != null) {
      return (int) (Math.round(Math.sqrt(places[0] - 1)) * patch[3]);
    }
    // The ResNets' attention pooling has a place per 32 x 32 pixels, and one more.
    long[] pooled = archive.shape("visual.attnpool.positional_embedding");
    return pooled == null ? 0 : (int) (Math.round(Math.sqrt(pooled[0] - 1)) * 32);
  }

  private static int contextLength(TorchScriptArchive archive) {
    Long stated = archive.number("context_length");
    long[] places = archive.shape("positional_embedding");
    return stated != null ? stated.intValue() : places == null ? 0 : (int) places[0];
  }

  private static int vocabularySize(TorchScriptArchive archive) {
    Long stated = archive.number("vocab_size");
    long[] table = archive.shape("token_embedding.weight");
    return stated != null ? stated.intValue() : table == null ? 0 : (int) table[0];
  }

  private static void delete(Path file) {
    try {
      if (file != null) {
        Files.deleteIfExists(file);
      }
    } catch (IOException ignored) {
      // A stray file in the temporary folder is harmless.
    }
  }

  /** SHA-256 of the archive. */
  public String sha256() {
    return sha256;
  }

  /** The type it computes in. */
  public Dtype dtype() {
    return dtype;
  }

  /** Rows and columns of the images it takes. */
  public int imageSize() {
    return imageSize;
  }

  /** Tokens per text. */
  public int contextLength() {
    return contextLength;
  }

  /**
   * The name of the preprocessing that CLIP's images need before {@link #encodeImages}: shorter
   * side to {@link #imageSize}, bicubic, then the centre.
   */
  public String preprocessing() {
    return "BicubicRes" + imageSize + "Crop" + imageSize;
  }

  /** The images [N,3,S,S] in [0,1], normalised as CLIP takes them. */
  public Tensor normalise(Tensor images) {
    return Tensors.scoped(
        () -> {
          Tensor mean = Tensors.to(Tensors.of(MEAN, 1, 3, 1, 1), dtype);
          Tensor std = Tensors.to(Tensors.of(STD, 1, 3, 1, 1), dtype);
          return Tensors.to(images, dtype).sub(mean).div(std);
        });
  }

  /**
   * Features of images.
   *
   * @param images [N,3,S,S], normalised (see {@link #normalise}), S = {@link #imageSize}
   * @return [N,D], not normalised to length 1
   * @throws InputException if the images have another size
   */
  public Tensor encodeImages(Tensor images) {
    if (images.dim() != 4
        || images.size(1) != 3
        || images.size(2) != imageSize
        || images.size(3) != imageSize) {
      throw new InputException(
          "expected images [N,3,"
              + imageSize
              + ","
              + imageSize
              + "] for "
              + file
              + ", got "
              + Arrays.toString(Tensors.shape(images)));
    }
    try (AutoGradMode off = new AutoGradMode(false)) {
      return Tensors.scoped(() -> archive.call("encode_image", Tensors.to(images, dtype)));
    }
  }

  /**
   * Features of texts.
   *
   * @param tokens int64 [K, {@link #contextLength}] from {@link ClipTokenizer#encode}
   * @return [K,D], not normalised to length 1
   * @throws InputException if the tokenizer's vocabulary is another one
   */
  public Tensor encodeTexts(Tensor tokens) {
    if (tokens.dim() != 2 || tokens.size(1) != contextLength) {
      throw new InputException(
          "expected tokens [K,"
              + contextLength
              + "] for "
              + file
              + ", got "
              + Arrays.toString(Tensors.shape(tokens)));
    }
    for (long token : Tensors.toLongs(tokens)) {
      if (token < 0 || token >= vocabularySize) {
        throw new InputException(
            "expected tokens below "
                + vocabularySize
                + ", the vocabulary of "
                + file
                + ", got "
                + token
                + "; use its own vocabulary file");
      }
    }
    try (AutoGradMode off = new AutoGradMode(false)) {
      return archive.call("encode_text", tokens);
    }
  }

  /** Frees the model. Further calls do nothing. */
  @Override
  public void close() {
    archive.close();
  }
}
