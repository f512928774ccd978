package io.github.igdefense.cli;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code igd rank cdir}, {@code igd ranking show} and {@code igd ranking compare}. */
class CliCdirTest {
  private static final Npz GOLDEN = Npz.open(golden("similarity.npz"));
  private static final Path VOCABULARY = golden("../clip/vocabulary.txt.gz");
  private static final List<String> NAMES =
      List.of(
          "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck");

  @TempDir Path folder;
  private Path p;
  private Path q;
  private Path y;
  private Path classes;
  private Path out;

  @BeforeEach
  void files() throws Exception {
    p = folder.resolve("P.npy");
    q = folder.resolve("Q.npy");
    y = folder.resolve("y.npy");
    classes = folder.resolve("classes.txt");
    out = folder.resolve("out");
    Npy.write(p, GOLDEN.get("clip_feats"));
    Npy.write(q, GOLDEN.get("target_feats"));
    Npy.write(y, GOLDEN.get("gt_labels"));
    Files.write(classes, NAMES);
  }

  private CliRun matrices(Object... further) {
    return CliRun.of(
        Stream.concat(
                Stream.of(
                    "rank", "cdir", "--similarity-matrix", p, "--activations", q, "--out", out),
                Arrays.stream(further))
            .toArray());
  }

  @ParameterizedTest
  @CsvSource({
    "soft_wpmi,,soft_wpmi",
    "wpmi,,wpmi",
    "rank_reorder,,rank_reorder",
    "cos_similarity,,cos_similarity",
    "cos_similarity_cubed,,cos_similarity_cubed",
    "soft_wpmi_gt,,soft_wpmi_gt_all",
    "soft_wpmi_gt,100,soft_wpmi_gt_top",
    "cos_similarity_gt,,cos_similarity_gt",
    "cos_similarity_cubed_gt,,cos_similarity_cubed_gt",
    "majority_vote_gt,,majority_vote_gt"
  })
  void matricesGiveUnitFilesWithTheReferencesNumbers(String name, Integer topK, String expected) {
    CliRun run =
        topK == null
            ? matrices("--labels", y, "--similarity", name, "--dtype", "float64", "--json")
            : matrices(
                "--labels",
                y,
                "--similarity",
                name,
                "--dtype",
                "float64",
                "--json",
                "--top-k",
                topK);
    assertThat(run.exitCode()).as("%s", run).isZero();
    JsonNode json = run.json();
    assertThat(json.get("units").asInt()).isEqualTo(64);
    assertThat(json.get("classes").asInt()).isEqualTo(10);
    assertThat(json.get("images").asInt()).isEqualTo(200);
    assertThat(json.get("provenance").get("parameters").get("similarity").asText()).isEqualTo(name);
    double[] numbers = GOLDEN.get(expected).asDouble();
    for (int u = 0; u < 64; u++) {
      double[] unit = Npy.read(out.resolve("Q/layer/unit" + u + ".npy")).asDouble();
      assertThat(unit).hasSize(10);
      for (int c = 0; c < 10; c++) {
        assertThat(unit[c]).isCloseTo(numbers[u * 10 + c], within(1e-9));
      }
    }
    assertThat(Npz.open(out.resolve("Q/layer.npz")).get("importance").shape())
        .containsExactly(64, 10);
  }

  @Test
  void featuresGiveTheReferencesNumbers() {
    Path x = folder.resolve("X.npy");
    Path t = folder.resolve("T.npy");
    Npy.write(x, GOLDEN.get("e2e_image_features"));
    Npy.write(t, GOLDEN.get("e2e_text_features"));
    CliRun.ok(
        "rank",
        "cdir",
        "--image-features",
        x,
        "--text-features",
        t,
        "--activations",
        q,
        "--dtype",
        "float64",
        "--layer",
        "layer4",
        "--out",
        out);
    double[] actual = Npz.open(out.resolve("Q/layer4.npz")).get("importance").asDouble();
    double[] expected = GOLDEN.get("e2e_soft_wpmi_f64").asDouble();
    for (int i = 0; i < expected.length; i++) {
      assertThat(actual[i]).isCloseTo(expected[i], within(1e-9));
    }
  }

