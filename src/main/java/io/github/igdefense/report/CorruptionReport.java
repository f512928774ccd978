package io.github.igdefense.report;

import io.github.igdefense.evaluation.CorruptionEvaluation;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Accuracies under corruptions as text and JSON. The first classifier is the baseline. */
public final class CorruptionReport {
  private static final int NAME = 20;
  private static final int COLUMN = 12;

  private CorruptionReport() {}

  /**
   * Keys {@code classifiers} (name, images, accuracies per corruption and severity, mean accuracy,
   * mean error) and, for every classifier but the first, {@code mce}: its errors as a multiple of
   * the first's; null for the first, and where that makes no error on some corruption.
   */
  public static Map<String, Object> json(List<CorruptionEvaluation> results) {
    List<Map<String, Object>> list = new ArrayList<>();
    for (CorruptionEvaluation result : results) {
      Map<String, Object> map = new LinkedHashMap<>();
      map.put("classifier", result.classifier());
      map.put("images", result.images());
      map.put("accuracies", result.accuracies());
      map.put("mean_accuracy", result.meanAccuracy());
      map.put("mean_error", result.meanError());
      map.put("mce", relative(results, result));
      list.add(map);
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("mce_baseline", results.get(0).classifier());
    json.put("classifiers", list);
    return json;
  }

  private static Double relative(List<CorruptionEvaluation> results, CorruptionEvaluation result) {
    CorruptionEvaluation baseline = results.get(0);
    boolean defined =
        baseline.accuracies().keySet().stream().allMatch(name -> baseline.accuracy(name) < 1);
    return result == baseline || !defined ? null : result.relativeTo(baseline);
  }

  /** A line per corruption, a column per classifier, in per cent. */
  public static String text(List<CorruptionEvaluation> results) {
    StringBuilder out = new StringBuilder();
    out.append("accuracy in % over five severities of ");
    out.append(results.get(0).images()).append(" images each\n\n");
    out.append(" ".repeat(NAME));
    for (int i = 0; i < results.size(); i++) {
      out.append(pad(i == 0 ? "base" : "defended"));
    }
    out.append('\n');
    for (String corruption : results.get(0).accuracies().keySet()) {
      out.append(String.format(Locale.ROOT, "%-" + NAME + "s", corruption));
      results.forEach(r -> out.append(percent(r.accuracy(corruption))));
      out.append('\n');
    }
    out.append(String.format(Locale.ROOT, "%-" + NAME + "s", "mean"));
    results.forEach(r -> out.append(percent(r.meanAccuracy())));
    out.append(String.format(Locale.ROOT, "%n%-" + NAME + "s", "mean error"));
    results.forEach(r -> out.append(percent(r.meanError())));
    if (results.size() > 1) {
      out.append(String.format(Locale.ROOT, "%n%-" + NAME + "s", "mCE (base = 100)"));
      for (CorruptionEvaluation result : results) {
        Double mce = result == results.get(0) ? Double.valueOf(1) : relative(results, result);
        out.append(mce == null ? pad("-") : percent(mce));
      }
    }
    return out.toString();
  }

  private static String percent(double share) {
    return pad(String.format(Locale.ROOT, "%.1f", 100 * share));
  }

  private static String pad(String text) {
    return String.format(Locale.ROOT, "%" + COLUMN + "s", text);
  }
}
