package io.github.igdefense.importance;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Opens rankings without knowing the model: layer, units and classes come from the files. Checks
 * are those of {@link RankingFiles#read}. Stateless and thread-safe.
 */
public final class RankingReader {
  /** Folders below the given one that are searched: model, layer. */
  private static final int DEPTH = 3;

  private static final Pattern UNIT_FILE = Pattern.compile("unit(\\d{1,6})\\.npy");
  private static final ObjectMapper JSON = new ObjectMapper();

  private RankingReader() {}

  /**
   * Opens the ranking at a file, or the only one in a folder.
   *
   * @param layer which one, where there are several layers; null: any
   * @throws InputException if there is none or more than one (listing them), or it is not sound
   *     (listing what is wrong)
   */
  public static Ranking open(Path path, String layer) {
    if (Files.isRegularFile(path)) {
      return single(path, layer);
    }
    if (!Files.isDirectory(path)) {
      throw new InputException("expected a ranking file or folder at " + path + ", found nothing");
    }
    List<Path> found = new ArrayList<>();
    find(path, layer, DEPTH, found);
    if (found.isEmpty()) {
      throw new InputException(
          "expected a ranking"
              + (layer == null ? "" : " for " + layer)
              + " in "
              + path
              + " (<layer>.npz, or <layer>/unit0.npy, unit1.npy, ...), found none");
    }
    if (found.size() > 1) {
      throw new InputException(
          "expected one ranking in " + path + ", found " + found + "; name one, or use --layer");
    }
    return Files.isDirectory(found.get(0)) ? units(found.get(0)) : single(found.get(0), layer);
  }

  /** Rankings of a folder; of a layer's file and folder of units, the file. */
  private static void find(Path folder, String layer, int depth, List<Path> found) {
    boolean own = layer == null || layer.equals(name(folder));
    boolean hasUnits = !unitFiles(folder).isEmpty();
    if (hasUnits && own) {
      found.add(folder);
    }
    for (Path child : list(folder)) {
      String name = child.getFileName().toString();
      if (name.endsWith(".npz") && Files.isRegularFile(child)) {
        String stem = name.substring(0, name.length() - 4);
        if ((layer == null || layer.equals(stem)) && Npz.open(child).contains("importance")) {
          found.add(child);
        }
      } else if (depth > 0 && !name.startsWith(".") && Files.isDirectory(child)) {
        if (!found.contains(folder.resolve(name + ".npz"))
            && !Files.isRegularFile(folder.resolve(name + ".npz"))) {
          find(child, layer, depth - 1, found);
        }
      }
    }
  }

  private static String name(Path folder) {
    Path name = folder.toAbsolutePath().normalize().getFileName();
    return name == null ? "layer" : name.toString();
  }

  private static Ranking single(Path file, String layer) {
    Npz npz = Npz.open(file);
    NpyArray array = npz.get("importance");
    long[] shape = array.shape();
    if (shape.length != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] * shape[1] > 1 << 28) {
      throw new InputException("expected a ranking [units, classes] in " + file + ", got " + array);
    }
    return RankingFiles.read(
        file, layer == null ? layer(npz, file) : layer, (int) shape[0], (int) shape[1]);
  }

  private static String layer(Npz npz, Path file) {
    if (npz.containsText("provenance.json")) {
      try {
        JsonNode stated = JSON.readTree(npz.text("provenance.json")).get("layer");
        if (stated != null && stated.isTextual()) {
          return stated.asText();
        }
      } catch (JsonProcessingException e) {
        throw new InputException(
            "expected JSON in provenance.json of " + file + ": " + e.getOriginalMessage(), e);
      }
    }
    return file.getFileName().toString().replaceAll("\\.npz$", "");
  }

  private static Ranking units(Path folder) {
    TreeMap<Integer, Path> files = unitFiles(folder);
    Map<Long, Integer> lengths = new HashMap<>();
    for (Path file : files.values()) {
      lengths.merge(Npy.read(file).size(), 1, Integer::sum);
    }
    // The length of most files: the others are what is wrong.
    long length =
        lengths.entrySet().stream().max(Map.Entry.comparingByValue()).orElseThrow().getKey();
    if (length < 1 || length > 1 << 20) {
      throw new InputException(
          "expected unit files with a value per class in "
              + folder
              + ", got "
              + length
              + " values");
    }
    return RankingFiles.read(folder, name(folder), files.lastKey() + 1, (int) length);
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

  private static List<Path> list(Path folder) {
    try (Stream<Path> children = Files.list(folder)) {
      return children.sorted().toList();
    } catch (IOException e) {
      throw new InputException("cannot list " + folder + ": " + e.getMessage(), e);
    }
  }
}
