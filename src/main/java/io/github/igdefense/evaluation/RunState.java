package io.github.igdefense.evaluation;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Rng;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * The progress of an evaluation on disk: every finished batch of every task, with the state of the
 * random streams after it, so that a killed run loses at most the batch it was in and ends, when
 * resumed, equal to one that was not interrupted.
 *
 * <p>Layout: {@code state.json} holds the settings of the run; every task has a folder with one
 * {@code .npz} file per batch. Files are written beside their place and moved, so a half-written
 * one never counts. Not thread-safe; one process at a time, but for {@link #cached} states.
 */
public final class RunState {
  /** Keeps nothing. */
  public static final RunState NONE = new RunState(null, Map.of(), false, List.of(), null);

  /** Grows when records change. */
  private static final String FORMAT = "1";

  private static final String FILE = "state.json";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path folder;
  private final Map<String, String> settings;
  private final boolean resumed;
  private final List<Rng> streams;
  private final SharedFolder shared;
  private boolean begun;

  private RunState(
      Path folder,
      Map<String, String> settings,
      boolean resumed,
      List<Rng> streams,
      SharedFolder shared) {
    this.folder = folder;
    this.settings = settings;
    this.resumed = resumed;
    this.begun = resumed;
    this.streams = List.copyOf(streams);
    this.shared = shared;
  }

  /**
   * Starts a state, or goes on with one.
   *
   * @param folder where; missing or empty to start one
   * @param resume go on if there is a state
   * @param settings everything that decides the numbers: hashes of model and data, seed, attacks
   * @param streams random streams that classifiers draw from; their state is kept with each batch
   * @throws InputException if there is a state and {@code resume} is false, if it belongs to other
   *     settings (names the first), if it is damaged, or if the folder holds something else
   */
  public static RunState open(
      Path folder, boolean resume, Map<String, String> settings, List<Rng> streams) {
    return open(folder, resume, settings, streams, null);
  }

  private static RunState open(
      Path folder,
      boolean resume,
      Map<String, String> settings,
      List<Rng> streams,
      SharedFolder shared) {
    Map<String, String> all = new LinkedHashMap<>();
    all.put("format", FORMAT);
    all.putAll(settings);
    Path file = folder.resolve(FILE);
    if (Files.exists(file)) {
      if (!resume) {
        throw new InputException(
            "expected no unfinished run in "
                + folder
                + ", but there is one; continue it with --resume, or delete that folder to start"
                + " anew");
      }
      compare(file, read(file), all);
      return new RunState(folder, all, true, streams, shared);
    }
    requireEmpty(folder);
    return new RunState(folder, all, false, streams, shared);
  }

  /** Called before the first batch is kept: what fails before that leaves nothing behind. */
  void begin() {
    if (begun) {
      return;
    }
    try {
      AtomicFiles.writeText(
          folder.resolve(FILE),
          JSON.writerWithDefaultPrettyPrinter().writeValueAsString(settings) + "\n");
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
    begun = true;
  }

  /**
   * A state shared by runs of equal settings: in a folder of {@code root} named after their hash.
   * Goes on with what is there. For classifiers that are not random.
   *
   * <p>Several processes may use it at the same time: a batch is computed by the first that needs
   * it, the others wait and read it.
   *
   * @throws InputException if it is damaged
   */
  public static RunState cached(Path root, Map<String, String> settings) {
    return cached(root, settings, SharedFolder::new);
  }

  /**
   * The same with another way to wait.
   *
   * @param sharing makes the lock of a folder
   */
  static RunState cached(
      Path root, Map<String, String> settings, Function<Path, SharedFolder> sharing) {
    Hashes.Builder hash = Hashes.builder().text(FORMAT);
    settings.forEach((name, value) -> hash.text(name).text(String.valueOf(value)));
    Path folder = root.resolve(hash.hex().substring(0, 16));
    return open(folder, true, settings, List.of(), sharing.apply(folder));
  }

  private static Map<String, String> read(Path file) {
    try {
      return JSON.readValue(
          Files.readString(file), new TypeReference<LinkedHashMap<String, String>>() {});
    } catch (NoSuchFileException e) {
      throw new InputException("expected a state at " + file + ", found none", e);
    } catch (JsonProcessingException e) {
      throw new InputException(
          "the state "
              + file
              + " is damaged ("
              + e.getOriginalMessage()
              + "); delete its folder to start anew",
          e);
    } catch (IOException e) {
      throw new InputException("cannot read the state " + file + ": " + e.getMessage(), e);
    }
  }

  private static void compare(Path file, Map<String, String> found, Map<String, String> expected) {
    TreeSet<String> names = new TreeSet<>(expected.keySet());
    names.addAll(found.keySet());
    for (String name : names) {
      if (!String.valueOf(expected.get(name)).equals(String.valueOf(found.get(name)))) {
        throw new InputException(
            "the state "
                + file
                + " belongs to another run: expected "
                + name
                + " "
                + expected.get(name)
                + ", got "
                + found.get(name)
                + "; repeat the command that began it, or choose another --state");
      }
    }
  }

  private static void requireEmpty(Path folder) {
    if (!Files.isDirectory(folder)) {
      return;
    }
    try (Stream<Path> content = Files.list(folder)) {
      // Hidden: what a killed write left.
      if (content.anyMatch(path -> !path.getFileName().toString().startsWith("."))) {
        throw new InputException(
            "expected an empty folder or the state of a run in "
                + folder
                + ", found other files; choose another --state");
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Where the state lies; null for {@link #NONE}. */
  public Path folder() {
    return folder;
  }

  /**
   * The batches of one task.
   *
   * @param name of the task, such as {@code base/apgd-ce}
   * @param settings that belong to this task alone; other settings are another task
   */
  Journal journal(String name, Object settings) {
    if (folder == null) {
      return Journal.NONE;
    }
    String hash = Hashes.builder().text(name).text(String.valueOf(settings)).hex().substring(0, 10);
    String readable = name.replaceAll("[^A-Za-z0-9._-]+", "-");
    return new Journal(this, folder.resolve(readable + "-" + hash), streams, shared);
  }

  /** Deletes the state if this run began it: its input was bad, and would be when resumed. */
  public void abandon() {
    if (!resumed) {
      delete();
    }
  }

  /** Deletes the state: the run is complete and its results are written. */
  public void delete() {
    if (!begun || !Files.exists(folder)) {
      return;
    }
    try (Stream<Path> walk = Files.walk(folder)) {
      for (Path path : walk.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot delete the state " + folder, e);
    }
  }
}
