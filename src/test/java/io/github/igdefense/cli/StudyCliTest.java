package io.github.igdefense.cli;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code igd analyze}, {@code igd study} and {@code igd compare} as a user types them. */
class StudyCliTest {
  @TempDir Path folder;
  private Path ranking;

  @BeforeEach
  void rankings() throws Exception {
    ranking = CliData.unitFiles(folder.resolve("rankings"), "layer4");
  }

  private Object[] arguments(String command, Object... more) {
    List<Object> all = new ArrayList<>(List.of(command.split(" ")));
    all.addAll(List.of("--checkpoint", CliData.MODEL, "--data", CliData.IMAGES, "--quiet"));
    all.addAll(List.of(more));
    return all.toArray();
  }

  private static void bad(CliRun run, String... parts) {
    assertThat(run.exitCode()).as(run.toString()).isEqualTo(2);
    assertThat(run.err()).contains(parts);
    assertThat(run.err().lines().filter(l -> !l.startsWith("warning"))).hasSize(1);
  }

  @Test
  void analyzeWritesPageAndNumbers() throws Exception {
    Path out = folder.resolve("analysis");
    CliRun run =
        CliRun.ok(
            arguments(
                "analyze",
                "--ranking",
                ranking,
                "--top-k",
                6,
                "--steps",
                5,
                "--out",
                out,
                "--json"));
    JsonNode json = run.json();
    assertThat(json).isEqualTo(CliRun.json(out.resolve("result.json")));
    JsonNode analysis = json.at("/data/analysis");
    assertThat(analysis.path("top_k").asInt()).isEqualTo(6);
    int broken = analysis.at("/successful/images").asInt();
    int held = analysis.at("/failed/images").asInt();
    assertThat(broken + held).isEqualTo(analysis.path("correct").asInt()).isPositive();
    assertThat(json.path("command_line").asText()).startsWith("scripts/igd");
    assertThat(Files.readString(out.resolve("report.html"))).contains("Change of activation");
  }

  @Test
  void analyzeRefusesWhatDoesNotFit() {
    Path out = folder.resolve("out");
    bad(
        CliRun.of(arguments("analyze", "--ranking", ranking, "--layer", "layer9", "--out", out)),
        "layer9",
        "layer4 with 64 units");
    bad(
        CliRun.of(arguments("analyze", "--ranking", ranking, "--top-k", 65, "--out", out)),
        "--top-k between 1 and 64");
    bad(
        CliRun.of(arguments("analyze", "--ranking", ranking, "--attack", "magic", "--out", out)),
        "magic");
    assertThat(out).doesNotExist();
  }

  @Test
  void aSweepGoesOnWhereItWas() throws Exception {
    Path out = folder.resolve("sweep");
    Object[] first =
        arguments(
            "study sweep",
            "--over",
            "keep",
            "--values",
            "10,64",
            "--ranking",
            ranking,
            "--attack",
            "fgsm",
            "--out",
            out,
            "--json");
    JsonNode json = CliRun.ok(first).json();
    assertThat(json.at("/data/points")).hasSize(2);
    assertThat(json.at("/data/points_kept/computed").asInt()).isEqualTo(3);
    JsonNode again = CliRun.ok(first).json();
    assertThat(again.at("/data/points_kept/computed").asInt()).isZero();
    assertThat(again.at("/data/points")).isEqualTo(json.at("/data/points"));
    assertThat(Files.readString(out.resolve("report.html"))).contains("sweep over keep");
  }

  @Test
  void studiesRefuseBadInputBeforeComputing() throws Exception {
    Path out = folder.resolve("out");
    bad(
        CliRun.of(
            arguments(
                "study sweep",
                "--over",
                "keep",
                "--values",
                "10,65",
                "--ranking",
                ranking,
                "--out",
                out)),
        "between 1 and 64",
        "65");
    bad(
        CliRun.of(
            arguments(
                "study sweep",
                "--over",
                "layer",
                "--values",
                "layer4,block3",
                "--ranking",
                ranking,
                "--out",
                out)),
        "block3");
    bad(
        CliRun.of(
            arguments("study classes", "--ranking", ranking, "--layer", "stem", "--out", out)),
        "stem");
    bad(CliRun.of(arguments("study classes", "--out", out)), "--ranking", "--probe");
    bad(
        CliRun.of(arguments("study sweep", "--over", "depth", "--ranking", ranking, "--out", out)),
        "probe-fraction");
    bad(
        CliRun.of(
            arguments("study sweep", "--over", "samples", "--ranking", ranking, "--out", out)),
        "--smoothing-sigma");
    bad(
        CliRun.of(arguments("study ablation", "--ranking", ranking, "--out", out)),
        "--smoothing-sigma");
    bad(
        CliRun.of(
            arguments("study loss-surface", "--points", 4, "--ranking", ranking, "--out", out)),
        "odd");
    bad(
        CliRun.of(
            arguments("study keep", "--ranking", ranking, "--dtype", "bfloat16", "--out", out)),
        "--dtype float32");
    bad(CliRun.of("study"), "ablation, sweep");
    assertThat(CliRun.files(out).stream().filter(f -> f.toString().contains("point-"))).isEmpty();
  }

