package io.github.igdefense.importance;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Rankings on disk.
 *
 * <p>Two forms: our single file {@code <layer>.npz} (array {@code importance} [U,K] float64 and
 * text {@code provenance.json}), and the exchange form of the published code, a folder {@code
 * <model>/<layer>/} with one {@code unit<u>.npy} of K floats per unit. Both are written; either is
 * read.
 */
public final class RankingFiles {
  private static final String IMPORTANCE = "importance";
  private static final String SINGLE = "ranking.npz";
  private static final String PROVENANCE = "provenance.json";
  private static final Pattern UNIT_FILE = Pattern.compile("unit(\\d{1,9})\\.npy");
  private static final int MOST_LISTED = 10;
  private static final ObjectMapper JSON =
      new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);

  private RankingFiles() {}

  /**
   * Writes {@code root/<model>/<layer>/unit<u>.npy} and {@code root/<model>/<layer>.npz} in place
   * of an earlier ranking of that layer: both are written beside it first, so that a full disk
   * leaves it whole.
   *
   * @param model the checkpoint file's name without its extension
   * @return the single file
   * @throws UncheckedIOException if the folder cannot be written
   */
  public static Path write(Path root, String model, Ranking ranking) {
    Path folder = root.resolve(model).resolve(ranking.layer());
    Path single = root.resolve(model).resolve(ranking.layer() + ".npz");
    Path parent = folder.toAbsolutePath().getParent();
    String random = UUID.randomUUID().toString().substring(0, 8);
    Path fresh = parent.resolve("." + ranking.layer() + "." + random + ".tmp");
    double[] importance = ranking.toArray();
    int k = ranking.classCount();
    try {
      Files.createDirectories(fresh);
      for (int u = 0; u < ranking.units(); u++) {
        try (OutputStream out =
            new BufferedOutputStream(Files.newOutputStream(fresh.resolve("unit" + u + ".npy")))) {
          Npy.write(out, NpyArray.of(Arrays.copyOfRange(importance, u * k, (u + 1) * k), k));
        }
      }
      Map<String, NpyArray> arrays = new LinkedHashMap<>();
      arrays.put(IMPORTANCE, NpyArray.of(importance, ranking.units(), k));
      Path complete = fresh.resolve(SINGLE);
      Npz.write(
          complete,
          arrays,
          Map.of(
              PROVENANCE,
              JSON.writerWithDefaultPrettyPrinter().writeValueAsString(ranking.provenance())));
      // Everything is on disk; what follows needs no more space. Old units go first: never a
      // mixture.
      Files.createDirectories(folder);
      Files.deleteIfExists(single);
      for (Path old : unitFiles(folder).values()) {
        Files.delete(old);
      }
      for (int u = 0; u < ranking.units(); u++) {
        Files.move(fresh.resolve("unit" + u + ".npy"), folder.resolve("unit" + u + ".npy"));
      }
      Files.move(complete, single);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    } catch (UncheckedIOException | IOException e) {
      throw new UncheckedIOException(
          "cannot write the ranking "
              + folder
              + " ("
              + reason(e)
              + "); free space or choose another place,"
              + " an earlier ranking there is unchanged",
          e instanceof IOException failure ? failure : ((UncheckedIOException) e).getCause());
    } finally {
      delete(fresh);
    }
    return single;
  }

  private static String reason(Exception e) {
    Throwable cause = e;
    while (cause.getCause() instanceof IOException) {
      cause = cause.getCause();
    }
    return cause.getMessage();
  }

  private static void delete(Path folder) {
    if (!Files.isDirectory(folder)) {
      return;
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot delete " + folder + ": " + e.getMessage(), e);
    }
  }

  /**
   * Reads a ranking from a single file, a folder of unit files, or a folder that holds either for
   * {@code layer} (directly or one level down, as {@link #write} lays them out).
   *
   * @param units expected number of units
   * @param classCount expected number of classes
   * @throws InputException with the list of what is wrong: missing units, wrong lengths, values
   *     that are not finite, another layer
   */
  public static Ranking read(Path path, String layer, int units, int classCount) {
    if (!Files.exists(path)) {
      throw new InputException("expected a ranking file or folder at " + path + ", found nothing");
    }
    if (Files.isRegularFile(path)) {
      return readSingle(path, layer, units, classCount);
    }
    List<Path> candidates = new ArrayList<>();
    find(path, layer, candidates);
    if (candidates.isEmpty()) {
      for (Path child : list(path)) {
        if (Files.isDirectory(child)) {
          find(child, layer, candidates);
        }
      }
    }
    if (candidates.isEmpty()) {
      throw new InputException(
          "expected a ranking for "
              + layer
              + " in "
              + path
              + " ("
              + layer
              + ".npz, or "
              + layer
              + "/unit0.npy ... unit"
              + (units - 1)
              + ".npy, or unit files in the folder itself), found none");
    }
    if (candidates.size() > 1) {
      throw new InputException(
          "expected one ranking for "
              + layer
              + " in "
              + path
              + ", found "
              + candidates
              + "; name one of them");
    }
    Path found = candidates.get(0);
    return Files.isDirectory(found)
        ? readUnits(found, layer, units, classCount)
        : readSingle(found, layer, units, classCount);
  }

  /** Refuses a ranking whose classes are all alike: its masks could not tell them apart. */
  private static Ranking distinct(Ranking ranking, Path where) {
    if (ranking.allClassesAlike()) {
      throw new InputException(
          "expected a ranking that differs between classes in "
              + where
              + ", but all "
              + ranking.classCount()
              + " classes of "
              + ranking.layer()
              + " have the same most important units; make the ranking again");
    }
    return ranking;
  }

  private static void find(Path folder, String layer, List<Path> candidates) {
    Path single = folder.resolve(layer + ".npz");
    Path units = folder.resolve(layer);
    if (Files.isRegularFile(single)) {
      candidates.add(single);
    } else if (Files.isDirectory(units) && !unitFiles(units).isEmpty()) {
      candidates.add(units);
    } else if (!unitFiles(folder).isEmpty()) {
      candidates.add(folder);
    }
  }

  private static List<Path> list(Path folder) {
    try (Stream<Path> children = Files.list(folder)) {
      return children.sorted().toList();
    } catch (IOException e) {
      throw new InputException("cannot list " + folder + ": " + e.getMessage(), e);
    }
  }

  private static TreeMap<Integer, Path> unitFiles(Path folder) {
    TreeMap<Integer, Path> files = new TreeMap<>();
    for (Path file : list(folder)) {
      Matcher matcher = UNIT_FILE.matcher(file.getFileName().toString());
      if (matcher.matches()) {
        files.put(Integer.parseInt(matcher.group(1)), file);
      }
    }
    return files;
  }

  private static Ranking readSingle(Path file, String layer, int units, int classCount) {
    Npz npz = Npz.open(file);
    NpyArray array = npz.get(IMPORTANCE);
    long[] shape = array.shape();
    if (shape.length != 2 || shape[0] != units || shape[1] != classCount) {
      throw new InputException(
          "expected a ranking of "
              + units
              + " units x "
              + classCount
              + " classes for "
              + layer
              + " in "
              + file
              + ", got shape "
              + Arrays.toString(shape));
    }
    RankingProvenance provenance =
        npz.containsText(PROVENANCE)
            ? parse(file, npz.text(PROVENANCE))
            : RankingProvenance.unknown(layer);
    if (provenance.layer() != null && !provenance.layer().equals(layer)) {
      throw new InputException(
          "expected a ranking for "
              + layer
              + " in "
              + file
              + ", got one for "
              + provenance.layer());
    }
    return distinct(new Ranking(layer, units, classCount, array.asDouble(), provenance), file);
  }

  private static RankingProvenance parse(Path file, String text) {
    try {
      return JSON.readValue(text, RankingProvenance.class);
    } catch (JsonProcessingException e) {
      throw new InputException(
          "expected JSON in " + PROVENANCE + " of " + file + ": " + e.getOriginalMessage(), e);
    }
  }

  private static Ranking readUnits(Path folder, String layer, int units, int classCount) {
    TreeMap<Integer, Path> files = unitFiles(folder);
    List<String> wrong = new ArrayList<>();
    List<Integer> missing = new ArrayList<>();
    for (int u = 0; u < units; u++) {
      if (!files.containsKey(u)) {
        missing.add(u);
      }
    }
    if (!missing.isEmpty()) {
      wrong.add(missing.size() + " units missing (" + some(missing) + ")");
    }
    List<Integer> extra = new ArrayList<>(files.tailMap(units).keySet());
    if (!extra.isEmpty()) {
      wrong.add(extra.size() + " units too many (" + some(extra) + ")");
    }
    double[] importance = new double[units * classCount];
    for (Map.Entry<Integer, Path> entry : files.headMap(units).entrySet()) {
      double[] row = Npy.read(entry.getValue()).asDouble();
      if (row.length != classCount) {
        wrong.add(
            entry.getValue().getFileName() + " has " + row.length + " values, not " + classCount);
        continue;
      }
      for (int c = 0; c < classCount; c++) {
        if (!Double.isFinite(row[c])) {
          wrong.add(row[c] + " at unit " + entry.getKey() + ", class " + c);
          break;
        }
      }
      System.arraycopy(row, 0, importance, entry.getKey() * classCount, classCount);
    }
    if (!wrong.isEmpty()) {
      throw new InputException(
          "expected a ranking of "
              + units
              + " units x "
              + classCount
              + " classes for "
              + layer
              + " in "
              + folder
              + ": "
              + String.join("; ", wrong.subList(0, Math.min(MOST_LISTED, wrong.size()))));
    }
    return distinct(
        new Ranking(layer, units, classCount, importance, RankingProvenance.unknown(layer)),
        folder);
  }

  private static String some(List<Integer> numbers) {
    String listed =
        String.join(", ", numbers.stream().limit(MOST_LISTED).map(String::valueOf).toList());
    return numbers.size() > MOST_LISTED ? listed + ", ..." : listed;
  }
}
