package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * What an analysis or a study found: free sections of text, tables and figures, where a {@link
 * RunReport} has the fixed form of an evaluation. Made with {@link #builder}.
 *
 * <p>In JSON the numbers stand in {@code data}, whose form depends on {@code kind} (documented in
 * {@code docs/studies.md}); sections are for people and go into the page only.
 *
 * @param schemaVersion version of the JSON form, {@value #SCHEMA_VERSION}
 * @param kind the command: {@code analyze}, {@code study sweep}, …
 * @param title headline
 * @param commandLine the exact command that repeats the run
 * @param startedAt start, ISO 8601 in UTC
 * @param seconds duration
 * @param question what was done, in plain words
 * @param summary what came out, sentence by sentence
 * @param sections of the page
 * @param warnings what the reader has to know
 * @param limits what the numbers do not prove, sentence by sentence
 * @param words terms used, with their meaning
 * @param settings threat model and defense
 * @param provenance where the numbers come from
 * @param data the numbers
 */
@JsonPropertyOrder({
  "schemaVersion",
  "kind",
  "title",
  "commandLine",
  "startedAt",
  "seconds",
  "question",
  "summary",
  "warnings",
  "limits",
  "settings",
  "provenance",
  "data"
})
@JsonIgnoreProperties({"sections", "words"})
public record StudyReport(
    int schemaVersion,
    String kind,
    String title,
    String commandLine,
    String startedAt,
    double seconds,
    String question,
    List<String> summary,
    List<Section> sections,
    List<Warning> warnings,
    List<String> limits,
    Map<String, String> words,
    Settings settings,
    Provenance provenance,
    Map<String, Object> data) {
  /** Version of the JSON form; grows when a key changes its meaning or goes. */
  public static final int SCHEMA_VERSION = 1;

  /**
   * A part of the page.
   *
   * @param id its anchor, lower-case letters and hyphens
   * @param title heading
   * @param blocks content in its order
   */
  public record Section(String id, String title, List<Block> blocks) {
    /** Copies the list. */
    public Section {
      blocks = List.copyOf(blocks);
    }
  }

  /** Copies the collections; requires kind, settings and provenance. */
  public StudyReport {
    Objects.requireNonNull(kind, "kind");
    Objects.requireNonNull(settings, "settings");
    Objects.requireNonNull(provenance, "provenance");
    summary = Copies.of(summary);
    sections = Copies.of(sections);
    warnings = Copies.of(warnings);
    limits = Copies.of(limits);
    words = Copies.of(words);
    data = Copies.of(data);
  }

  /** Starts a report of the given kind. */
  public static Builder builder(String kind) {
    return new Builder(kind);
  }

  /** The same with the warnings that follow from the number of images, each once. */
  public StudyReport withStandardWarnings() {
    Set<Warning> all = new LinkedHashSet<>(warnings);
    List<Warning> more = new ArrayList<>();
    StandardWarnings.images(provenance, more);
    all.addAll(more);
    return new StudyReport(
        schemaVersion,
        kind,
        title,
        commandLine,
        startedAt,
        seconds,
        question,
        summary,
        sections,
        new ArrayList<>(all),
        limits,
        words,
        settings,
        provenance,
        data);
  }

  /** Collects a {@link StudyReport}; not thread-safe. */
  public static final class Builder {
    private final String kind;
    private String title = "Study";
    private String commandLine;
    private String startedAt;
    private double seconds;
    private String question = "";
    private final List<String> summary = new ArrayList<>();
    private final List<Section> sections = new ArrayList<>();
    private final Set<Warning> warnings = new LinkedHashSet<>();
    private final List<String> limits = new ArrayList<>();
    private final Map<String, String> words = new LinkedHashMap<>();
    private Settings settings;
    private Provenance provenance;
    private final Map<String, Object> data = new LinkedHashMap<>();

    private Builder(String kind) {
      this.kind = kind;
    }

    /** Headline. */
    public Builder title(String text) {
      title = text;
      return this;
    }

    /** The exact command that repeats the run. */
    public Builder commandLine(String text) {
      commandLine = text;
      return this;
    }

    /** Start and duration. */
    public Builder time(Instant start, double duration) {
      startedAt = start.truncatedTo(ChronoUnit.SECONDS).toString();
      seconds = duration;
      return this;
    }

    /** What was done, in plain words. */
    public Builder question(String text) {
      question = text;
      return this;
    }

    /** Adds a sentence on what came out. */
    public Builder summary(String sentence) {
      summary.add(sentence);
      return this;
    }

    /** Adds a part of the page. */
    public Builder section(String id, String heading, Block... blocks) {
      sections.add(new Section(id, heading, List.of(blocks)));
      return this;
    }

    /** Adds a warning, once. */
    public Builder warning(Warning warning) {
      warnings.add(warning);
      return this;
    }

    /** Adds a sentence on what the numbers do not prove. */
    public Builder limit(String sentence) {
      limits.add(sentence);
      return this;
    }

    /** Explains a term. */
    public Builder word(String term, String meaning) {
      words.put(term, meaning);
      return this;
    }

    /** Threat model and defense; required. */
    public Builder settings(Settings value) {
      settings = value;
      return this;
    }

    /** Where the numbers come from; required. */
    public Builder provenance(Provenance value) {
      provenance = value;
      return this;
    }

    /** Adds numbers to {@code data}: records, collections, strings and numbers. */
    public Builder data(String key, Object value) {
      data.put(key, value);
      return this;
    }

    /** The report. */
    public StudyReport build() {
      return new StudyReport(
          SCHEMA_VERSION,
          kind,
          title,
          commandLine,
          startedAt,
          seconds,
          question,
          summary,
          sections,
          new ArrayList<>(warnings),
          limits,
          words,
          settings,
          provenance,
          data);
    }
  }
}
