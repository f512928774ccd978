package io.github.igdefense.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.InputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * A result as a RobustBench {@code model_info} record (github.com/RobustBench/robustbench): its
 * keys in its order, accuracies as percentages in text. What the run does not know is null unless
 * given.
 */
public final class ModelInfo {
  /** What a user may add: the run does not know it. */
  public static final List<String> GIVEN =
      List.of(
          "link",
          "name",
          "authors",
          "additional_data",
          "dataset",
          "venue",
          "architecture",
          "reported");

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final double TOO_GOOD = 0.02;

  private ModelInfo() {}

  /**
   * Refuses keys that are none of {@link #GIVEN}.
   *
   * @throws InputException that lists them
   */
  public static void check(Map<String, String> given) {
    Set<String> unknown = new TreeSet<>(given.keySet());
    unknown.removeAll(GIVEN);
    if (!unknown.isEmpty()) {
      throw new InputException("expected --info keys of " + GIVEN + ", got " + unknown);
    }
    String data = given.get("additional_data");
    if (data != null && !data.equals("true") && !data.equals("false")) {
      throw new InputException("expected --info additional_data=true or false, got " + data);
    }
  }

  /** Writes the record of the evaluated classifier; the file is replaced as a whole or not. */
  public static void write(Path file, RunReport report, Map<String, String> given) {
    check(given);
    try {
      AtomicFiles.writeText(
          file,
          JSON.writerWithDefaultPrettyPrinter().writeValueAsString(record(report, given)) + "\n");
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  static Map<String, Object> record(RunReport report, Map<String, String> given) {
    ClassifierResult c = report.evaluatedResult();
    boolean defended = !report.evaluated().equals(report.base());
    Double autoAttack = c.attacks().get("autoattack");
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("link", given.get("link"));
    map.put("name", given.getOrDefault("name", c.title()));
    map.put("authors", given.get("authors"));
    String data = given.get("additional_data");
    map.put("additional_data", data == null ? null : Boolean.valueOf(data));
    map.put("number_forward_passes", defended ? 1 + Math.max(1, c.smoothingSamples()) : 1);
    map.put("dataset", given.getOrDefault("dataset", report.provenance().dataName()));
    map.put("venue", given.get("venue"));
    map.put("architecture", given.getOrDefault("architecture", report.provenance().arch()));
    map.put("eps", report.settings().epsilonShown());
    map.put("clean_acc", percent(c.clean()));
    map.put("reported", given.getOrDefault("reported", percent(c.worstCase())));
    map.put("autoattack_acc", percent(autoAttack));
    if (c.worstCase() != null) {
      map.put("external", percent(c.worstCase()));
    }
    List<String> notes = new ArrayList<>();
    notes.add(
        switch (report.protocol()) {
          case IW_WC -> "external: image-wise worst case of nine attacks";
          case IW_WC_SCREENING -> "external: screening, not a robustness claim";
          case CUSTOM -> "external: image-wise worst case of the attacks run";
        });
    if (report.provenance().imagesUsed() > 0) {
      notes.add(report.provenance().imagesUsed() + " images");
    }
    if (c.smoothed()) {
      notes.add("random predictions: majority of several, not a deterministic forward pass");
    }
    map.put("footnote", String.join("; ", notes));
    boolean above =
        autoAttack != null && c.worstCase() != null && autoAttack > c.worstCase() + TOO_GOOD;
    map.put("unreliable", above || c.smoothed());
    return map;
  }

  private static String percent(Double share) {
    return share == null ? null : String.format(Locale.ROOT, "%.2f", 100 * share);
  }
}
