package io.github.igdefense.evaluation;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.attack.Apgd;
import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunStateTest {
  private static final Map<String, String> SETTINGS = Map.of("model", "a1", "seed", "0");
  private static StagedNetwork network;
  private static ImageSet images;

  @TempDir Path folder;

  @BeforeAll
  static void open() {
    network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
    images = ImageSets.open("npz:" + golden("images32.npz"));
  }

  @AfterAll
  static void close() {
    images.close();
    network.close();
  }

  /** Ends a run from within, after so many steps of attacks. */
  private static final class Dies implements EvaluationListener {
    private int left;

    Dies(int left) {
      this.left = left;
    }

    @Override
    public void progress(Progress progress) {
      if (left-- == 0) {
        throw new IllegalStateException("killed");
      }
    }
  }

  /** Everything a comparison of a base with a smoothed model found, as numbers. */
  private static List<Object> run(RunState state, Rng noise, EvaluationListener listener) {
    ClassMasks masks = ClassMasks.random("layer4", 10, 64, 20, 3);
    List<AttackPlan> plans =
        List.of(
            AttackPlan.of(new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(8), 4)),
            AutoAttack.custom(
                List.<Attack>of(
                    new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(4), 3),
                    new Apgd(Apgd.Loss.CW, Norm.LINF, Epsilon.of255(4), 3))));
    try (IgDefense smoothed =
        new IgDefense(network, masks, 0.01, new Smoothing(0.05, 1), NoiseSource.fresh(noise))) {
      Comparison comparison =
          new Comparison(
              network,
              network,
              "base",
              images,
              Comparison.Plans.same(plans),
              new Evaluation.Settings(5, 0, new RepeatedEvaluation(3)),
              true,
              new Comparison.States(state, state),
              listener);
      comparison.add("smoothed", "smoothed", smoothed);
      return found(comparison, noise);
    }
  }

  private static List<Object> found(Comparison comparison, Rng noise) {
    List<Object> found = new java.util.ArrayList<>();
    for (Comparison.Row row : comparison.rows()) {
      Evaluation evaluation = row.evaluation();
      found.add(Arrays.toString(evaluation.clean().votes()));
      for (AttackRun run : evaluation.attacks().values()) {
        found.add(Arrays.toString(run.robust()));
        found.add(Arrays.toString(run.bestLoss()));
        found.add(Arrays.toString(run.predictions()));
        found.add(Arrays.toString(run.queriesPerImage()));
        found.add(run.adversarial().sha256());
        found.add(run.best().sha256());
        found.add(evaluation.saved().get(run.plan().name()));
      }
      evaluation.transfers().values().forEach(t -> found.add(Arrays.toString(t.votes())));
    }
    found.add(Arrays.hashCode(noise.state()));
    return found;
  }

  @Test
  void aRunThatDiesAnywhereEndsAsIfItHadNot() {
    List<Object> whole;
    int[] steps = new int[1];
    try (Rng noise = new Rng(7)) {
      whole = run(RunState.NONE, noise, progress -> steps[0]++);
    }
    for (int death = 3; death < steps[0]; death += Math.max(1, steps[0] / 6)) {
      Path state = folder.resolve("state" + death);
      int at = death;
      try (Rng noise = new Rng(7)) {
        RunState begun = RunState.open(state, false, SETTINGS, List.of(noise));
        assertThatThrownBy(() -> run(begun, noise, new Dies(at))).hasMessage("killed");
      }
      int[] resumed = new int[1];
      try (Rng noise = new Rng(7)) {
        RunState again = RunState.open(state, true, SETTINGS, List.of(noise));
        assertThat(run(again, noise, progress -> resumed[0]++)).as("death %d", at).isEqualTo(whole);
      }
      if (death > steps[0] / 2) {
        assertThat(resumed[0]).as("less is left to do").isLessThan(steps[0]);
      }
      // Once more: nothing is left.
      try (Rng noise = new Rng(7)) {
        RunState done = RunState.open(state, true, SETTINGS, List.of(noise));
        assertThat(run(done, noise, EvaluationListener.NONE)).isEqualTo(whole);
        done.delete();
      }
      assertThat(state).doesNotExist();
    }
  }

  @Test
  void aStateIsForOneRunOnly() throws IOException {
    try (Rng noise = new Rng(7)) {
      RunState begun = RunState.open(folder.resolve("s"), false, SETTINGS, List.of(noise));
      assertThat(folder.resolve("s"))
          .as("nothing is written before a batch is done")
          .doesNotExist();
      assertThatThrownBy(() -> run(begun, noise, new Dies(12)));
      assertThatThrownBy(() -> RunState.open(folder.resolve("s"), false, SETTINGS, List.of(noise)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("--resume");
      Map<String, String> other = Map.of("model", "a1", "seed", "1");
      assertThatThrownBy(() -> RunState.open(folder.resolve("s"), true, other, List.of(noise)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("expected seed 1, got 0");
      Map<String, String> fewer = Map.of("model", "a1");
      assertThatThrownBy(() -> RunState.open(folder.resolve("s"), true, fewer, List.of(noise)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("expected seed null, got 0");
    }
    Files.writeString(Files.createDirectory(folder.resolve("mine")).resolve("notes.txt"), "x");
    assertThatThrownBy(() -> RunState.open(folder.resolve("mine"), true, SETTINGS, List.of()))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("other files");
  }

  @Test
  void aDamagedStateIsNamedAndItsBatchCanBeComputedAgain() throws IOException {
    Path state = folder.resolve("s");
    List<Object> whole;
    try (Rng noise = new Rng(7)) {
      whole = run(RunState.open(state, false, SETTINGS, List.of(noise)), noise, p -> {});
    }
    List<Path> records;
    try (Stream<Path> walk = Files.walk(state)) {
      records = walk.filter(p -> p.toString().endsWith(".npz")).sorted().toList();
    }
    Path record = records.get(records.size() / 2);
    byte[] content = Files.readAllBytes(record);
    for (int length : new int[] {0, 10, content.length / 2, content.length - 1}) {
      Files.write(record, Arrays.copyOf(content, length));
      try (Rng noise = new Rng(7)) {
        RunState again = RunState.open(state, true, SETTINGS, List.of(noise));
        assertThatThrownBy(() -> run(again, noise, p -> {}))
            .isInstanceOf(InputException.class)
            .hasMessageContaining(record.getFileName().toString())
            .hasMessageContaining("damaged")
            .hasMessageContaining("delete it");
      }
    }
    Files.delete(record);
    try (Rng noise = new Rng(7)) {
      RunState again = RunState.open(state, true, SETTINGS, List.of(noise));
      assertThat(run(again, noise, p -> {})).isEqualTo(whole);
    }
    Files.writeString(state.resolve("state.json"), "{\"format\": ");
    assertThatThrownBy(() -> RunState.open(state, true, SETTINGS, List.of()))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("damaged");
  }

  @Test
  void theCacheOfABaseModelIsSharedByEqualSettingsOnly() throws IOException {
    AttackPlan plan = AttackPlan.of(new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(8), 3));
    List<String> points = new java.util.ArrayList<>();
    int[] steps = new int[3];
    for (int i = 0; i < 3; i++) {
      int run = i;
      Map<String, String> settings = Map.of("model", "a1", "seed", i < 2 ? "0" : "1");
      Evaluation evaluation =
          Evaluation.of(
              network,
              network,
              images,
              new Evaluation.Settings(8, i < 2 ? 0 : 1, RepeatedEvaluation.DEFAULT),
              RunState.cached(folder, settings),
              "base",
              progress -> steps[run]++);
      points.add(evaluation.attack(plan, true).best().sha256());
    }
    assertThat(points.get(1)).isEqualTo(points.get(0)).isNotEqualTo(points.get(2));
    assertThat(steps[1]).as("read, not attacked").isLessThan(steps[0]);
    assertThat(steps[2]).isEqualTo(steps[0]);
    try (Stream<Path> caches = Files.list(folder)) {
      assertThat(caches).hasSize(2);
    }
  }
}
