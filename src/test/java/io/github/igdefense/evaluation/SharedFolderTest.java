package io.github.igdefense.evaluation;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.igdefense.data.NpyArray;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SharedFolderTest {
  private static final Map<String, String> SETTINGS = Map.of("model", "a1");

  @TempDir Path root;

  /** Another process: says when it is at work on a batch and ends it when told. */
  static final class Worker {
    public static void main(String[] args) {
      step(
          RunState.cached(Path.of(args[0]), SETTINGS),
          () -> {
            System.out.println("at work");
            try {
              return System.in.read();
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
    }
  }

  private static int step(RunState state, Supplier<Integer> work) {
    return step(state.journal("base/test", "settings"), work);
  }

  private static int step(Journal journal, Supplier<Integer> work) {
    Map<String, NpyArray> found =
        journal.step(() -> Map.of("value", NpyArray.of(new byte[] {work.get().byteValue()}, 1)));
    return found.get("value").bytes().get(0, 1)[0];
  }

  private Process worker() throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx128m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Worker.class.getName(),
                root.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    BufferedReader out = process.inputReader(StandardCharsets.UTF_8);
    assertThat(out.readLine()).isEqualTo("at work");
    return process;
  }

  @Test
  void aBatchAnotherProcessComputesIsWaitedForAndRead() throws Exception {
    Process worker = worker();
    try {
      AtomicInteger waited = new AtomicInteger();
      RunState state =
          RunState.cached(
              root,
              SETTINGS,
              folder ->
                  new SharedFolder(
                      folder,
                      at -> {
                        waited.incrementAndGet();
                        tell(worker, 77);
                      }));
      assertThat(step(state, () -> 5)).isEqualTo(77);
      assertThat(waited).hasValue(1);
      assertThat(worker.waitFor()).isZero();
    } finally {
      worker.destroyForcibly();
    }
  }

  @Test
  void aKilledProcessHoldsNothingUp() throws Exception {
    Process worker = worker();
    RunState state =
        RunState.cached(
            root, SETTINGS, folder -> new SharedFolder(folder, at -> worker.destroyForcibly()));
    assertThat(step(state, () -> 5)).isEqualTo(5);
    assertThat(worker.waitFor()).isNotZero();
    assertThat(step(RunState.cached(root, SETTINGS), () -> 6)).as("kept").isEqualTo(5);
  }

  private static void tell(Process process, int value) {
    try {
      process.getOutputStream().write(value);
      process.getOutputStream().flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void threadsComputeEveryBatchOnce() throws Exception {
    AtomicInteger computed = new AtomicInteger();
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<Callable<List<Integer>>> tasks = new ArrayList<>();
      for (int thread = 0; thread < 4; thread++) {
        tasks.add(
            () -> {
              Journal journal = RunState.cached(root, SETTINGS).journal("base/test", "settings");
              List<Integer> values = new ArrayList<>();
              for (int batch = 0; batch < 20; batch++) {
                int value = batch * 3;
                values.add(
                    step(
                        journal,
                        () -> {
                          computed.incrementAndGet();
                          return value;
                        }));
              }
              return values;
            });
      }
      for (Future<List<Integer>> values : threads.invokeAll(tasks)) {
        assertThat(values.get()).hasSize(20).first().isEqualTo(0);
        assertThat(values.get()).last().isEqualTo(57);
      }
    } finally {
      threads.shutdownNow();
    }
    assertThat(computed).hasValue(20);
  }

  @Test
  void itWorksWithinItselfAndWhereNothingCanBeLocked() throws IOException {
    SharedFolder folder = new SharedFolder(root);
    assertThat((int) folder.alone(() -> folder.alone(() -> 3))).isEqualTo(3);
    SharedFolder linked = new SharedFolder(Files.createSymbolicLink(root.resolve("link"), root));
    assertThat((int) folder.alone(() -> linked.alone(() -> 5))).as("by another name").isEqualTo(5);
    Path other = Files.createDirectories(root.resolve("other/.lock")).getParent();
    assertThat((int) new SharedFolder(other).alone(() -> 4)).isEqualTo(4);
  }
}
