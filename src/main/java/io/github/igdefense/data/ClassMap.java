package io.github.igdefense.data;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Labels of class folders from a JSON file: RobustBench's {@code {"n01440764": 0, …}}, or {@code
 * {"0": ["n01440764", "tench"], …}} with names.
 *
 * @param labels label of each folder
 * @param names one per label up to the largest: the file's name, else the folder's, else the number
 */
record ClassMap(Map<String, Integer> labels, List<String> names) {
  private static final int MAX_CLASSES = 1_000_000;

  /** Reads a file. */
  static ClassMap read(Path file) {
    JsonNode root;
    try {
      root =
          new ObjectMapper()
              .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
              .readTree(TextFiles.text(file));
    } catch (JsonProcessingException e) {
      throw bad(file, e.getOriginalMessage(), e);
    }
    if (root == null || !root.isObject() || root.isEmpty()) {
      throw bad(file, "found something else", null);
    }
    Map<String, Integer> labels = new HashMap<>();
    Map<Integer, String> names = new HashMap<>();
    for (Map.Entry<String, JsonNode> field : root.properties()) {
      JsonNode value = field.getValue();
      boolean pair = value.isArray() && value.size() == 2 && value.get(0).isTextual();
      String folder = pair ? value.get(0).asText() : field.getKey();
      String number = pair ? field.getKey() : value.isIntegralNumber() ? value.asText() : "";
      int label = number.matches("\\d{1,6}") ? Integer.parseInt(number) : MAX_CLASSES;
      if (label >= MAX_CLASSES) {
        throw bad(
            file, "'" + ZipArchive.printable(field.getKey()) + "' has no label below 10^6", null);
      }
      if (labels.put(folder, label) != null
          || names.put(label, pair ? value.get(1).asText() : folder) != null) {
        throw bad(
            file,
            "'" + ZipArchive.printable(folder) + "' or its label " + label + " comes twice",
            null);
      }
    }
    List<String> all = new ArrayList<>();
    int count = labels.values().stream().mapToInt(Integer::intValue).max().orElseThrow() + 1;
    for (int label = 0; label < count; label++) {
      all.add(names.getOrDefault(label, Integer.toString(label)));
    }
    return new ClassMap(Map.copyOf(labels), List.copyOf(all));
  }

  /** The sorted order of folders as their labels. */
  static ClassMap sorted(List<String> folders) {
    Map<String, Integer> labels = new HashMap<>();
    for (String folder : folders) {
      labels.put(folder, labels.size());
    }
    return new ClassMap(Map.copyOf(labels), List.copyOf(folders));
  }

  private static InputException bad(Path file, String what, Throwable cause) {
    return new InputException(
        "expected a JSON object such as {\"n01440764\": 0, ...} with a label for each class folder"
            + " in "
            + file
            + ", but "
            + what,
        cause);
  }
}
