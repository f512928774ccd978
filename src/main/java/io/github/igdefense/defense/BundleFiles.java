package io.github.igdefense.defense;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.data.ZipArchive;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** The parts of a bundle file: manifest and hashes, read with suspicion. */
final class BundleFiles {
  private static final long MAX_MANIFEST = 16L << 20;
  private static final int MAX_SIDE = 1 << 14;
  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(
              DeserializationFeature.FAIL_ON_TRAILING_TOKENS,
              DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .build();

  private BundleFiles() {}

  static byte[] json(BundleManifest manifest) {
    DefaultIndenter lines = new DefaultIndenter("  ", "\n");
    try {
      String text =
          MAPPER
              .writer(new DefaultPrettyPrinter().withObjectIndenter(lines))
              .writeValueAsString(manifest);
      return (text + "\n").getBytes(StandardCharsets.UTF_8);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The manifest; its format and version are looked at before anything else. */
  static BundleManifest manifest(Bytes bytes, String label) {
    if (bytes.length() > MAX_MANIFEST) {
      throw bad(label, "its manifest has more than 16 MiB");
    }
    JsonNode tree;
    try {
      tree = MAPPER.readTree(bytes.get(0, (int) bytes.length()));
    } catch (IOException e) {
      throw bad(label, "its manifest is no valid JSON");
    }
    if (tree == null || !BundleManifest.FORMAT.equals(tree.path("format").asText())) {
      throw bad(label, "its manifest is not that of a bundle");
    }
    int version = tree.path("version").isInt() ? tree.path("version").intValue() : -1;
    if (version < BundleManifest.OLDEST_VERSION || version > BundleManifest.VERSION) {
      throw new InputException(
          "expected a bundle of version "
              + BundleManifest.OLDEST_VERSION
              + " or "
              + BundleManifest.VERSION
              + " at "
              + label
              + ", got version "
              + ZipArchive.printable(tree.path("version").asText("(none)"))
              + " (written by igdefense "
              + ZipArchive.printable(tree.path("igdefense").asText("?"))
              + "); export it again with this version, or use the one that wrote it");
    }
    if (tree.path("arithmetic").isObject() != version > BundleManifest.OLDEST_VERSION) {
      throw bad(
          label,
          "its manifest of version "
              + version
              + (version > BundleManifest.OLDEST_VERSION ? " lacks" : " has")
              + " the field arithmetic");
    }
    if (version == BundleManifest.OLDEST_VERSION) {
      ((ObjectNode) tree).putNull("arithmetic");
    }
    try {
      return MAPPER.treeToValue(tree, BundleManifest.class);
    } catch (JsonProcessingException | RuntimeException e) {
      String reason = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw bad(label, "its manifest lacks or mistypes a field: " + ZipArchive.printable(reason));
    }
  }

  /** Ranges that hold for every manifest. */
  static void check(BundleManifest manifest, String label) {
    BundleManifest.Model model = manifest.model();
    BundleManifest.Defense defense = manifest.defense();
    if (model == null
        || defense == null
        || model.architecture() == null
        || model.dtype() == null
        || defense.layer() == null
        || defense.masks() == null
        || manifest.preprocessing() == null
        || manifest.entries().containsValue(null)
        || manifest.provenance().containsValue(null)) {
      throw bad(label, "its manifest leaves something out");
    }
    BundleManifest.Normalization input = model.normalization();
    if (input != null
        && (input.mean() == null
            || input.std() == null
            || input.mean().size() != input.std().size()
            || input.mean().size() != 1 && input.mean().size() != model.channels())) {
      throw bad(label, "its input normalisation has not one mean and deviation per channel");
    }
    if (model.height() < 1
        || model.width() < 1
        || model.height() > MAX_SIDE
        || model.width() > MAX_SIDE
        || model.channels() < 1
        || model.channels() > 16) {
      throw bad(
          label,
          "it names images of "
              + model.channels()
              + " channels, "
              + model.width()
              + "x"
              + model.height());
    }
    if (!manifest.classNames().isEmpty() && manifest.classNames().size() != model.classCount()) {
      throw new InputException(
          "expected a name for each of the "
              + model.classCount()
              + " classes in "
              + label
              + ", got "
              + manifest.classNames().size());
    }
    Preprocessing preprocessing = Preprocessing.parse(manifest.preprocessing());
    if (preprocessing.side() != 0
        && (preprocessing.side() != model.height() || preprocessing.side() != model.width())) {
      throw new InputException(
          "expected a preprocessing that gives %dx%d images in %s, got %s"
              .formatted(model.width(), model.height(), label, preprocessing));
    }
    if (!(defense.temperature() > 0) || Double.isInfinite(defense.temperature())) {
      throw bad(label, "it has the temperature " + defense.temperature());
    }
    if (defense.keep() < 1 || defense.keep() > defense.units()) {
      throw bad(label, "it keeps " + defense.keep() + " of " + defense.units() + " units");
    }
    new Smoothing(defense.sigma(), defense.samples());
    Dtype dtype;
    try {
      dtype = Dtype.parse(model.dtype());
    } catch (IllegalArgumentException e) {
      throw bad(label, "it names the type " + ZipArchive.printable(model.dtype()));
    }
    if (manifest.arithmetic() != null) {
      check(manifest.arithmetic(), dtype, defense.sigma() > 0, label);
    }
  }

  private static void check(
      BundleManifest.Arithmetic arithmetic, Dtype dtype, boolean smoothed, String label) {
    Float32Precision clean;
    Float32Precision noisy;
    Dtype first;
    try {
      clean = Float32Precision.parse(arithmetic.float32Precision());
      noisy = Float32Precision.parse(arithmetic.pseudoLabelPrecision());
      first = Dtype.parse(arithmetic.pseudoLabelDtype());
    } catch (IllegalArgumentException e) {
      throw bad(label, "of its arithmetic: " + ZipArchive.printable(e.getMessage()));
    }
    boolean lower = clean != Float32Precision.HIGHEST || noisy != Float32Precision.HIGHEST;
    boolean two = first != dtype || noisy != clean;
    if (lower && dtype != Dtype.FLOAT32
        || first != dtype && (first != Dtype.BFLOAT16 || dtype != Dtype.FLOAT32 || noisy != clean)
        || clean.coarserThan(noisy)
        || two && !smoothed) {
      throw bad(
          label,
          "its arithmetic does not fit: "
              + dtype
              + " at "
              + clean
              + ", pseudo-labels in "
              + first
              + " at "
              + noisy
              + (smoothed ? "" : ", without noise"));
    }
  }

  static BundleManifest.Entry entry(ByteBuffer... parts) {
    long bytes = 0;
    for (ByteBuffer part : parts) {
      bytes += part.remaining();
    }
    return new BundleManifest.Entry(bytes, Hashes.sha256(parts));
  }

  static Bytes entry(ZipArchive zip, String name, String label) {
    if (!zip.contains(name)) {
      throw new InputException(
          "expected entry "
              + ZipArchive.printable(name)
              + " in "
              + label
              + ", found none; fetch or export the bundle again");
    }
    return zip.read(name);
  }

  static void checkHash(String name, String expected, String found, String label) {
    if (!found.equals(expected)) {
      throw new InputException(
          "the SHA-256 of entry "
              + ZipArchive.printable(name)
              + " in "
              + label
              + " differs: expected "
              + ZipArchive.printable(String.valueOf(expected))
              + ", got "
              + found
              + "; the file was changed: fetch or export the bundle again");
    }
  }

  private static InputException bad(String label, String what) {
    return new InputException(
        "expected a sound bundle at " + label + ", but " + what + "; export it again");
  }
}
