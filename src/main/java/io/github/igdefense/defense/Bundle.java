package io.github.igdefense.defense;

import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.ElementType;
import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.data.StoredZip;
import io.github.igdefense.data.ZipArchive;
import io.github.igdefense.model.Engine;
import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.SafeTensors;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.model.StateDict;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.Version;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A defended model in one file: a zip archive of uncompressed entries.
 *
 * <ul>
 *   <li>{@code manifest.json}: {@link BundleManifest}, with the SHA-256 of the entries below
 *   <li>{@code manifest.sha256}: the manifest's own, hex
 *   <li>{@code weights.safetensors}: the base model's tensors under their published names
 *   <li>{@code masks.safetensors}: {@code masks}, uint8 [K,U], 1 = kept
 * </ul>
 *
 * The same content gives the same bytes. Nothing in a bundle is executed. The hashes find damage
 * and mistakes; they are no signature. Immutable and thread-safe; weights of a large file stay
 * mapped.
 *
 * @param manifest everything but the tensors
 * @param weights the base model's tensors
 * @param masks of the layer that the manifest names
 */
public record Bundle(BundleManifest manifest, StateDict weights, ClassMasks masks) {
  private static final String MANIFEST = "manifest.json";
  private static final String MANIFEST_HASH = "manifest.sha256";
  private static final String WEIGHTS = "weights.safetensors";
  private static final String MASKS = "masks.safetensors";

  /**
   * What a bundle holds beside model and masks.
   *
   * @param height rows of the images it takes
   * @param width columns
   * @param preprocessing of decoded images
   * @param classNames one per class, or empty
   * @param temperature τ
   * @param smoothing of the first pass
   * @param seed of its noise
   * @param provenance free text by key, in order
   * @param arithmetic of the passes; null where all compute in the model's type at highest
   *     precision
   */
  public record Settings(
      int height,
      int width,
      Preprocessing preprocessing,
      List<String> classNames,
      double temperature,
      Smoothing smoothing,
      long seed,
      Map<String, String> provenance,
      BundleManifest.Arithmetic arithmetic) {
    /** All passes in the model's type at highest precision. */
    public Settings(
        int height,
        int width,
        Preprocessing preprocessing,
        List<String> classNames,
        double temperature,
        Smoothing smoothing,
        long seed,
        Map<String, String> provenance) {
      this(
          height, width, preprocessing, classNames, temperature, smoothing, seed, provenance, null);
    }
  }

  /**
   * A bundle of an open network.
   *
   * @param network tells architecture, type and normalisation; not kept
   * @param weights the tensors that it was built from
   * @throws InputException if masks, images, preprocessing or names do not fit the network
   */
  public static Bundle of(
      StagedNetwork network, StateDict weights, ClassMasks masks, Settings settings) {
    BundleManifest.Normalization normalization =
        network
            .normalization()
            .map(n -> new BundleManifest.Normalization(boxed(n.mean()), boxed(n.std())))
            .orElse(null);
    BundleManifest manifest =
        new BundleManifest(
            BundleManifest.FORMAT,
            settings.arithmetic() == null ? BundleManifest.OLDEST_VERSION : BundleManifest.VERSION,
            Version.get(),
            new BundleManifest.Model(
                network.architecture(),
                network.classCount(),
                network.inputChannels(),
                settings.height(),
                settings.width(),
                normalization,
                network.dtype().toString()),
            settings.preprocessing().name(),
            settings.classNames(),
            new BundleManifest.Defense(
                masks.layer(),
                masks.units(),
                masks.keep(),
                masks.origin(),
                settings.temperature(),
                settings.smoothing().sigma(),
                settings.smoothing().samples(),
                settings.seed()),
            settings.provenance(),
            settings.arithmetic(),
            Map.of());
    Bundle bundle = new Bundle(manifest, weights, masks);
    BundleFiles.check(manifest, "the bundle");
    bundle.checkFits(network);
    return bundle;
  }

  private static List<Double> boxed(double[] values) {
    return Arrays.stream(values).boxed().toList();
  }

