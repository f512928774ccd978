package io.github.igdefense.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.igdefense.data.Npy;
import io.github.igdefense.evaluation.TuningCache;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code igd bench}, {@code --batch-size auto} and {@code --pseudo-label-dtype} as commands. */
class BenchCliTest {
  @TempDir Path folder;

  @BeforeEach
  void ownCache() {
    System.setProperty(TuningCache.PROPERTY, folder.resolve("cache").toString());
  }

  @AfterEach
  void usualCache() {
    System.clearProperty(TuningCache.PROPERTY);
  }

  @Test
  void theJsonHasThePromisedKeysAndTheTableTheirUnits() {
    String[] line = {
      "bench", "--quick", "--checkpoint", CliData.MODEL, "--batch-size", "3", "--repetitions", "3"
    };
    CliRun table = CliRun.ok((Object[]) line);
    assertThat(table.out())
        .contains("images/s", "GMAC/s", " ms", "MiB", "defended / base", "libtorch eager");
    Object[] json = java.util.Arrays.copyOf(line, line.length + 1, Object[].class);
    json[line.length] = "--json";
    JsonNode figures = CliRun.ok(json).json();
    for (String key :
        List.of(
            "ratio_defended_b1",
            "ratio_defended_b3",
            "ratio_smoothed_b1",
            "ratio_smoothed_bf16_b3",
            "ratio_smoothed_high_b1",
            "ratio_smoothed_high_b3",
            "ratio_smoothed_medium_b1",
            "ratio_smoothed_medium_b3",
            "latency_b1_float32_high_ms",
            "speedup_b1_float32_high_vs_eager",
            "latency_b1_float32_ms",
            "latency_b1_bfloat16_ms",
            "speedup_b1_float32_vs_eager",
            "speedup_b1_bfloat16_vs_eager",
            "peak_share_float32",
            "peak_share_bfloat16",
            "speedup_gradient_vs_eager",
            "latency_b1_p99_9_over_p50",
            "ratio_loir_penultimate",
            "loir_kernel_us")) {
      assertThat(figures.path(key).isNumber()).as(key).isTrue();
      assertThat(figures.path(key).asDouble()).as(key).isFinite().isPositive();
    }
    assertThat(figures.path("arch").asText()).isEqualTo("rn18");
    assertThat(figures.path("cpu").asText()).isNotBlank();
  }

  @Test
  void aTunedBatchSizeIsKeptAndUsedWhereItIsAskedFor() throws Exception {
    Object[] predict = {
      "predict",
      "--checkpoint",
      CliData.MODEL,
      "--data",
      CliData.IMAGES,
      "--batch-size",
      "auto",
      "--out",
      folder.resolve("auto.npy")
    };
    assertThat(CliRun.ok(predict).err()).contains("has not been tuned", "--tune", "64");

    JsonNode tuned =
        CliRun.ok("bench", "--tune", "--quick", "--checkpoint", CliData.MODEL, "--json").json();
    Path file = Path.of(tuned.path("file").asText());
    assertThat(file).exists().hasParent(folder.resolve("cache"));
    assertThat(tuned.path("tuning").path("batch_size").asInt()).isBetween(8, 128);
    assertThat(CliRun.ok(predict).err()).doesNotContain("warning");

    Files.writeString(file, "{");
    assertThat(CliRun.ok(predict).err()).contains(file.toString(), "cannot be used");

    CliRun.ok(
        "predict",
        "--checkpoint",
        CliData.MODEL,
        "--data",
        CliData.IMAGES,
        "--batch-size",
        "5",
        "--out",
        folder.resolve("five.npy"));
    float[] auto = Npy.read(folder.resolve("auto.npy")).asFloat();
    float[] five = Npy.read(folder.resolve("five.npy")).asFloat();
    assertThat(five).usingComparatorWithPrecision(1e-3f).containsExactly(auto);
  }

  @Test
  void pseudoLabelsInBfloat16AreComparedAndReported() throws Exception {
    Path rankings = CliData.unitFiles(folder.resolve("rankings"), "layer4").getParent();
    Object[] defended = {
      "--checkpoint",
      CliData.MODEL,
      "--data",
      CliData.IMAGES,
      "--ranking",
      rankings,
      "--keep",
      "8",
      "--smoothing-sigma",
      "4/255",
      "--pseudo-label-dtype",
      "bfloat16"
    };
    CliRun predict =
        CliRun.ok(with(defended, "predict", "--out", folder.resolve("l.npy"), "--json"));
    assertThat(predict.err()).contains("bfloat16 gives the pseudo-label of float32", "16 noisy");
    assertThat(predict.json().path("pseudo_label_dtype").asText()).isEqualTo("bfloat16");
    assertThat(predict.json().path("pseudo_label_agreement").asDouble()).isBetween(0.5, 1.0);
    assertThat(predict.json().path("classifier").asText()).contains("pseudo-labels in bfloat16");

    Path out = folder.resolve("eval");
    CliRun eval =
        CliRun.ok(
            with(
                defended,
                "eval",
                "--attack",
                "fgsm",
                "--evaluations",
                "1",
                "--out",
                out,
                "--json"));
    assertThat(eval.err()).contains("bfloat16 gives the pseudo-label of float32");
    String result = Files.readString(out.resolve("result.json"));
    assertThat(result).contains("pseudo-label dtype").contains("pseudo-label agreement");

    CliRun attack =
        CliRun.ok(with(defended, "attack", "--attack", "fgsm", "--out", folder.resolve("attack")));
    assertThat(attack.err()).contains("bfloat16 gives the pseudo-label of float32");
    assertThat(Files.readString(folder.resolve("attack").resolve("result.json")))
        .contains("pseudo-label dtype");

    CliRun compare = CliRun.of(with(defended, "compare", "--out", folder.resolve("c")));
    assertThat(compare.exitCode()).isEqualTo(2);
    assertThat(compare.err()).contains("--pseudo-label-dtype", "predict");
  }

  private static Object[] with(Object[] options, Object command, Object... more) {
    Object[] all = new Object[1 + options.length + more.length];
    all[0] = command;
    System.arraycopy(options, 0, all, 1, options.length);
    System.arraycopy(more, 0, all, 1 + options.length, more.length);
    return all;
  }

  @Test
  void requestsOnStandardInputAreAnsweredLineByLine() {
    InputStream usual = System.in;
    try {
      System.setIn(
          new ByteArrayInputStream("forward 2 3\ngradient 1 1\n".getBytes(StandardCharsets.UTF_8)));
      CliRun run = CliRun.ok("bench", "--on-request", "--checkpoint", CliData.MODEL);
      assertThat(run.out().lines()).hasSize(3);
      assertThat(run.out()).contains("\"forward 2 3\"").contains("\"gradient 1 1\"");
    } finally {
      System.setIn(usual);
    }
  }
}
