package io.github.igdefense.report;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/** Settings and origin of a run. */
final class ProvenanceTable {
  private final Settings settings;
  private final Provenance provenance;

  ProvenanceTable(Settings settings, Provenance provenance) {
    this.settings = settings;
    this.provenance = provenance;
  }

  /** The table. */
  Html html() {
    Settings s = settings;
    Provenance p = provenance;
    Map<String, String> rows = new LinkedHashMap<>();
    rows.put(
        "Data",
        joined(
            p.dataName(),
            p.imagesUsed() == p.imagesAsked()
                ? Numbers.count(p.imagesUsed()) + " images"
                : Numbers.count(p.imagesUsed())
                    + " of "
                    + Numbers.count(p.imagesAsked())
                    + " images asked for"));
    rows.put("Preprocessing", p.dataPreprocessing());
    rows.put("Data SHA-256", p.dataSha256());
    rows.put("Model", joined(p.arch(), p.modelFile()));
    rows.put("Model SHA-256", p.modelSha256());
    rows.put("Input normalisation", p.inputNormalization());
    rows.put("Ranking", joined(s.rankingMethod(), p.rankingFile()));
    rows.put("Ranking SHA-256", p.rankingSha256());
    rows.put("Threat model", s.normText() + ", ε = " + s.epsilonShown());
    rows.put(
        "Defense",
        s.layer() == null
            ? null
            : joined(
                "masks on " + s.layer(),
                s.keep() == null ? null : "keep " + s.keep() + " units per class",
                s.temperature() == null ? null : "temperature " + Numbers.plain(s.temperature())));
    rows.put("Judgements per image", s.evaluationRuns() == null ? null : "" + s.evaluationRuns());
    rows.put("Batch size", s.batchSize() == null ? null : "" + s.batchSize());
    s.other().forEach((k, v) -> rows.put(k, v));
    rows.put("Seed", "" + p.seed());
    rows.put(
        "Arithmetic",
        joined(
            p.dtype(),
            p.float32Precision() == null || "highest".equals(p.float32Precision())
                ? null
                : "precision " + p.float32Precision(),
            p.device(),
            p.threads() == 1 ? "1 thread" : p.threads() + " threads"));
    rows.put("Computed by", p.engine());
    rows.put("Processor", p.cpu());
    rows.put(
        "Software",
        joined(
            p.version() == null ? null : "igdefense " + p.version(),
            p.libtorch() == null ? null : "libtorch " + p.libtorch(),
            p.java() == null ? null : "Java " + p.java()));
    rows.put("Commit", p.gitCommit());
    Html html = new Html().open("table", "class", "provenance").open("tbody");
    rows.forEach(
        (label, value) -> {
          if (value != null && !value.isEmpty()) {
            String style = label.endsWith("SHA-256") || label.equals("Commit") ? "hash" : null;
            html.open("tr")
                .element("th", label, "scope", "row")
                .element("td", value, "class", style)
                .closeLine();
          }
        });
    return html.close().close();
  }

  private static String joined(String... parts) {
    return Arrays.stream(parts)
        .filter(part -> part != null && !part.isEmpty())
        .collect(Collectors.joining(", "));
  }
}