  /**
   * Writes the file, atomically.
   *
   * @return the bundle as it lies there, with its entries' hashes
   * @throws java.io.UncheckedIOException if it cannot be written
   */
  public Bundle write(Path file) {
    ByteBuffer bits = ByteBuffer.wrap(masks.bits());
    StateDict mask =
        new StateDict(
            List.of(
                HostTensor.dense(
                    "masks", ElementType.UINT8, bits, masks.classCount(), masks.units())));
    ByteBuffer[] weightParts = SafeTensors.encode(weights, Map.of());
    ByteBuffer[] maskParts = SafeTensors.encode(mask, Map.of());
    Map<String, BundleManifest.Entry> entries = new LinkedHashMap<>();
    entries.put(WEIGHTS, BundleFiles.entry(weightParts));
    entries.put(MASKS, BundleFiles.entry(maskParts));
    BundleManifest complete =
        new BundleManifest(
            manifest.format(),
            manifest.version(),
            manifest.igdefense(),
            manifest.model(),
            manifest.preprocessing(),
            manifest.classNames(),
            manifest.defense(),
            manifest.provenance(),
            manifest.arithmetic(),
            entries);
    byte[] json = BundleFiles.json(complete);
    byte[] hash = (Hashes.sha256(json) + "\n").getBytes(StandardCharsets.US_ASCII);
    AtomicFiles.write(
        file,
        out -> {
          try (StoredZip zip = new StoredZip(out)) {
            zip.add(MANIFEST, ByteBuffer.wrap(json));
            zip.add(MANIFEST_HASH, ByteBuffer.wrap(hash));
            zip.add(WEIGHTS, weightParts);
            zip.add(MASKS, maskParts);
          }
        });
    return new Bundle(complete, weights, masks);
  }

  /**
   * Reads a file and verifies every hash. Cost: one pass over the file.
   *
   * @throws InputException if it is missing, cut off, of another version, or an entry is missing or
   *     changed (named)
   */
  public static Bundle read(Path file) {
    Bytes bytes = Bytes.ofFile(file);
    String label = file.toString();
    if (!ZipArchive.looksLikeZip(bytes)) {
      throw new InputException(
          "expected a bundle (a zip archive, as igd export writes it) at "
              + file
              + ", found something else"
              + (bytes.length() == 0 ? ": the file is empty" : ""));
    }
    ZipArchive zip = ZipArchive.of(bytes, label);
    if (!zip.contains(MANIFEST)) {
      throw new InputException(
          "expected a bundle at "
              + file
              + ", found a zip archive without "
              + MANIFEST
              + "; make one with igd export");
    }
    BundleManifest manifest = BundleFiles.manifest(zip.read(MANIFEST), label);
    Bytes hash = BundleFiles.entry(zip, MANIFEST_HASH, label);
    String expected =
        new String(hash.get(0, (int) Math.min(80, hash.length())), StandardCharsets.US_ASCII);
    BundleFiles.checkHash(MANIFEST, expected.strip(), zip.read(MANIFEST).sha256(), label);
    BundleFiles.check(manifest, label);
    for (String name : List.of(WEIGHTS, MASKS)) {
      if (!manifest.entries().containsKey(name)) {
        throw new InputException(
            "expected entry " + name + " in the manifest of " + label + "; export it again");
      }
    }
    for (Map.Entry<String, BundleManifest.Entry> entry : manifest.entries().entrySet()) {
      Bytes content = BundleFiles.entry(zip, entry.getKey(), label);
      BundleFiles.checkHash(entry.getKey(), entry.getValue().sha256(), content.sha256(), label);
    }
    StateDict weights = SafeTensors.decode(zip.read(WEIGHTS), label + ":" + WEIGHTS);
    BundleManifest.Defense defense = manifest.defense();
    HostTensor mask = SafeTensors.decode(zip.read(MASKS), label + ":" + MASKS).get("masks");
    long[] shape = {manifest.model().classCount(), defense.units()};
    if (mask.type() != ElementType.UINT8 || !Arrays.equals(mask.shape(), shape)) {
      throw new InputException(
          "expected masks uint8 "
              + Arrays.toString(shape)
              + " in "
              + label
              + ", got "
              + mask
              + "; export it again");
    }
    byte[] bits = new byte[Math.toIntExact(mask.numel())];
    mask.bytes().get(bits);
    for (int i = 0; i < bits.length; i++) {
      if (bits[i] != 0 && bits[i] != 1) {
        throw new InputException(
            "expected masks of 0 and 1 in " + label + ", got " + bits[i] + "; export it again");
      }
    }
    return new Bundle(
        manifest,
        weights,
        new ClassMasks(
            defense.layer(),
            manifest.model().classCount(),
            defense.units(),
            defense.keep(),
            defense.masks(),
            bits));
  }

