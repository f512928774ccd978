package io.github.igdefense.defense;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.data.StoredZip;
import io.github.igdefense.data.ZipArchive;
import io.github.igdefense.model.Engine;
import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.SafeTensors;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.model.StateDict;
import io.github.igdefense.tensor.Dtype;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;
import java.util.function.UnaryOperator;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BundleTest {
  private static final String ARITHMETIC =
      "\"arithmetic\": {\"float32_precision\": \"high\", \"pseudo_label_dtype\": \"float32\","
          + " \"pseudo_label_precision\": \"high\"}";

  private static final String MANIFEST = "manifest.json";
  private static final String HASH = "manifest.sha256";
  private static final String WEIGHTS = "weights.safetensors";
  private static final String MASKS = "masks.safetensors";

  @TempDir Path folder;

  private static Bundle made;

  @BeforeAll
  static void make() {
    made = Bundles.of("layer4", new Smoothing(Bundles.SIGMA, 2));
  }

  private Path sound() {
    Path file = folder.resolve("sound.igd");
    made.write(file);
    return file;
  }

  private static Map<String, byte[]> entries(Path file) throws IOException {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    try (ZipFile zip = new ZipFile(file.toFile())) {
      for (var entry : java.util.Collections.list(zip.entries())) {
        entries.put(entry.getName(), zip.getInputStream(entry).readAllBytes());
      }
    }
    return entries;
  }

  private Path zipped(Map<String, byte[]> entries) throws IOException {
    Path file = folder.resolve("changed.igd");
    try (OutputStream out = Files.newOutputStream(file);
        StoredZip zip = new StoredZip(out)) {
      for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
        zip.add(entry.getKey(), ByteBuffer.wrap(entry.getValue()));
      }
    }
    return file;
  }

  /** The sound bundle with another manifest, its hash made to fit. */
  private Path withManifest(UnaryOperator<String> change) throws IOException {
    Map<String, byte[]> entries = entries(sound());
    String before = new String(entries.get(MANIFEST), StandardCharsets.UTF_8);
    String after = change.apply(before);
    assertThat(after).as("the change changes something").isNotEqualTo(before);
    entries.put(MANIFEST, after.getBytes(StandardCharsets.UTF_8));
    entries.put(HASH, Hashes.sha256(entries.get(MANIFEST)).getBytes(StandardCharsets.UTF_8));
    return zipped(entries);
  }

  private static void refused(Path file, String... parts) {
    assertThatThrownBy(() -> DefendedClassifier.open(file))
        .isInstanceOf(InputException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(parts));
  }

  @Test
  void whatIsWrittenIsRead() {
    Path file = folder.resolve("a.igd");
    Bundle other = Bundles.of("layer3", new Smoothing(0.02, 3), Preprocessing.parse("Res36Crop32"));
    Bundle written = other.write(file);
    Bundle read = Bundle.read(file);
    assertThat(read.manifest()).isEqualTo(written.manifest());
    assertThat(read.manifest().entries()).containsOnlyKeys(WEIGHTS, MASKS);
    assertThat(read.manifest().classNames()).isEqualTo(Bundles.NAMES);
    assertThat(read.manifest().model())
        .isEqualTo(
            new BundleManifest.Model(
                "rn18", 10, 3, 32, 32, other.manifest().model().normalization(), "float32"));
    assertThat(read.manifest().defense())
        .isEqualTo(new BundleManifest.Defense("layer3", 64, 12, "random", 0.01, 0.02, 3, 7));
    assertThat(read.preprocessing()).isEqualTo(Preprocessing.parse("Res36Crop32"));
    assertThat(read.smoothing()).isEqualTo(new Smoothing(0.02, 3));
    assertThat(read.masks().bits()).isEqualTo(other.masks().bits());
    assertThat(read.weights().names()).containsExactlyElementsOf(other.weights().names());
    for (HostTensor tensor : other.weights()) {
      HostTensor copy = read.weights().get(tensor.name());
      assertThat(copy.type()).isEqualTo(tensor.type());
      assertThat(copy.shape()).isEqualTo(tensor.shape());
      assertThat(copy.bytes()).isEqualTo(tensor.bytes());
    }
    try (StagedNetwork before = Networks.open("rn18", "embedded:cifar10", Dtype.FLOAT32);
        StagedNetwork after = read.network(Dtype.FLOAT32, Engine.AUTO)) {
      assertThat(after.sha256()).isEqualTo(before.sha256());
      assertThat(after.normalization()).isEqualTo(before.normalization());
    }
  }

  @Test
  void theSameContentGivesTheSameBytesInAnyTimeZone() throws Exception {
    byte[] first = Files.readAllBytes(sound());
    TimeZone before = TimeZone.getDefault();
    try {
      TimeZone.setDefault(TimeZone.getTimeZone("Pacific/Auckland"));
      assertThat(Files.readAllBytes(sound())).isEqualTo(first);
    } finally {
      TimeZone.setDefault(before);
    }
    Path copy = folder.resolve("copy.igd");
    Bundle.read(sound()).write(copy);
    assertThat(Files.readAllBytes(copy)).isEqualTo(first);
    assertThat(ZipArchive.of(io.github.igdefense.data.Bytes.ofFile(copy), "copy").names())
        .containsExactly(MANIFEST, HASH, WEIGHTS, MASKS);
  }

  @Test
  void anotherVersionIsNamed() throws Exception {
    refused(
        withManifest(text -> text.replace("\"version\" : 1", "\"version\" : 3")),
        "expected a bundle of version 1 or 2",
        "got version 3",
        "export it again");
    refused(
        withManifest(text -> text.replace("\"version\" : 1", "\"version\" : 2")),
        "version 2 lacks the field arithmetic");
    refused(
        withManifest(text -> text.replace("\"preprocessing\"", ARITHMETIC + ", \"preprocessing\"")),
        "version 1 has the field arithmetic");
  }

  /** Readers that know no arithmetic know no version 2, and say so; all others still open. */
  @Test
  void onlyABundleOfAnArithmeticOfItsOwnIsOfVersion2() {
    Smoothing smoothing = new Smoothing(0.02, 2);
    assertThat(Bundles.of("layer4", smoothing).manifest().version()).isEqualTo(1);
    BundleManifest.Arithmetic arithmetic =
        new BundleManifest.Arithmetic("highest", "float32", "high");
    Path file = folder.resolve("high.igd");
    Bundle written = Bundles.of("layer4", smoothing, arithmetic).write(file);
    Bundle read = Bundle.read(file);
    assertThat(read.manifest()).isEqualTo(written.manifest());
    assertThat(read.manifest().version()).isEqualTo(2);
    assertThat(read.manifest().arithmetic()).isEqualTo(arithmetic);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "null",
      value = {
        "low | float32 | high | expected float32 precision highest, high or medium, got 'low'",
        "medium | float32 | high | does not fit",
        "highest | int8 | highest | got 'int8'",
        "highest | null | highest | of its arithmetic",
        "highest | float64 | highest | does not fit",
        "highest | bfloat16 | high | does not fit",
        "high | float32 | highest | does not fit",
      })
  void anArithmeticThatCannotBeIsRefused(
      String precision, String type, String pseudoLabels, String message) {
    BundleManifest.Arithmetic arithmetic =
        new BundleManifest.Arithmetic(precision, type, pseudoLabels);
    assertThatThrownBy(() -> Bundles.of("layer4", new Smoothing(0.02, 2), arithmetic))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
  }

  @Test
  void pseudoLabelsApartNeedNoise() {
    assertThatThrownBy(
            () ->
                Bundles.of(
                    "layer4",
                    Smoothing.NONE,
                    new BundleManifest.Arithmetic("highest", "bfloat16", "highest")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("without noise");
  }

  @ParameterizedTest
  @ValueSource(strings = {WEIGHTS, MASKS, MANIFEST})
  void aChangedEntryIsNamed(String name) throws Exception {
    Map<String, byte[]> entries = entries(sound());
    byte[] content = entries.get(name);
    int last = name.equals(MANIFEST) ? new String(content).indexOf("ship") : content.length - 1;
    content[last] ^= 1;
    refused(zipped(entries), "SHA-256 of entry " + name, "differs", "the file was changed");
  }

  @Test
  void bytesChangedInPlaceAreFound() throws Exception {
    byte[] bytes = Files.readAllBytes(sound());
    bytes[bytes.length / 2] ^= 1;
    Path file = folder.resolve("flipped.igd");
    Files.write(file, bytes);
    refused(file, "checksum of entry " + WEIGHTS + " differs");
  }

  @ParameterizedTest
  @ValueSource(strings = {WEIGHTS, MASKS, HASH})
  void aMissingEntryIsNamed(String name) throws Exception {
    Map<String, byte[]> entries = entries(sound());
    entries.remove(name);
    refused(zipped(entries), "expected entry " + name, "found none");
  }

  @Test
  void withoutAManifestItIsNoBundle() throws Exception {
    Map<String, byte[]> entries = entries(sound());
    entries.remove(MANIFEST);
    refused(zipped(entries), "a zip archive without manifest.json", "igd export");
  }

  @Test
  void everyTruncationIsRefused() throws Exception {
    byte[] bytes = Files.readAllBytes(sound());
    Path file = folder.resolve("cut.igd");
    List<Integer> lengths = new ArrayList<>(List.of(0, 1, 4, 100, bytes.length - 1));
    for (int i = 1; i < 20; i++) {
      lengths.add((int) ((long) bytes.length * i / 20));
    }
    for (int length : lengths) {
      Files.write(file, java.util.Arrays.copyOf(bytes, length));
      refused(file, file.toString());
    }
  }

  @Test
  void otherFilesAreRefused() throws Exception {
    Path text = folder.resolve("text.igd");
    Files.writeString(text, "<html>quota spent</html>");
    refused(text, "expected a bundle (a zip archive");
    refused(folder.resolve("none.igd"), "none.igd");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"igdefense-bundle\" | \"other\" | not that of a bundle",
        "\"class_count\" : 10 | \"class_count\" : 11 | name for each of the 11 classes",
        "\"height\" : 32 | \"height\" : 33 | expected images [3,32,32]",
        "\"height\" : 32 | \"height\" : 0 | images of 3 channels, 32x0",
        "\"channels\" : 3 | \"channels\" : \"x\" | lacks or mistypes a field",
        "\"temperature\" : 0.01 | \"temperature\" : 0 | the temperature 0.0",
        "\"smoothing_samples\" : 2 | \"smoothing_samples\" : 0 | at least 1 smoothing sample",
        "\"keep\" : 12 | \"keep\" : 1200 | keeps 1200 of 128 units",
        "\"units\" : 128 | \"units\" : 127 | expected masks uint8 [10, 127]",
        "\"layer\" : \"layer4\" | \"layer\" : \"layer9\" | expected a maskable layer",
        "\"architecture\" : \"rn18\" | \"architecture\" : \"rn34\" | layer",
        "\"dtype\" : \"float32\" | \"dtype\" : \"int8\" | names the type int8",
        "\"preprocessing\" : \"none\" | \"preprocessing\" : \"Res224\" | gives 32x32 images",
        "\"masks.safetensors\" : | \"mosks.safetensors\" : | entry masks.safetensors",
        "\"input_normalization\" : null | \"input_normalization\" :"
            + " {\"mean\":[0.1,0.2],\"std\":[1]} | not one mean",
        "\"input_normalization\" : null | \"input_normalization\" : {\"mean\":[0.1],\"std\":[0]} |"
            + " positive deviations",
        "\"provenance\" : { | \"provenance\" : { \"x\" : null, | leaves something out",
        "\"layer\" : \"layer4\" | \"layer\" : null | leaves something out",
        "\"seed\" : 7 | \"sead\" : 7 | lacks or mistypes a field",
        "\"format\" | \"format\": 1, \"format\" | no valid JSON",
      })
  void aManifestThatDoesNotFitIsRefused(String from, String to, String message) throws Exception {
    refused(
        withManifest(text -> text.replaceFirst(java.util.regex.Pattern.quote(from), to)), message);
  }

  @Test
  void masksOfOtherShapesOrValuesAreRefused() throws Exception {
    Path good = sound();
    Bundle bundle = Bundle.read(good);
    byte[] two = bundle.masks().bits().clone();
    two[3] = 2;
    ClassMasks masks = bundle.masks();
    Path file = folder.resolve("two.igd");
    new Bundle(
            bundle.manifest(),
            bundle.weights(),
            new ClassMasks("layer4", 10, masks.units(), 12, "random", two))
        .write(file);
    refused(file, "masks of 0 and 1", "got 2");
    Map<String, byte[]> entries = entries(good);
    StateDict floats = new StateDict(List.of(HostTensor.of("masks", new float[1280], 10, 128)));
    ByteBuffer content = ByteBuffer.allocate(1 << 16);
    for (ByteBuffer part : SafeTensors.encode(floats, Map.of())) {
      content.put(part);
    }
    byte[] bytes = java.util.Arrays.copyOf(content.array(), content.position());
    String old = Hashes.sha256(entries.get(MASKS));
    entries.put(MASKS, bytes);
    entries.put(
        MANIFEST,
        new String(entries.get(MANIFEST), StandardCharsets.UTF_8)
            .replace(old, Hashes.sha256(bytes))
            .getBytes(StandardCharsets.UTF_8));
    entries.put(HASH, Hashes.sha256(entries.get(MANIFEST)).getBytes(StandardCharsets.UTF_8));
    refused(zipped(entries), "expected masks uint8 [10, 128]", "got masks");
  }

  @Test
  void whatDoesNotFitTheNetworkIsNotWritten() {
    Bundle bundle = Bundles.of("layer4", Smoothing.NONE);
    try (StagedNetwork network = bundle.network(Dtype.FLOAT32, Engine.AUTO)) {
      Bundle.Settings settings =
          new Bundle.Settings(
              32, 32, Preprocessing.NONE, List.of("one"), 0.01, Smoothing.NONE, 0, Map.of());
      assertThatThrownBy(() -> Bundle.of(network, bundle.weights(), bundle.masks(), settings))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("a name for each of the 10 classes");
      ClassMasks other = ClassMasks.full("layer4", 10, 64);
      assertThatThrownBy(() -> Bundle.of(network, bundle.weights(), other, settings))
          .isInstanceOf(InputException.class);
    }
  }
}
