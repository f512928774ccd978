package io.github.igdefense.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.training.AdversarialTrainer;
import io.github.igdefense.training.TrainingSettings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A tiny model is trained, resumed and demonstrated. */
class TrainDemoTest {
  @TempDir static Path folder;
  private static Path trained;

  @TempDir Path out;

  private static CliRun train(Path run, Object... more) {
    List<Object> line =
        new ArrayList<>(
            List.of(
                "train",
                "--data",
                "embedded:train",
                "--limit",
                200,
                "--test-limit",
                20,
                "--epochs",
                2,
                "--width",
                4,
                "--batch-size",
                50,
                "--out",
                run));
    line.addAll(Arrays.asList(more));
    return CliRun.of(line.toArray());
  }

  @BeforeAll
  static void train() {
    trained = folder.resolve("trained");
    CliRun run = train(trained, "--json");
    assertThat(run.exitCode()).as("%s", run).isZero();
    JsonNode json = run.json();
    assertThat(json.get("model").asText())
        .isEqualTo(trained.resolve("model.safetensors").toString());
    assertThat(json.get("last_epoch").get("epoch").asInt()).isEqualTo(2);
    assertThat(run.err()).contains("epoch 1/2").contains("epoch 2/2");
  }

  private static byte[] model(Path run) throws Exception {
    return Files.readAllBytes(run.resolve("model.safetensors"));
  }

  @Test
  void theSameSeedGivesTheSameBytesAndAnotherSeedOthers() throws Exception {
    Path again = out.resolve("again");
    CliRun run = train(again, "--quiet");
    assertThat(run.exitCode()).as("%s", run).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(model(again)).isEqualTo(model(trained));
    Path other = out.resolve("other");
    assertThat(train(other, "--seed", 1).exitCode()).isZero();
    assertThat(model(other)).isNotEqualTo(model(trained));
    JsonNode record = CliRun.json(again.resolve("training.json"));
    assertThat(record.get("settings").get("width").asInt()).isEqualTo(4);
    assertThat(record.get("epochs")).hasSize(2);
    assertThat(CliRun.files(again))
        .extracting(file -> file.getFileName().toString())
        .containsExactlyInAnyOrder("model.safetensors", "state.safetensors", "training.json");
  }

  /** The settings of {@link #train(Path, Object...)}. */
  private static TrainingSettings settings() {
    return new TrainingSettings(
        "n-fgsm", 4, 2, 50, 0.2, 0.9, 5e-4, 8 / 255.0, 10, 8 / 255.0, 2, 6, 0.999, 4, true,
        "float32", 0);
  }

  @Test
  void aRunThatDiedAfterAnEpochEndsWithTheSameModel() throws Exception {
    Path died = out.resolve("died");
    try (ImageSet train = ImageSets.open("embedded:train").balanced(200);
        ImageSet test = ImageSets.open("embedded:test").balanced(20);
        AdversarialTrainer trainer = new AdversarialTrainer(settings(), train, test, died)) {
      assertThatThrownBy(() -> trainer.run(new DyingProgress())).hasMessage("killed");
    }
    byte[] halfway = model(died);
    assertThat(halfway).isNotEqualTo(model(trained));
    CliRun resumed = train(died);
    assertThat(resumed.exitCode()).as("%s", resumed).isZero();
    assertThat(resumed.err())
        .contains("1 of 2 epochs done before", "epoch 2/2")
        .doesNotContain("epoch 1/2");
    assertThat(model(died)).isEqualTo(model(trained));
  }

  private static final class DyingProgress implements AdversarialTrainer.Progress {
    @Override
    public void step(int epoch, int step, int steps, double loss) {}

    @Override
    public void epoch(AdversarialTrainer.Epoch epoch) {
      throw new IllegalStateException("killed");
    }
  }