  /** The smoothing of the first pass. */
  public Smoothing smoothing() {
    return new Smoothing(manifest.defense().sigma(), manifest.defense().samples());
  }

  /** How decoded images are brought to the model's size. */
  public Preprocessing preprocessing() {
    return Preprocessing.parse(manifest.preprocessing());
  }

  /** The arithmetic by default. */
  public Dtype dtype() {
    return Dtype.parse(manifest.model().dtype());
  }

  /** The precision of float32 products, where that is the type. */
  public Float32Precision float32Precision() {
    BundleManifest.Arithmetic arithmetic = manifest.arithmetic();
    return arithmetic == null
        ? Float32Precision.HIGHEST
        : Float32Precision.parse(arithmetic.float32Precision());
  }

  /**
   * The network of the noisy images where the bundle computes them in another arithmetic than
   * {@code network}; empty where it does not, for another type than the bundle's, and where
   * libtorch would compute both alike. The caller closes it, before {@code network}.
   *
   * @param network of {@link #network}
   */
  public Optional<StagedNetwork> pseudoLabelNetwork(StagedNetwork network, Engine engine) {
    BundleManifest.Arithmetic arithmetic = manifest.arithmetic();
    if (arithmetic == null || network.dtype() != dtype()) {
      return Optional.empty();
    }
    if (Dtype.parse(arithmetic.pseudoLabelDtype()) != network.dtype()) {
      return Optional.of(network(Dtype.parse(arithmetic.pseudoLabelDtype()), engine));
    }
    Float32Precision precision = Float32Precision.parse(arithmetic.pseudoLabelPrecision());
    return precision == float32Precision()
        ? Optional.empty()
        : network.atFloat32Precision(precision);
  }

  /**
   * The base model, float32 at the bundle's precision; the caller closes it.
   *
   * @throws InputException if the weights are not those of the architecture, the masks do not fit,
   *     or the engine cannot run it
   */
  public StagedNetwork network(Dtype dtype, Engine engine) {
    BundleManifest.Normalization n = manifest.model().normalization();
    String normalization =
        n == null
            ? "none"
            : Stream.concat(n.mean().stream(), n.std().stream())
                .map(String::valueOf)
                .collect(Collectors.joining(","));
    StagedNetwork network =
        Networks.build(
            manifest.model().architecture(),
            weights,
            manifest.provenance().getOrDefault("checkpoint_sha256", "unknown"),
            NetworkOptions.of(dtype)
                .withInputNormalization(normalization)
                .withFloat32Precision(
                    dtype == Dtype.FLOAT32 ? float32Precision() : Float32Precision.HIGHEST)
                .withEngine(engine));
    boolean fits = false;
    try {
      checkFits(network);
      fits = true;
      return network;
    } finally {
      if (!fits) {
        network.close();
      }
    }
  }

  private void checkFits(StagedNetwork network) {
    BundleManifest.Model model = manifest.model();
    MaskableLayer layer = network.layer(masks.layer());
    if (masks.units() != layer.units() || masks.classCount() != network.classCount()) {
      throw new InputException(
          "expected masks of %d classes x %d units for %s, got %d x %d"
              .formatted(
                  network.classCount(),
                  layer.units(),
                  layer.name(),
                  masks.classCount(),
                  masks.units()));
    }
    if (model.classCount() != network.classCount()
        || model.channels() != network.inputChannels()
        || !network.imageSizes().accepts(model.height(), model.width())) {
      throw new InputException(
          "expected images [%d,%s] and %d classes for %s, the bundle says [%d,%d,%d] and %d"
              .formatted(
                  network.inputChannels(),
                  network.imageSizes(),
                  network.classCount(),
                  network.architecture(),
                  model.channels(),
                  model.height(),
                  model.width(),
                  model.classCount()));
    }
  }
}
