package io.github.igdefense.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.model.Engine;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.model.StateDict;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The tuned batch size: found, kept, read, refused when damaged; and what it may not change. */
class TuningTest {
  private static final Tuning SOME = new Tuning(32, 2, 512.5, 2, 1, 99.25);

  @TempDir Path folder;

  @Test
  void whatIsWrittenIsRead() {
    TuningCache cache = new TuningCache(folder.resolve("not/yet/there"));
    Map<String, String> key = Map.of("cpu", "a", "model_sha256", "b");
    List<String> warnings = new ArrayList<>();

    assertThat(cache.read(key, warnings::add)).isEmpty();
    Path file = cache.write(key, SOME);

    assertThat(file.getFileName().toString()).matches("tune-[0-9a-f]{16}\\.json");
    assertThat(cache.read(key, warnings::add)).contains(SOME);
    Tuning other = new Tuning(64, 1, 600, 1, 2, 80);
    assertThat(cache.write(key, other)).isEqualTo(file);
    assertThat(cache.read(key, warnings::add)).contains(other);
    assertThat(warnings).isEmpty();
  }

  @Test
  void anotherModelOrMachineHasAFileOfItsOwn() {
    TuningCache cache = new TuningCache(folder);
    Map<String, String> key = Map.of("cpu", "a", "model_sha256", "b");
    cache.write(key, SOME);

    // The parts of a key cannot run into each other.
    for (Map<String, String> other :
        List.of(
            Map.of("cpu", "a", "model_sha256", "c"),
            Map.of("cpu", "ab", "model_sha256", ""),
            Map.of("cpu", "amodel_sha256", "", "b"))) {
      assertThat(cache.file(other)).isNotEqualTo(cache.file(key));
      assertThat(cache.read(other, warning -> {})).isEmpty();
    }
  }

  @Test
  void eachPrecisionHasAFileOfItsOwn() {
    StateDict state = Networks.randomState(Networks.describe("rn18", 3, 4, 10), 1);
    try (StagedNetwork highest =
            Networks.build(
                "rn18",
                state,
                "x",
                NetworkOptions.of(Dtype.FLOAT32)
                    .withInputNormalization("none")
                    .withEngine(Engine.NATIVE));
        StagedNetwork high = highest.withFloat32Precision(Float32Precision.HIGH)) {
      TuningCache cache = new TuningCache(folder);
      cache.write(TuningCache.key(highest), SOME);
      assertThat(TuningCache.key(high)).isNotEqualTo(TuningCache.key(highest));
      assertThat(cache.read(TuningCache.key(high), warning -> {})).isEmpty();
    }
  }

  @Test
  void aDamagedFileIsNamedAndNotUsed() throws IOException {
    TuningCache cache = new TuningCache(folder);
    Map<String, String> key = Map.of("cpu", "a");
    Path file = cache.write(key, SOME);
    String whole = Files.readString(file);
    List<String> damaged =
        List.of(
            "",
            "{",
            "[]",
            "null",
            "not json",
            whole.substring(0, whole.length() / 2),
            whole.replace("\"cpu\" : \"a\"", "\"cpu\" : \"b\""),
            whole.replace("igdefense-tuning-1", "igdefense-tuning-2"),
            whole.replace("\"batch_size\" : 32", "\"batch_size\" : 0"),
            whole.replace("\"batch_size\" : 32", "\"batch_size\" : 99999999"),
            whole.replace("\"batch_size\" : 32", "\"batch_size\" : \"many\""),
            whole.replace("\"threads\" : 2", "\"threads\" : -1"),
            whole.replace("\"batch_size\" : 32", "\"batch\" : 32"));
    for (String content : damaged) {
      assertThat(content).isNotEqualTo(whole);
      Files.writeString(file, content);
      List<String> warnings = new ArrayList<>();
      assertThat(cache.read(key, warnings::add)).as(content).isEmpty();
      assertThat(warnings).as(content).hasSize(1);
      assertThat(warnings.get(0)).contains(file.toString()).contains("igd bench --tune");
    }
    Files.writeString(file, whole);
    assertThat(cache.read(key, warning -> {})).contains(SOME);
  }

  @Test
  void aNetworkIsTunedWithinBoundsAndThreadsAreSetBack() {
    int threads = NativeRuntime.threads();
    try (StagedNetwork network = Networks.random("wrn-10-1", 3, 0, 10, 1, Dtype.FLOAT32)) {
      List<String> told = new ArrayList<>();
      Tuning found = Tuning.measure(network, 2, 0.05, told::add);

      assertThat(NativeRuntime.threads()).isEqualTo(threads);
      assertThat(found.batchSize()).isBetween(8, 128);
      assertThat(found.threads()).isBetween(1, 2);
      assertThat(found.callers() * found.threadsPerCaller()).isEqualTo(2);
      assertThat(found.imagesPerSecond()).isPositive().isFinite();
      assertThat(found.callersImagesPerSecond()).isPositive().isFinite();
      assertThat(told).isNotEmpty();
      Map<String, String> key = TuningCache.key(network);
      assertThat(key).doesNotContainValue(null).containsEntry("dtype", "float32");
    }
  }

  /**
   * What may change with the batch size, and so with a tuned one: an image's numbers in their last
   * digits. Never more, whichever code path a batch takes.
   */
  @Test
  void logitsOfAnImageAgreeToRoundingInAnyBatch() {
    try (StagedNetwork network = Networks.random("rn18", 3, 8, 10, 1, Dtype.FLOAT32);
        PointerScope scope = new PointerScope();
        Rng rng = new Rng(3)) {
      int n = 37;
      Tensor x = rng.uniform(Dtype.FLOAT32, n, 3, 32, 32);
      float[] all = Tensors.toFloats(network.logits(x));
      float largest = 0;
      for (float logit : all) {
        largest = Math.max(largest, Math.abs(logit));
      }
      for (int batch : new int[] {1, 2, 5, 6, 7, 16, 17, 36}) {
        for (int from = 0; from + batch <= n; from += batch) {
          float[] part = Tensors.toFloats(network.logits(x.narrow(0, from, batch)));
          for (int i = 0; i < part.length; i++) {
            assertThat(part[i])
                .as("logit %d of batch %d from %d", i, batch, from)
                .isCloseTo(all[from * 10 + i], within(2e-5f * largest));
          }
        }
      }
    }
  }
}