  @Test
  void aFinishedRunIsRepeatedFromItsStateAlone() throws Exception {
    Path copy = Files.createDirectory(out.resolve("copy"));
    Files.copy(trained.resolve("state.safetensors"), copy.resolve("state.safetensors"));
    CliRun run = train(copy, "--json");
    assertThat(run.exitCode()).as("%s", run).isZero();
    assertThat(run.err()).contains("2 of 2 epochs done before");
    assertThat(model(copy)).isEqualTo(model(trained));
    assertThat(copy.resolve("training.json")).exists();
  }

  @Test
  void otherSettingsOrDataInTheSameFolderAreRefused() throws Exception {
    byte[] before = Files.readAllBytes(trained.resolve("state.safetensors"));
    for (Object[] change :
        List.of(
            new Object[] {"--seed", 5},
            new Object[] {"--eps", "4/255"},
            new Object[] {"--method", "pgd"},
            new Object[] {"--no-flip"})) {
      CliRun run = train(trained, change);
      assertThat(run.exitCode()).as("%s", run).isEqualTo(2);
      assertThat(run.err()).contains("settings").contains("another --out").doesNotContain("\tat ");
      assertThat(run.err().lines().filter(line -> line.startsWith("igd: "))).hasSize(1);
    }
    CliRun run =
        CliRun.of(
            "train",
            "--limit",
            100,
            "--test-limit",
            20,
            "--epochs",
            2,
            "--width",
            4,
            "--batch-size",
            50,
            "--out",
            trained);
    assertThat(run.exitCode()).as("%s", run).isEqualTo(2);
    assertThat(run.err()).contains("train_");
    assertThat(Files.readAllBytes(trained.resolve("state.safetensors"))).isEqualTo(before);
  }

  @Test
  void everyMethodTrains() {
    for (String method : List.of("pgd", "trades", "clean")) {
      CliRun run =
          CliRun.ok(
              "train",
              "--limit",
              20,
              "--test-limit",
              10,
              "--epochs",
              1,
              "--width",
              4,
              "--batch-size",
              10,
              "--steps",
              2,
              "--method",
              method,
              "--average",
              0,
              "--out",
              out.resolve(method),
              "--json");
      assertThat(run.json().get("last_epoch").get("loss").asDouble()).as(method).isPositive();
    }
  }

  @Test
  void theDemoRanksDefendsAttacksAndReports() throws Exception {
    CliRun run =
        CliRun.ok(
            "demo",
            "--model",
            trained.resolve("model.safetensors"),
            "--images",
            20,
            "--steps",
            3,
            "--targets",
            1,
            "--out",
            out,
            "--json");
    JsonNode json = run.json();
    assertThat(json.get("kind").asText()).isEqualTo("demo");
    assertThat(json.get("classifiers")).hasSize(3);
    for (JsonNode classifier : json.get("classifiers")) {
      double worst = classifier.get("worst_case").asDouble();
      for (String group : List.of("attacks", "transfer")) {
        classifier
            .get(group)
            .forEach(column -> assertThat(worst).isLessThanOrEqualTo(column.asDouble()));
      }
    }
    assertThat(run.err()).contains("1/3").contains("2/3").contains("3/3").doesNotContain("igd: ");
    assertThat(CliRun.json(out.resolve("result.json"))).isEqualTo(json);
    assertThat(Files.readString(out.resolve("report.html"))).contains("Fashion-MNIST");
    assertThat(out.resolve("rankings/model/layer4.npz")).exists();
  }

  @Test
  void theEmbeddedModelIsDemonstratedWhereItIsShipped() {
    org.junit.jupiter.api.Assumptions.assumeTrue(
        Igd.class.getResource("/io/github/igdefense/checkpoints/fashion-mnist.safetensors") != null,
        "no checkpoint in this build");
    CliRun run =
        CliRun.ok("demo", "--images", 20, "--steps", 3, "--targets", 1, "--out", out, "--quiet");
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).contains("IG-Defense").contains("report.html");
  }
}