  @Test
  void aCacheOfAnotherModelIsRefusedByHash() {
    Path cache = folder.resolve("cache");
    CliRun.ok(
        arguments(
            "study classes",
            "--ranking",
            ranking,
            "--attack",
            "fgsm",
            "--cache",
            cache,
            "--out",
            folder.resolve("a")));
    CliRun other =
        CliRun.of(
            "study",
            "classes",
            "--checkpoint",
            golden("a1n.pt"),
            "--data",
            CliData.IMAGES,
            "--probe",
            CliData.probe(folder.resolve("probe.npz"), "y"),
            "--attack",
            "fgsm",
            "--cache",
            cache,
            "--quiet",
            "--out",
            folder.resolve("b"));
    bad(
        other,
        "found that of model " + io.github.igdefense.data.Hashes.sha256(golden("a1.pt")),
        io.github.igdefense.data.Hashes.sha256(golden("a1n.pt")),
        "--cache");
  }

  @Test
  void rankingsAreMadeFromProbeImagesWhereThereIsNone() throws Exception {
    String probe = CliData.probe(folder.resolve("probe.npz"), "y");
    Path out = folder.resolve("layers");
    JsonNode json =
        CliRun.ok(
                arguments(
                    "study sweep",
                    "--over",
                    "layer",
                    "--values",
                    "layer3,layer4",
                    "--probe",
                    probe,
                    "--attack",
                    "fgsm",
                    "--out",
                    out,
                    "--json"))
            .json();
    assertThat(json.at("/data/points")).hasSize(2);
    assertThat(json.at("/data/points/0/defended/classifier").asText()).contains("layer3");
    CliRun shares =
        CliRun.ok(
            arguments(
                "study sweep",
                "--over",
                "probe-fraction",
                "--values",
                "0.1,1",
                "--probe",
                probe,
                "--attack",
                "fgsm",
                "--out",
                folder.resolve("shares"),
                "--json"));
    assertThat(shares.json().at("/data/points")).hasSize(2);
  }

  @Test
  void compareSetsDefensesSideBySide() throws Exception {
    Path out = folder.resolve("compare");
    JsonNode json =
        CliRun.ok(
                arguments(
                    "compare",
                    "--ranking",
                    ranking,
                    "--keep",
                    20,
                    "--hd-steps",
                    3,
                    "--hd-fixed-start",
                    "--attack",
                    "fgsm",
                    "--out",
                    out,
                    "--json"))
            .json();
    List<String> names = new ArrayList<>();
    for (JsonNode classifier : json.path("classifiers")) {
      names.add(classifier.path("name").asText());
      if (names.size() > 1) {
        assertThat(classifier.path("inference_time_ratio").asDouble()).isGreaterThan(0.5);
        assertThat(classifier.at("/transfer/fgsm").isNumber()).isTrue();
        assertThat(classifier.path("worst_case").asDouble())
            .isLessThanOrEqualTo(classifier.at("/transfer/fgsm").asDouble());
      }
    }
    assertThat(names).containsExactly("base", "caaa", "hd", "random", "loir");
    assertThat(Files.readString(out.resolve("report.html")))
        .contains("Anti-adversary (CAAA)", "Hedge Defense (HD)", "BPDA");
    bad(
        CliRun.of(arguments("compare", "--with", "caaa,magic", "--out", out)),
        "caaa, hd, sodef, random, cdir, loir");
    bad(CliRun.of(arguments("compare", "--with", "loir", "--out", out)), "--ranking");
    for (String command : List.of("compare", "study classes")) {
      bad(CliRun.of(arguments(command, "--ranking", "random", "--out", out)), "no ranking");
    }
    bad(CliRun.of(arguments("compare", "--hd-steps", 0, "--out", out)), "at least 1 step");
    bad(
        CliRun.of(arguments("compare", "--with", "caaa", "--dtype", "bfloat16", "--out", out)),
        "--dtype float32");
    bad(CliRun.of(arguments("compare", "--with", "sodef", "--out", out)), "--sodef-block");
    bad(
        CliRun.of(arguments("compare", "--sodef-block", CliData.MODEL, "--out", out)),
        "does not hold a SODEF block");
  }

  @Test
  void compareTakesASodefBlock() throws Exception {
    Path out = folder.resolve("sodef");
    CliRun run =
        CliRun.ok(
            arguments(
                "compare",
                "--with",
                "sodef",
                "--sodef-block",
                golden("sodef_block.pt"),
                "--attack",
                "fgsm",
                "--out",
                out,
                "--json"));
    JsonNode sodef = run.json().path("classifiers").get(1);
    assertThat(sodef.path("name").asText()).isEqualTo("sodef");
    assertThat(sodef.path("inference_time_ratio").asDouble()).isGreaterThan(0.5);
    assertThat(sodef.path("worst_case").asDouble())
        .isLessThanOrEqualTo(sodef.at("/attacks/fgsm").asDouble());
    CliRun untrained =
        CliRun.ok(
            arguments(
                "compare",
                "--with",
                "sodef",
                "--sodef-block",
                "random",
                "--attack",
                "fgsm",
                "--out",
                folder.resolve("random")));
    assertThat(untrained.err()).contains("not trained");
    assertThat(untrained.out()).contains("SODEF (untrained)");
  }
}
