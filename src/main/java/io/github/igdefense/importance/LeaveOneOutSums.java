package io.github.igdefense.importance;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A leave-one-out ranking on its way: exact sums of the differences per class and unit, the images
 * counted so far, and how much of a {@link Shard} is done. Both the state of an interrupted run and
 * the result of a shard.
 *
 * <p>On disk a {@code .npz}: {@code sums} int64 [K,U,2] (128-bit fixed point, low word first),
 * {@code counts} int64 [K], at the penultimate layer {@code weight} float64 [K,U], and text {@code
 * state.json}. Written beside and moved into place: a killed process leaves the earlier file whole.
 *
 * <p>Not safe for use by several threads at once.
 */
public final class LeaveOneOutSums {
  private static final String FORMAT = "igdefense leave-one-out sums 1";
  private static final String STATE = "state.json";
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES);

  /** The text of a file. */
  private record State(
      @JsonProperty("format") String format,
      @JsonProperty("settings") LeaveOneOutSettings settings,
      @JsonProperty("shard") Shard shard,
      @JsonProperty("done") long done) {}

  private final LeaveOneOutSettings settings;
  private final Shard shard;
  private final ExactSums sums;
  private final long[] counts;
  private final double[] weight;
  private long done;

  /**
   * Nothing summed yet.
   *
   * @param weight [K,U] of the classifier behind a penultimate layer; else null
   */
  LeaveOneOutSums(LeaveOneOutSettings settings, Shard shard, double[] weight) {
    this(
        settings,
        shard,
        new ExactSums(Math.multiplyExact(settings.classes(), settings.units())),
        new long[settings.classes()],
        weight,
        0);
  }

  private LeaveOneOutSums(
      LeaveOneOutSettings settings,
      Shard shard,
      ExactSums sums,
      long[] counts,
      double[] weight,
      long done) {
    this.settings = settings;
    this.shard = shard;
    this.sums = sums;
    this.counts = counts;
    this.weight = weight;
    this.done = done;
  }

  /** What the sums are of. */
  public LeaveOneOutSettings settings() {
    return settings;
  }

  /** Which part of the work. */
  public Shard shard() {
    return shard;
  }

  /** First batch, first group of units, and one past the last of each. */
  int chunkFrom() {
    return shard.from("images", settings.chunks());
  }

  int chunkTo() {
    return shard.to("images", settings.chunks());
  }

  int groupFrom() {
    return shard.from("units", settings.groups());
  }

  int groupTo() {
    return shard.to("units", settings.groups());
  }

  /** Tasks (batch × group of units) that are summed. */
  long done() {
    return done;
  }

  /** Tasks in all. */
  long tasks() {
    return (long) (chunkTo() - chunkFrom()) * (groupTo() - groupFrom());
  }

  /** Whether the whole shard is summed. */
  public boolean complete() {
    return done == tasks();
  }

  void add(int label, int unit, double difference) {
    sums.add(label * settings.units() + unit, difference);
  }

  void count(int label) {
    counts[label]++;
  }

  void finishTask() {
    done++;
  }

  /**
   * Writes the file in place of an earlier one.
   *
   * @throws java.io.UncheckedIOException if it cannot be written
   */
  public void save(Path file) {
    int k = settings.classes();
    int u = settings.units();
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("sums", NpyArray.of(sums.words(), k, u, 2));
    arrays.put("counts", NpyArray.of(counts, k));
    if (weight != null) {
      arrays.put("weight", NpyArray.of(weight, k, u));
    }
    try {
      Npz.write(
          file,
          arrays,
          Map.of(
              STATE,
              JSON.writerWithDefaultPrettyPrinter()
                  .writeValueAsString(new State(FORMAT, settings, shard, done))));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Reads a file.
   *
   * @throws InputException if it is none of {@link #save}
   */
  public static LeaveOneOutSums load(Path file) {
    Npz npz = Npz.open(file);
    State state;
    try {
      state = npz.containsText(STATE) ? JSON.readValue(npz.text(STATE), State.class) : null;
    } catch (JsonProcessingException e) {
      throw new InputException(
          "expected JSON in " + STATE + " of " + file + ": " + e.getOriginalMessage(), e);
    }
    if (state == null
        || !FORMAT.equals(state.format())
        || state.settings() == null
        || state.shard() == null) {
      throw new InputException(
          "expected sums of igd rank loir (" + FORMAT + ") in " + file + ", got something else");
    }
    LeaveOneOutSettings settings = state.settings();
    if (settings.units() < 1
        || settings.classes() < 1
        || settings.images() < 1
        || settings.batchSize() < 1
        || settings.unitGroup() < 1) {
      throw new InputException("expected positive sizes in " + STATE + " of " + file);
    }
    int k = settings.classes();
    int u = settings.units();
    long[] words = array(npz, "sums", k, u, 2).asLong();
    long[] counts = array(npz, "counts", k).asLong();
    double[] weight = npz.contains("weight") ? array(npz, "weight", k, u).asDouble() : null;
    LeaveOneOutSums loaded =
        new LeaveOneOutSums(
            settings, state.shard(), ExactSums.of(words), counts, weight, state.done());
    if (state.done() < 0 || state.done() > loaded.tasks()) {
      throw new InputException(
          "expected at most "
              + loaded.tasks()
              + " blocks done in "
              + file
              + ", got "
              + state.done());
    }
    return loaded;
  }

  private static NpyArray array(Npz npz, String name, long... shape) {
    NpyArray array = npz.get(name);
    if (!Arrays.equals(array.shape(), shape)) {
      throw new InputException(
          "expected "
              + name
              + " of shape "
              + Arrays.toString(shape)
              + " in "
              + npz.path()
              + ", got "
              + Arrays.toString(array.shape()));
    }
    return array;
  }

  /**
   * Joins the shards of one run: what the run would have given in one piece, to the last bit.
   *
   * @param files one per shard, in any order
   * @throws InputException if they do not fit together: other settings, hashes or versions, an
   *     unfinished, missing or repeated shard
   */
  public static LeaveOneOutSums merge(List<Path> files) {
    if (files.isEmpty()) {
      throw new InputException("expected the files of all shards, got none");
    }
    Path[] seen = null;
    LeaveOneOutSums merged = null;
    for (Path file : files) {
      LeaveOneOutSums part = load(file);
      Shard shard = part.shard;
      if (merged == null) {
        seen = new Path[shard.of()];
        merged = new LeaveOneOutSums(part.settings, Shard.WHOLE, part.weight);
        merged.done = merged.tasks();
        if (shard.by().equals("units")) {
          System.arraycopy(part.counts, 0, merged.counts, 0, part.counts.length);
        }
      }
      List<String> wrong = merged.settings.differences(part.settings);
      if (!wrong.isEmpty()) {
        throw new InputException(
            file + " does not fit " + files.get(0) + ": " + String.join("; ", wrong));
      }
      Shard other = load(files.get(0)).shard;
      if (!shard.by().equals(other.by()) || shard.of() != other.of()) {
        throw new InputException(
            file
                + " does not fit "
                + files.get(0)
                + ": expected a shard i/"
                + other.of()
                + " of the "
                + other.by()
                + ", got "
                + shard);
      }
      if (!part.complete()) {
        throw new InputException(
            file
                + " is not finished ("
                + part.done
                + " of "
                + part.tasks()
                + " blocks); run its shard again with --resume");
      }
      if (seen[shard.index() - 1] != null) {
        throw new InputException(
            "expected every shard once, got "
                + shard
                + " twice: "
                + seen[shard.index() - 1]
                + " and "
                + file);
      }
      seen[shard.index() - 1] = file;
      merged.sums.add(part.sums);
      if (shard.by().equals("images")) {
        for (int c = 0; c < part.counts.length; c++) {
          merged.counts[c] += part.counts[c];
        }
      } else if (!Arrays.equals(merged.counts, part.counts)) {
        throw new InputException(
            file + " does not fit " + files.get(0) + ": it counted other images per class");
      }
    }
    for (int i = 0; i < seen.length; i++) {
      if (seen[i] == null) {
        throw new InputException(
            "expected all "
                + seen.length
                + " shards, shard "
                + (i + 1)
                + "/"
                + seen.length
                + " is missing");
      }
    }
    return merged;
  }

  /**
   * The ranking.
   *
   * @throws IllegalStateException if the sums are of a part only
   * @throws InputException if a class has no image
   */
  public Ranking ranking() {
    if (shard.isPart() || !complete()) {
      throw new IllegalStateException("a ranking needs the sums of all units and images");
    }
    int k = settings.classes();
    int u = settings.units();
    double[] importance = new double[u * k];
    boolean reference = settings.normalization().equals(Normalization.REFERENCE.toString());
    for (int c = 0; c < k; c++) {
      if (counts[c] == 0) {
        throw new InputException("expected probe images of every class, got none of class " + c);
      }
      for (int unit = 0; unit < u; unit++) {
        double sum = sums.get(c * u + unit);
        double mean = reference ? sum / settings.images() * k : sum / counts[c];
        double value = mean;
        if (weight != null) {
          double w = weight[c * u + unit];
          value = (settings.signed() ? -w : Math.abs(w)) * mean;
        }
        importance[unit * k + c] = value;
      }
    }
    return new Ranking(settings.layer(), u, k, importance, settings.provenance(counts.clone()));
  }
}