  @Test
  void modelAndClipGiveRankingsOfSeveralLayersFromOnePass() {
    String probe = CliData.probe(folder.resolve("probe.npz"), "y");
    Path cache = folder.resolve("cache");
    Object[] arguments = {
      "rank",
      "cdir",
      "--checkpoint",
      CliData.MODEL,
      "--data",
      probe,
      "--layer",
      "layer4,layer2",
      "--clip-model",
      golden("clip_tiny.pt"),
      "--vocabulary",
      VOCABULARY,
      "--classes",
      classes,
      "--cache",
      cache,
      "--out",
      out,
      "--json"
    };
    JsonNode json = CliRun.ok(arguments).json();
    assertThat(json.get("rankings")).hasSize(2);
    assertThat(json.get("rankings").get(1).get("layer").asText()).isEqualTo("layer2");
    assertThat(json.get("rankings").get(1).get("units").asInt()).isEqualTo(16);
    JsonNode parameters = json.get("provenance").get("parameters");
    assertThat(parameters.get("clip_sha256").asText()).hasSize(64);
    assertThat(parameters.get("prompts")).hasSize(10);
    assertThat(parameters.get("pool").asText()).isEqualTo("avg");
    assertThat(json.get("provenance").get("class_counts")).hasSize(10);
    double[] first = Npz.open(out.resolve("a1/layer4.npz")).get("importance").asDouble();
    // From the cache, the same.
    assertThat(cache.toFile().list()).hasSize(3);
    CliRun.ok(arguments);
    assertThat(cache.toFile().list()).hasSize(3);
    assertThat(Npz.open(out.resolve("a1/layer4.npz")).get("importance").asDouble())
        .isEqualTo(first);
    // Another prompt is another ranking; the features of the images are the cached ones.
    CliRun.ok(
        Stream.concat(Arrays.stream(arguments), Stream.of("--template", "a photo of a {}."))
            .toArray());
    assertThat(cache.toFile().list()).hasSize(3);
    assertThat(Npz.open(out.resolve("a1/layer4.npz")).get("importance").asDouble())
        .isNotEqualTo(first);
  }

  @Test
  void labelsStandForConceptsWhereThereIsNoClip() {
    String probe = CliData.probe(folder.resolve("probe.npz"), "y");
    JsonNode json =
        CliRun.ok(
                "rank",
                "cdir",
                "--checkpoint",
                CliData.MODEL,
                "--data",
                probe,
                "--concepts",
                "labels",
                "--pool",
                "max",
                "--top-k",
                20,
                "--out",
                out,
                "--json")
            .json();
    assertThat(json.get("layer").asText()).isEqualTo("layer4");
    assertThat(json.get("provenance").get("parameters").get("top_k").asInt()).isEqualTo(20);
    // The ranking is one that the defense takes.
    assertThat(
            CliRun.ok(
                    "predict",
                    "--checkpoint",
                    CliData.MODEL,
                    "--data",
                    CliData.IMAGES,
                    "--ranking",
                    out,
                    "--keep",
                    20,
                    "--out",
                    folder.resolve("logits.npy"))
                .err())
        .doesNotContain("warning");
  }

  @Test
  void badInputIsRefusedWithReasons() throws Exception {
    assertRefused(matrices("--similarity", "softwpmi"), "soft_wpmi, wpmi", "'softwpmi'");
    assertRefused(matrices("--top-k", 201), "between 1 and the 200 probe images", "got 201");
    assertRefused(matrices("--top-k", 0), "--top-k of at least 1");
    assertRefused(matrices("--concepts", "labels"), "one source of concepts");
    assertRefused(matrices("--pool", "median"), "avg or max");
    assertRefused(matrices("--checkpoint", CliData.MODEL), "--activations Q.npy, got both");
    assertRefused(matrices("--layer", "a,b"), "one --layer");
    assertRefused(CliRun.of("rank", "cdir", "--activations", q, "--out", out), "got none");
    Path short1 = folder.resolve("short.npy");
    Npy.write(short1, NpyArray.of(new double[199 * 10], 199, 10));
    assertRefused(
        CliRun.of("rank", "cdir", "--similarity-matrix", short1, "--activations", q, "--out", out),
        "200 images), got 199");
    Npy.write(short1, NpyArray.of(new long[199], 199));
    assertRefused(
        matrices("--labels", short1, "--similarity", "majority_vote_gt"), "expected 200 labels");
    double[] values = GOLDEN.get("target_feats").asDouble();
    values[17 * 64 + 5] = Double.NaN;
    Npy.write(short1, NpyArray.of(values, 200, 64));
    assertRefused(
        CliRun.of("rank", "cdir", "--similarity-matrix", p, "--activations", short1, "--out", out),
        "NaN at [17, 5]");
    assertThat(out).doesNotExist();
  }

  @Test
  void badClipInputIsRefusedWithReasons() throws Exception {
    Files.writeString(classes, "\n  \n");
    assertRefused(clip(golden("clip_tiny.pt"), VOCABULARY), "classes.txt");
    Files.write(classes, NAMES);
    assertRefused(
        clip(golden("../torchscript/small.pt"), VOCABULARY), "encode_image and encode_text");
    assertRefused(clip(golden("clip_tiny.pt"), classes), "vocabulary", "no pair of symbols");
    assertRefused(
        clip(golden("clip_tiny.pt"), VOCABULARY, "--template", "a photo"), "with {} in the place");
    assertRefused(
        CliRun.of(
            "rank",
            "cdir",
            "--checkpoint",
            CliData.MODEL,
            "--clip-model",
            golden("clip_tiny.pt"),
            "--out",
            out),
        "--vocabulary FILE",
        "--classes FILE");
    assertThat(out).doesNotExist();
  }

