package io.github.igdefense.evaluation;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.tensor.Rng;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;

/** The finished batches of one task; see {@link RunState}. */
final class Journal {
  /** Keeps nothing. */
  static final Journal NONE = new Journal(null, null, List.of(), null);

  private static final String STREAM = "stream";

  private final RunState state;
  private final Path folder;
  private final List<Rng> streams;
  private final SharedFolder shared;
  private int next;

  /**
   * @param shared what other processes write to as well; null for a run's own state
   */
  Journal(RunState state, Path folder, List<Rng> streams, SharedFolder shared) {
    this.state = state;
    this.folder = folder;
    this.streams = streams;
    this.shared = shared;
  }

  /**
   * The next batch: read where it was finished before (the streams then stand as they did after
   * it), else computed and kept.
   *
   * @throws InputException if its file is damaged
   */
  Map<String, NpyArray> step(Supplier<Map<String, NpyArray>> work) {
    if (folder == null) {
      return work.get();
    }
    Path file = folder.resolve(String.format(Locale.ROOT, "%06d.npz", next++));
    if (Files.exists(file)) {
      return read(file);
    }
    return shared == null
        ? compute(file, work)
        : shared.alone(() -> Files.exists(file) ? read(file) : compute(file, work));
  }

  private Map<String, NpyArray> compute(Path file, Supplier<Map<String, NpyArray>> work) {
    Map<String, NpyArray> arrays = work.get();
    Map<String, NpyArray> all = new LinkedHashMap<>(arrays);
    for (int i = 0; i < streams.size(); i++) {
      byte[] state = streams.get(i).state();
      all.put(STREAM + i, NpyArray.of(state, state.length));
    }
    state.begin();
    Npz.write(file, all);
    return arrays;
  }

  private Map<String, NpyArray> read(Path file) {
    try {
      Npz npz = Npz.open(file);
      Map<String, NpyArray> arrays = new LinkedHashMap<>();
      for (String name : npz.names()) {
        arrays.put(name, npz.get(name));
      }
      for (int i = 0; i < streams.size(); i++) {
        NpyArray stored = npz.get(STREAM + i);
        byte[] state = stored.bytes().get(0, (int) stored.size());
        if (state.length != streams.get(i).state().length) {
          throw new InputException("expected a stream of random numbers in " + STREAM + i);
        }
        streams.get(i).restore(state);
      }
      return arrays;
    } catch (InputException e) {
      throw new InputException(
          "the state file "
              + file
              + " is damaged ("
              + e.getMessage()
              + "); delete it to compute that batch again",
          e);
    }
  }
}
