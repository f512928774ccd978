package io.github.igdefense.cli;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.NetworkDescription;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.SafeTensors;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Bad input ends in one clear line, the right exit code, and nothing half-written. */
class CliBadInputTest {
  private static final Path PWNED = Path.of("/tmp/igd_pwned");
  private static final double SECONDS = 30;

  @TempDir static Path folder;
  @TempDir Path out;

  /**
   * A command line and what its message holds; {@code OUT} is an empty folder, {@code IN} has
   * files.
   */
  private record Case(String line, String... expected) {
    @Override
    public String toString() {
      return line;
    }
  }

  private static final String PREDICT = "predict --out OUT/l.npy ";
  private static final String GOOD = "--data IMAGES --checkpoint MODEL ";
  private static final String RANKED = PREDICT + GOOD + "--ranking IN/rankings ";
  private static final String ATTACK = "attack --out OUT " + GOOD;
  private static final String EVAL = "eval --out OUT " + GOOD;
  private static final String RANK = "rank loir --out OUT --checkpoint MODEL ";
  private static final String TRAIN = "train --out OUT/run --limit 100 --test-limit 10 ";

  static Stream<Case> cases() {
    return Stream.of(
        // Data.
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/absent.npz", "absent.npz"),
        new Case(PREDICT + "--checkpoint MODEL --data folder:IN/absent", "absent"),
        new Case(PREDICT + "--checkpoint MODEL --data folder:IN/empty", "empty", "expected"),
        new Case(PREDICT + "--checkpoint MODEL --data idx:IN/empty", "empty"),
        new Case(PREDICT + "--checkpoint MODEL --data IN/empty", "npz:FILE", "embedded"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:", "npz:FILE"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/text.npz", "text.npz"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/cut.npz", "cut.npz"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/no_y.npz", "'y'", "no_y.npz"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/few_y.npz", "one label per image"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/label10.npz", "10", "label"),
        new Case(RANK + "--data npz:IN/label10.npz", "10", "label"),
        new Case(ATTACK + "--attack fgsm --data npz:IN/label10.npz", "--data"),
        new Case(
            "attack --out OUT --checkpoint MODEL --attack fgsm --data npz:IN/label10.npz",
            "10",
            "label"),
        new Case("eval --out OUT --checkpoint MODEL --data npz:IN/label10.npz", "10", "label"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/label_minus.npz", "-1"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/bright.npz", "[0,1]", "1.5"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/nan.npz", "[0,1]", "NaN"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/none.npz", "at least 1"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/small.npz", "[N,3,32,32]", "16, 16"),
        new Case(PREDICT + "--checkpoint MODEL --data npz:IN/grey.npz", "[N,3,32,32]", "1, 32, 32"),
        new Case(RANK + "--data npz:IN/small.npz", "[N,3,32,32]"),
        new Case(
            "attack --out OUT --checkpoint MODEL --attack fgsm --data npz:IN/small.npz",
            "[N,3,32,32]"),
        new Case(RANK + "--data IMAGES --limit 3", "every class"),
        new Case(PREDICT + GOOD + "--limit 0", "--limit", "0"),
        new Case(PREDICT + GOOD + "--limit -1", "--limit", "-1"),
        new Case(PREDICT + GOOD + "--limit many", "--limit", "many"),
        // Checkpoints.
        new Case(PREDICT + "--data IMAGES --checkpoint IN/absent.pt", "absent.pt"),
        new Case(PREDICT + "--data IMAGES --checkpoint IN/empty", "empty"),
        new Case(PREDICT + "--data IMAGES --checkpoint IN/page.pt", "HTML page"),
        new Case(
            PREDICT + "--data IMAGES --checkpoint GOLDEN/truncated.pt", "truncated.pt", "cut off"),
        new Case(PREDICT + "--data IMAGES --checkpoint GOLDEN/malicious_reduce.pt", "os.system"),
        new Case(PREDICT + "--data IMAGES --checkpoint GOLDEN/malicious_nested.pt", "os.system"),
        new Case(RANK + "--data IMAGES --checkpoint GOLDEN/malicious_legacy.pt", "--checkpoint"),
        new Case(
            "eval --out OUT --data IMAGES --checkpoint GOLDEN/malicious_legacy.pt", "os.system"),
        new Case(PREDICT + "--data IMAGES --checkpoint GOLDEN/odd_dtypes.pt", "conv1.weight"),
        new Case(PREDICT + GOOD + "--arch rn34", "layer1.2.conv1.weight", "rn34"),
        new Case(PREDICT + "--data IMAGES --checkpoint IN/deep.safetensors", "layer1.2.", "rn18"),
        new Case(
            PREDICT + "--data IMAGES --checkpoint embedded:nothing", "fashion-mnist", "nothing"),
        new Case(PREDICT + GOOD + "--arch resnet", "rn18", "wrn-DEPTH-WIDTH", "resnet"),
        new Case(PREDICT + GOOD + "--arch wrn-33-10", "6n+4", "wrn-33-10"),
        new Case(PREDICT + GOOD + "--arch wrn", "conv1", "its tensors fit rn18"),
        new Case(PREDICT + GOOD + "--input-normalization 0.5", "imagenet", "'0.5'"),
        new Case(PREDICT + GOOD + "--input-normalization 0.5,0", "positive deviations"),
        new Case(PREDICT + GOOD + "--input-normalization 0,0,1,1", "3 channels", "2 values"),
        // Layers, units and rankings.
        new Case(RANK + "--data IMAGES --layer layer9", "layer1", "layer4", "'layer9'"),
        new Case(RANKED + "--layer bn1", "layer3 with 32 units", "'bn1'"),
        new Case(RANKED + "--keep 65", "between 1 and 64", "65"),
        new Case(RANKED + "--keep 0", "between 1 and 64", "0"),
        new Case(RANKED + "--keep -3", "-3"),
        new Case(RANKED + "--keep some", "--keep", "some"),
        new Case(PREDICT + GOOD + "--keep 5", "--ranking"),
        new Case(PREDICT + GOOD + "--layer layer4", "--ranking"),
        new Case(PREDICT + GOOD + "--ranking IN/absent", "absent"),
        new Case(PREDICT + GOOD + "--ranking IN/empty", "found none"),
        new Case(PREDICT + GOOD + "--ranking IN/layer3.npz", "64 units"),
        new Case(
            PREDICT + GOOD + "--ranking IN/rankings/a1/layer4 --layer layer3",
            "32 units",
            "too many"),
        new Case(PREDICT + GOOD + "--ranking IN/missing", "2 units missing", "5, 63"),
        new Case(PREDICT + GOOD + "--ranking IN/nan", "NaN", "unit 7", "class 2"),
        new Case(PREDICT + GOOD + "--ranking IN/text.npz", "text.npz"),
        new Case(RANKED + "--smoothing-sigma -0.1", "--smoothing-sigma", "-0.1"),
        new Case(RANKED + "--smoothing-sigma NaN", "--smoothing-sigma", "NaN"),
        new Case(RANKED + "--smoothing-sigma 1/0", "--smoothing-sigma", "1/0"),
        new Case(
            RANKED + "--smoothing-sigma 1/100 --smoothing-samples 0", "--smoothing-samples", "0"),
        new Case(RANKED + "--temperature 0", "--temperature", "0"),
        new Case(RANKED + "--temperature -1", "--temperature", "-1"),
        new Case(RANKED + "--temperature NaN", "--temperature", "NaN"),
        new Case(PREDICT + GOOD + "--temperature 0", "--temperature"),
        new Case(RANK + "--data IMAGES --normalization mean", "class-mean", "'mean'"),
        // Attacks.
        new Case(ATTACK + "--attack apgd", "apgd-ce", "'apgd'"),
        new Case(ATTACK + "--attack fgsm,pgd", "one attack"),
        new Case(ATTACK, "--attack"),
        new Case(EVAL + "--attack apgd-ce,nothing", "apgd-ce", "'nothing'"),
        new Case(EVAL + "--attack fgsm,fgsm", "once"),
        new Case(EVAL + "--attack ,", "''"),
        new Case(ATTACK + "--attack fgsm --norm L0", "Linf, L2 or L1", "'L0'"),
        new Case(ATTACK + "--attack fgsm --eps 0", "epsilon", "0.0"),
        new Case(ATTACK + "--attack fgsm --eps -1/255", "epsilon", "-0.0039"),
        new Case(ATTACK + "--attack fgsm --eps abc", "8/255", "'abc'"),
        new Case(ATTACK + "--attack fgsm --eps 8/0", "epsilon"),
        new Case(ATTACK + "--attack fgsm --eps NaN", "epsilon"),
        new Case(ATTACK + "--attack fgsm --eps 1/2/3", "'1/2/3'"),
        new Case(ATTACK + "--attack apgd-ce --steps 0", "--steps", "0"),
        new Case(ATTACK + "--attack apgd-ce --restarts 0", "--restarts"),
        new Case(ATTACK + "--attack apgd-t --targets 0", "--targets"),
        new Case(ATTACK + "--attack apgd-t --eot 0", "--eot"),
        new Case(ATTACK + "--attack square --queries 0", "--queries"),
        new Case(ATTACK + "--attack square --loss hinge", "margin or ce", "'hinge'"),
        new Case(ATTACK + "--attack apgd-ce --loss cw", "no loss for apgd-ce", "'cw'"),
        new Case(ATTACK + "--attack rays --norm L2", "rays supports (Linf)", "L2"),
        new Case(ATTACK + "--attack gama-pgd --norm L1", "gama-pgd supports (Linf)", "L1"),
        new Case(EVAL + "--evaluations 4", "odd", "4"),
        new Case(EVAL + "--evaluations -1", "odd", "-1"),
        // Computing.
        new Case(PREDICT + GOOD + "--threads 0", "--threads", "0"),
        new Case(PREDICT + GOOD + "--threads 5000", "--threads", "5000"),
        new Case(PREDICT + GOOD + "--batch-size 0", "--batch-size", "0"),
        new Case(PREDICT + GOOD + "--dtype float16", "float32, float64 or bfloat16", "float16"),
        new Case(PREDICT + GOOD + "--device cuda:99", "cannot compute on cuda:99", "--device cpu"),
        new Case(PREDICT + GOOD + "--device cuda:0,cuda:1", "one device", "igd rank merge"),
        new Case(PREDICT + GOOD + "--device tpu", "cuda[:i]", "'tpu'"),
        new Case("bench --repetitions 2", "--repetitions", "2"),
        new Case("bench --batches 1,0", "--batches", "0"),
        new Case("bench --batches x", "--batches", "'x'"),
        new Case("bench --loir --cdir", "one of", "several"),
        new Case("bench --tune --soak 100000", "one of", "several"),
        new Case("bench --soak 99", "--soak", "10000", "99"),
        new Case("bench --dtype bfloat16", "--dtype", "--tune"),
        new Case("bench --arch nothing", "nothing", "rn18"),
        new Case("bench --quick --batch-size auto", "--batch-size", "auto"),
        new Case(PREDICT + GOOD + "--batch-size many", "--batch-size", "auto", "'many'"),
        new Case(PREDICT + GOOD + "--batch-size -3", "--batch-size", "-3"),
        new Case(PREDICT + GOOD + "--pseudo-label-dtype bfloat16", "--ranking"),
        new Case(RANKED + "--pseudo-label-dtype bfloat16", "--smoothing-sigma", "above 0"),
        new Case(
            RANKED + "--smoothing-sigma 0.1 --pseudo-label-dtype float64", "float64", "bfloat16"),
        new Case(
            RANKED + "--smoothing-sigma 0.1 --dtype float64 --pseudo-label-dtype bfloat16",
            "--pseudo-label-dtype",
            "float64"),
        new Case(RANKED + "--pseudo-label-dtype int8", "'int8'"),
        new Case(PREDICT + GOOD + "--float32-precision low", "highest, high or medium", "'low'"),
        new Case(
            PREDICT + GOOD + "--dtype bfloat16 --float32-precision high",
            "--float32-precision high",
            "--dtype bfloat16"),
        new Case(
            EVAL + "--dtype float64 --float32-precision high",
            "--float32-precision high",
            "--dtype float64"),
        new Case("bench --float32-precision high", "--float32-precision", "--tune"),
        new Case("bench --tune --dtype float64 --float32-precision high", "--dtype float64"),
        new Case(PREDICT + GOOD + "--pseudo-label-precision high", "--ranking"),
        new Case(RANKED + "--pseudo-label-precision low", "highest, high or medium", "'low'"),
        new Case(RANKED + "--pseudo-label-precision high", "--smoothing-sigma", "above 0"),
        new Case(
            RANKED
                + "--smoothing-sigma 0.1 --pseudo-label-precision high"
                + " --pseudo-label-dtype bfloat16",
            "--pseudo-label-precision high",
            "got both"),
        new Case(
            RANKED + "--smoothing-sigma 0.1 --pseudo-label-precision high --dtype bfloat16",
            "--pseudo-label-precision high",
            "--dtype bfloat16"),
        new Case(
            RANKED
                + "--smoothing-sigma 0.1 --float32-precision high"
                + " --pseudo-label-precision highest",
            "both the same",
            "highest with high"),
        new Case(
            "compare --out OUT " + GOOD + "--ranking IN/rankings --pseudo-label-precision high",
            "igd compare",
            "export"),
        // The command line itself.
        new Case(PREDICT + GOOD + "--nothing", "--nothing", "--help"),
        new Case(PREDICT + GOOD + "stray", "stray"),
        new Case("predict " + GOOD, "--out"),
        new Case(PREDICT + "--data IMAGES", "--checkpoint"),
        new Case(PREDICT + GOOD + "--checkpoint", "--checkpoint"),
        new Case("predikt " + GOOD, "predikt", "--help"),
        new Case("rank", "igd rank loir"),
        new Case("rank clip", "clip"),
        new Case("", "ommand"),
        // Outputs.
        new Case("predict --out OUT " + GOOD, "file name"),
        new Case("predict --out IN/text.npz/deep/l.npy " + GOOD, "text.npz is a file"),
        new Case("attack --attack fgsm --out IN/text.npz " + GOOD, "text.npz is a file"),
        new Case("eval --out IN/text.npz/deep " + GOOD, "text.npz is a file"),
        new Case("rank loir --out IN/text.npz " + GOOD, "text.npz is a file"),
        new Case("demo --out IN/text.npz", "text.npz is a file"),
        new Case("train --out IN/text.npz", "text.npz is a file"),
        // Demo and training.
        new Case("demo --out OUT --images 0", "--images"),
        new Case("demo --out OUT --eps x", "'x'"),
        new Case("demo --out OUT --steps 0", "--steps"),
        new Case("demo --out OUT --smoothing-sigma -1", "sigma"),
        new Case(TRAIN + "--method sgd", "n-fgsm", "'sgd'"),
        new Case(TRAIN + "--width 0", "width", "got 0"),
        new Case(TRAIN + "--epochs 0", "epochs", "got 0"),
        new Case(TRAIN + "--crop -1", "crop", "got -1"),
        new Case(TRAIN + "--eps 0", "epsilon"),
        new Case(TRAIN + "--average 1", "[0,1)"),
        new Case(TRAIN + "--dtype float64", "float64"),
        new Case(TRAIN + "--dtype float16", "float16"),
        new Case(TRAIN + "--threads 0", "--threads"),
        new Case(TRAIN + "--learning-rate NaN", "learning rate", "NaN"),
        new Case(TRAIN + "--batch-size 1", "batch size of at least 2", "got 1"),
        new Case("train --out OUT --limit 20 --batch-size 1000", "one batch of 1000"),
        new Case("train --out OUT --limit 0", "--limit"),
        new Case("train --out OUT --limit 20 --test-limit 0", "--test-limit"),
        new Case("train --out OUT --batch-size 2 --data npz:IN/small.npz", "32x32", "16x16"),
        new Case(
            "train --out OUT --batch-size 2 --data IMAGES --test-data npz:IN/grey.npz",
            "3x32x32",
            "1x32x32"),
        new Case("train --out OUT --batch-size 2 --data npz:IN/two.npz", "label"));
  }

  @BeforeAll
  static void write() throws Exception {
    Files.createDirectory(folder.resolve("empty"));
    Files.writeString(folder.resolve("text.npz"), "no archive");
    Files.writeString(
        folder.resolve("page.pt"), "<!DOCTYPE html><html><head><title>Sign in</title>");
    Npz golden = Npz.open(golden("images32.npz"));
    byte[] whole = Files.readAllBytes(golden("images32.npz"));
    Files.write(folder.resolve("cut.npz"), Arrays.copyOf(whole, whole.length / 2));
    NpyArray x = golden.get("x");
    NpyArray y = golden.get("y");
    images("no_y", x, null);
    images("few_y", x, NpyArray.of(new long[15], 15));
    long[] labels = y.asLong();
    labels[3] = 10;
    images("label10", x, NpyArray.of(labels, 16));
    labels[3] = -1;
    images("label_minus", x, NpyArray.of(labels, 16));
    images("bright", with(x, 1.5f), y);
    images("nan", with(x, Float.NaN), y);
    images("none", NpyArray.of(new float[0], 0, 3, 32, 32), NpyArray.of(new long[0], 0));
    long[] ten = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    images("small", NpyArray.of(new float[10 * 3 * 256], 10, 3, 16, 16), NpyArray.of(ten, 10));
    images("grey", NpyArray.of(new float[10 * 1024], 10, 1, 32, 32), NpyArray.of(ten, 10));
    images(
        "two", NpyArray.of(new float[2 * 3072], 2, 3, 32, 32), NpyArray.of(new long[] {0, 1}, 2));
    NetworkDescription deep = Networks.describe("rn34", 3, 4, 10);
    SafeTensors.write(folder.resolve("deep.safetensors"), Networks.randomState(deep, 0), Map.of());
    for (String layer : List.of("layer3", "layer4")) {
      CliData.unitFiles(folder.resolve("rankings"), layer);
      CliData.singleFile(folder.resolve(layer + ".npz"), layer);
    }
    Path missing = CliData.unitFiles(folder.resolve("missing"), "layer4");
    Files.delete(missing.resolve("unit5.npy"));
    Files.delete(missing.resolve("unit63.npy"));
    Path nan = CliData.unitFiles(folder.resolve("nan"), "layer4");
    double[] row = Npy.read(nan.resolve("unit7.npy")).asDouble();
    row[2] = Double.NaN;
    Npy.write(nan.resolve("unit7.npy"), NpyArray.of(row, row.length));
  }

  private static NpyArray with(NpyArray x, float value) {
    float[] pixels = x.asFloat();
    pixels[5000] = value;
    return NpyArray.of(pixels, x.shape());
  }

  private static void images(String name, NpyArray x, NpyArray y) {
    CliData.images(folder.resolve(name + ".npz"), x, y);
  }

  private CliRun run(String line) {
    return CliRun.of(
        Stream.of(line.trim().split(" +"))
            .filter(word -> !word.isEmpty())
            .map(
                word ->
                    word.replace("IMAGES", CliData.IMAGES)
                        .replace("MODEL", CliData.MODEL)
                        .replace("GOLDEN", golden("a1.pt").getParent().toString())
                        .replace("OUT", out.toString())
                        .replaceAll("(^|:)IN/", "$1" + folder + "/"))
            .toArray());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void badInputIsRefused(Case bad) throws Exception {
    CliRun run = run(bad.line);
    assertThat(run.exitCode()).as("%s", run).isEqualTo(2);
    assertOneClearLine(run);
    assertThat(run.err()).contains(bad.expected);
    assertThat(run.seconds()).isLessThan(SECONDS);
    try (Stream<Path> left = Files.list(out)) {
      assertThat(left).isEmpty();
    }
    assertThat(folder.resolve("text.npz")).hasContent("no archive");
    assertThat(PWNED).doesNotExist();
  }

  private static void assertOneClearLine(CliRun run) {
    List<String> notes = new ArrayList<>(run.err().lines().toList());
    // What a command says about its work before it meets the problem.
    notes.removeIf(
        line -> line.startsWith("data: ") || line.matches("(\\d/\\d |base: |clean, |train: ).*"));
    assertThat(notes).as("%s", run).hasSize(1);
    assertThat(notes.get(0))
        .startsWith("igd: ")
        .doesNotContain("Exception")
        .doesNotContain("internal error")
        .doesNotContain("null");
    assertThat(run.out()).isEmpty();
  }

  @Test
  void debugShowsTheStackTraceToo() {
    CliRun run = run(PREDICT + "--debug --data IMAGES --checkpoint IN/absent.pt");
    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("InputException").contains("\tat ").contains("igd: ");
  }

  @Test
  void anUnwritableFolderIsNamed() throws Exception {
    Path locked = Path.of("/proc/igd-out");
    CliRun run =
        CliRun.of(
            "predict",
            "--data",
            CliData.IMAGES,
            "--checkpoint",
            CliData.MODEL,
            "--out",
            locked.resolve("l.npy"));
    assertThat(run.exitCode()).isIn(1, 2);
    assertOneClearLine(run);
    assertThat(run.err()).contains("/proc/igd-out");
  }

  /** What every command that writes does on a disk without space. */
  private static void assertFullDisk(CliRun run, Path disk, List<Path> before) throws IOException {
    assertThat(run.exitCode()).as("%s", run).isEqualTo(1);
    List<String> complaints = run.err().lines().filter(line -> line.startsWith("igd: ")).toList();
    assertThat(complaints).as("%s", run).hasSize(1);
    assertThat(complaints.get(0))
        .contains("cannot write")
        .contains(disk.toString())
        .contains("free space");
    assertThat(run.err()).doesNotContain("\tat ").doesNotContain("Exception:");
    assertThat(CliRun.files(disk)).isEqualTo(before);
  }

  @Test
  void aFullDiskLeavesWhatWasThere() throws Exception {
    Path disk = Files.createDirectory(out.resolve("disk"));
    assumeTrue(
        execute("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk.toString()) == 0,
        "needs root");
    try {
      String probe = CliData.probe(folder.resolve("probe.npz"), "y");
      CliRun.ok("rank", "loir", "--data", probe, "--checkpoint", CliData.MODEL, "--out", disk);
      Path ranking = disk.resolve("a1/layer4.npz");
      byte[] single = Files.readAllBytes(ranking);
      byte[] unit = Files.readAllBytes(disk.resolve("a1/layer4/unit0.npy"));
      fill(disk.resolve("ballast"));
      List<Path> before = CliRun.files(disk);
      assertFullDisk(
          CliRun.of(
              "rank",
              "loir",
              "--signed",
              "--data",
              probe,
              "--checkpoint",
              CliData.MODEL,
              "--out",
              disk),
          disk,
          before);
      assertThat(Files.readAllBytes(ranking)).isEqualTo(single);
      assertThat(Files.readAllBytes(disk.resolve("a1/layer4/unit0.npy"))).isEqualTo(unit);
      assertFullDisk(
          CliRun.of(
              "predict",
              "--data",
              probe,
              "--checkpoint",
              CliData.MODEL,
              "--out",
              disk.resolve("l.npy")),
          disk,
          before);
      assertFullDisk(
          CliRun.of(
              "attack",
              "--data",
              CliData.IMAGES,
              "--checkpoint",
              CliData.MODEL,
              "--attack",
              "fgsm",
              "--out",
              disk.resolve("attack")),
          disk,
          before);
      assertFullDisk(
          CliRun.of(
              "eval",
              "--data",
              CliData.IMAGES,
              "--checkpoint",
              CliData.MODEL,
              "--attack",
              "fgsm",
              "--out",
              disk.resolve("eval")),
          disk,
          before);
      assertFullDisk(
          CliRun.of(
              "train",
              "--limit",
              20,
              "--test-limit",
              10,
              "--batch-size",
              10,
              "--epochs",
              1,
              "--width",
              4,
              "--out",
              disk.resolve("train")),
          disk,
          before);
    } finally {
      execute("umount", disk.toString());
    }
  }

  private static void fill(Path file) throws IOException {
    byte[] page = new byte[4096];
    try (OutputStream stream = Files.newOutputStream(file)) {
      while (true) {
        stream.write(page);
      }
    } catch (IOException full) {
      assertThat(full).hasMessageContaining("space");
    }
  }

  private static int execute(String... command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    return process.waitFor(10, TimeUnit.SECONDS) ? process.exitValue() : -1;
  }
}