  private CliRun clip(Path model, Path vocabulary, Object... further) {
    return CliRun.of(
        Stream.concat(
                Stream.of(
                    "rank",
                    "cdir",
                    "--checkpoint",
                    CliData.MODEL,
                    "--data",
                    CliData.IMAGES,
                    "--clip-model",
                    model,
                    "--vocabulary",
                    vocabulary,
                    "--classes",
                    classes,
                    "--out",
                    out),
                Arrays.stream(further))
            .toArray());
  }

  @Test
  void showPrintsTheTopUnitsAndDrawsThem() throws Exception {
    assertThat(matrices("--dtype", "float64").exitCode()).isZero();
    Path png = folder.resolve("map.png");
    JsonNode json =
        CliRun.ok("ranking", "show", out, "--top", 5, "--picture", png, "--json").json();
    assertThat(json.get("layer").asText()).isEqualTo("layer");
    assertThat(json.get("provenance").get("method").asText()).isEqualTo("cdir");
    double[] numbers = GOLDEN.get("soft_wpmi").asDouble();
    for (int c = 0; c < 10; c++) {
      JsonNode one = json.get("top_units").get(c);
      assertThat(one.get("units")).hasSize(5);
      int best = one.get("units").get(0).asInt();
      for (int u = 0; u < 64; u++) {
        assertThat(numbers[u * 10 + c]).isLessThanOrEqualTo(numbers[best * 10 + c]);
      }
    }
    assertThat(ImageIO.read(png.toFile()).getWidth()).isGreaterThanOrEqualTo(960);
    Path svg = folder.resolve("map.svg");
    assertThat(CliRun.ok("ranking", "show", out.resolve("Q/layer"), "--picture", svg).out())
        .contains("64 units, 10 classes", "class 9: ");
    assertThat(Files.readString(svg)).startsWith("<svg ").contains("class 7", "image/png;base64");
    assertRefused(
        CliRun.of("ranking", "show", out, "--picture", folder.resolve("map.gif")), ".png");
  }

  @Test
  void compareGivesOverlapAndCorrelation() {
    assertThat(matrices("--dtype", "float64").exitCode()).isZero();
    Path other = folder.resolve("other");
    CliRun.ok(
        "rank",
        "cdir",
        "--similarity-matrix",
        p,
        "--activations",
        q,
        "--similarity",
        "wpmi",
        "--out",
        other);
    JsonNode same = CliRun.ok("ranking", "compare", out, out, "--top", 8, "--json").json();
    assertThat(same.get("mean_jaccard").asDouble()).isEqualTo(1);
    assertThat(same.get("mean_spearman").asDouble()).isCloseTo(1, within(1e-12));
    JsonNode json = CliRun.ok("ranking", "compare", out, other, "--top", 8, "--json").json();
    assertThat(json.get("jaccard")).hasSize(10);
    assertThat(json.get("mean_jaccard").asDouble()).isBetween(0.0, 0.999);
    assertThat(json.get("mean_spearman").asDouble()).isBetween(-1.0, 0.999);
    assertThat(json.get("chance_jaccard").asDouble()).isCloseTo(1.0 / 15, within(1e-12));
  }

  @Test
  void brokenRankingsAreRefusedWithTheList() throws Exception {
    Path units = CliData.unitFiles(folder, "layer2");
    CliRun.ok("ranking", "show", units);
    Files.delete(units.resolve("unit3.npy"));
    Npy.write(units.resolve("unit10.npy"), NpyArray.of(new double[9], 9));
    double[] bad = new double[10];
    bad[4] = Double.POSITIVE_INFINITY;
    Npy.write(units.resolve("unit2.npy"), NpyArray.of(bad, 10));
    assertRefused(
        CliRun.of("ranking", "show", units),
        "1 units missing (3)",
        "unit10.npy has 9 values, not 10",
        "Infinity at unit 2, class 4");
    double[] alike = new double[64 * 10];
    for (int i = 0; i < alike.length; i++) {
      alike[i] = (i / 10 * 37) % 64;
    }
    Path file = folder.resolve("alike.npz");
    Npz.write(file, java.util.Map.of("importance", NpyArray.of(alike, 64, 10)));
    assertRefused(CliRun.of("ranking", "show", file), "differs between classes", "all 10 classes");
    assertRefused(CliRun.of("ranking", "show", folder.resolve("nothing")), "found nothing");
  }

  private static void assertRefused(CliRun run, String... parts) {
    assertThat(run.exitCode()).as("%s", run).isEqualTo(2);
    assertThat(run.err()).contains(parts);
    assertThat(run.err().lines().filter(line -> line.startsWith("igd: "))).hasSize(1);
  }
}
