package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * Everything one run found, and where it came from. Made with {@link #builder}.
 *
 * <p>In JSON the accuracies of the {@linkplain #evaluated() evaluated} classifier also stand at the
 * top: {@code clean}, {@code attacks}, {@code transfer}, {@code worst_case} and the ends of its
 * interval.
 *
 * @param schemaVersion version of the JSON form, {@value #SCHEMA_VERSION}
 * @param kind the command: {@code demo}, {@code eval}, …
 * @param protocol what the worst case is made of
 * @param title headline
 * @param commandLine the exact command that repeats the run
 * @param startedAt start, ISO 8601 in UTC
 * @param seconds duration
 * @param base name of the classifier the others are compared with
 * @param evaluated name of the classifier the run is about
 * @param classifiers at least one, names unique, in the order to print
 * @param classNames the K classes in label order; empty if no accuracies per class are given
 * @param settings threat model and defense
 * @param attackDescriptions what the attack names stand for
 * @param warnings what the reader has to know
 * @param provenance where the numbers come from
 * @param gallery images before and after attacks, possibly none
 * @param ranking the ranking used, or null
 */
@JsonPropertyOrder({
  "schemaVersion",
  "kind",
  "protocol",
  "title",
  "commandLine",
  "startedAt",
  "seconds",
  "base",
  "evaluated",
  "clean",
  "attacks",
  "transfer",
  "worst_case",
  "worst_case_low",
  "worst_case_high",
  "classifiers",
  "classNames",
  "settings",
  "attackDescriptions",
  "warnings",
  "provenance",
  "gallery",
  "ranking"
})
@JsonIgnoreProperties(
    value = {"clean", "attacks", "transfer", "worst_case", "worst_case_low", "worst_case_high"},
    allowGetters = true)
public record RunReport(
    int schemaVersion,
    String kind,
    Protocol protocol,
    String title,
    String commandLine,
    String startedAt,
    double seconds,
    String base,
    String evaluated,
    List<ClassifierResult> classifiers,
    List<String> classNames,
    Settings settings,
    List<AttackDescription> attackDescriptions,
    List<Warning> warnings,
    Provenance provenance,
    List<GalleryItem> gallery,
    RankingPicture ranking) {
  /** Version of the JSON form; grows when a key changes its meaning or goes. */
  public static final int SCHEMA_VERSION = 1;

  /**
   * Checks that the parts fit together.
   *
   * @throws IllegalArgumentException if there is no classifier, two share a name, {@code base} or
   *     {@code evaluated} is none of them, or accuracies per class do not match the class names
   */
  public RunReport {
    Objects.requireNonNull(kind, "kind");
    protocol = protocol == null ? Protocol.CUSTOM : protocol;
    Objects.requireNonNull(settings, "settings");
    Objects.requireNonNull(provenance, "provenance");
    classifiers = Copies.of(classifiers);
    classNames = Copies.of(classNames);
    attackDescriptions = Copies.of(attackDescriptions);
    warnings = Copies.of(warnings);
    gallery = Copies.of(gallery);
    Set<String> names = new LinkedHashSet<>();
    for (ClassifierResult classifier : classifiers) {
      if (!names.add(classifier.name())) {
        throw new IllegalArgumentException("two classifiers are named " + classifier.name());
      }
      int classes = classNames.size();
      int clean = classifier.perClassClean().size();
      int worst = classifier.perClassWorst().size();
      if (clean != 0 && clean != classes || worst != 0 && worst != classes) {
        throw new IllegalArgumentException(
            classifier.name()
                + ": expected accuracies of "
                + classes
                + " classes, got "
                + clean
                + " and "
                + worst);
      }
    }
    if (!names.contains(base) || !names.contains(evaluated)) {
      throw new IllegalArgumentException(
          "expected base and evaluated to be among "
              + names
              + ", got "
              + base
              + " and "
              + evaluated);
    }
  }

  /** What the row of the worst case is called. */
  String worstCaseTitle() {
    return protocol == Protocol.IW_WC_SCREENING ? "worst case (screening)" : "worst case";
  }

  /** Starts a report of the given kind. */
  public static Builder builder(String kind) {
    return new Builder(kind);
  }

  /** The classifier of that name. */
  public Optional<ClassifierResult> classifier(String name) {
    return classifiers.stream().filter(c -> c.name().equals(name)).findFirst();
  }

  /** The reference. */
  ClassifierResult baseResult() {
    return classifier(base).orElseThrow();
  }

  /** The classifier the run is about. */
  ClassifierResult evaluatedResult() {
    return classifier(evaluated).orElseThrow();
  }

  /** The stages of a cascade, by the names of its attacks; none for a single attack. */
  List<String> stageNames(String attack) {
    return classifiers.stream()
        .map(c -> c.stages(attack).stream().map(AttackDetail.Stage::name).toList())
        .filter(names -> !names.isEmpty())
        .findFirst()
        .orElse(List.of());
  }

  /** Whether AutoAttack was run on some classifier. */
  boolean autoAttacked() {
    return classifiers.stream().anyMatch(c -> c.autoAttack() != null);
  }

  /** The title of an attack: from its description, else its name. */
  String attackTitle(String name) {
    return attackDescriptions.stream()
        .filter(a -> a.name().equals(name))
        .map(AttackDescription::title)
        .findFirst()
        .orElse(name);
  }

  /** Attack names in the order of first appearance, from direct attacks or from transfer. */
  List<String> attackNames(boolean transferred) {
    Set<String> names = new LinkedHashSet<>();
    classifiers.forEach(c -> names.addAll((transferred ? c.transfer() : c.attacks()).keySet()));
    return List.copyOf(names);
  }

  /** Accuracy of the evaluated classifier on unchanged images. */
  @JsonProperty
  public double clean() {
    return evaluatedResult().clean();
  }

  /** Robust accuracies of the evaluated classifier against direct attacks. */
  @JsonProperty
  public Map<String, Double> attacks() {
    return evaluatedResult().attacks();
  }

  /** Accuracies of the evaluated classifier on transferred images. */
  @JsonProperty
  public Map<String, Double> transfer() {
    return evaluatedResult().transfer();
  }

  /** Worst case of the evaluated classifier, or null. */
  @JsonProperty("worst_case")
  public Double worstCase() {
    return evaluatedResult().worstCase();
  }

  /** Lower end of its 95 % interval, or null. */
  @JsonProperty("worst_case_low")
  public Double worstCaseLow() {
    return evaluatedResult().worstCaseLow();
  }

  /** Upper end of its 95 % interval, or null. */
  @JsonProperty("worst_case_high")
  public Double worstCaseHigh() {
    return evaluatedResult().worstCaseHigh();
  }

  /**
   * The same report with the warnings that follow from its numbers added behind those it has;
   * calling it again changes nothing. {@link ResultJson} and {@link HtmlReport} do it themselves.
   */
  public RunReport withStandardWarnings() {
    Set<Warning> all = new LinkedHashSet<>(warnings);
    all.addAll(StandardWarnings.of(this));
    return new RunReport(
        schemaVersion,
        kind,
        protocol,
        title,
        commandLine,
        startedAt,
        seconds,
        base,
        evaluated,
        classifiers,
        classNames,
        settings,
        attackDescriptions,
        new ArrayList<>(all),
        provenance,
        gallery,
        ranking);
  }

  /** Collects a {@link RunReport}; not thread-safe. */
  public static final class Builder {
    private final String kind;
    private Protocol protocol = Protocol.CUSTOM;
    private String title = "Adversarial robustness";
    private String commandLine;
    private String startedAt;
    private double seconds;
    private String base;
    private String evaluated;
    private final List<ClassifierResult> classifiers = new ArrayList<>();
    private List<String> classNames = List.of();
    private Settings settings;
    private final List<AttackDescription> attackDescriptions = new ArrayList<>();
    private final List<Warning> warnings = new ArrayList<>();
    private Provenance provenance;
    private final List<GalleryItem> gallery = new ArrayList<>();
    private RankingPicture ranking;

    private Builder(String kind) {
      this.kind = kind;
    }

    /** What the worst case is made of; {@link Protocol#CUSTOM} unless said otherwise. */
    public Builder protocol(Protocol protocol) {
      this.protocol = protocol;
      return this;
    }

    /** Headline. */
    public Builder title(String title) {
      this.title = title;
      return this;
    }

    /** The exact command that repeats the run. */
    public Builder commandLine(String commandLine) {
      this.commandLine = commandLine;
      return this;
    }

    /** Start and duration. */
    public Builder time(Instant start, double seconds) {
      this.startedAt = start.truncatedTo(ChronoUnit.SECONDS).toString();
      this.seconds = seconds;
      return this;
    }

    /**
     * Adds a classifier; the first is the base and the last the evaluated one unless said
     * otherwise.
     */
    public Builder classifier(ClassifierResult classifier) {
      classifiers.add(classifier);
      return this;
    }

    /** Name of the classifier the others are compared with. */
    public Builder base(String name) {
      base = name;
      return this;
    }

    /** Name of the classifier the run is about. */
    public Builder evaluated(String name) {
      evaluated = name;
      return this;
    }

    /** The classes in label order; needed with accuracies per class. */
    public Builder classNames(List<String> names) {
      classNames = names;
      return this;
    }

    /** Threat model and defense; required. */
    public Builder settings(Settings settings) {
      this.settings = settings;
      return this;
    }

    /** Says what an attack name stands for. */
    public Builder attack(AttackDescription description) {
      attackDescriptions.add(description);
      return this;
    }

    /** Adds a warning. */
    public Builder warning(Warning warning) {
      warnings.add(warning);
      return this;
    }

    /** Where the numbers come from; required. */
    public Builder provenance(Provenance provenance) {
      this.provenance = provenance;
      return this;
    }

    /** Adds an image to the gallery. */
    public Builder galleryItem(GalleryItem item) {
      gallery.add(item);
      return this;
    }

    /** The ranking used. */
    public Builder ranking(RankingPicture ranking) {
      this.ranking = ranking;
      return this;
    }

    /**
     * The report.
     *
     * @throws IllegalArgumentException as the constructor of {@link RunReport}
     */
    public RunReport build() {
      if (classifiers.isEmpty()) {
        throw new IllegalArgumentException("expected at least one classifier, got none");
      }
      return new RunReport(
          SCHEMA_VERSION,
          kind,
          protocol,
          title,
          commandLine,
          startedAt,
          seconds,
          base == null ? classifiers.get(0).name() : base,
          evaluated == null ? classifiers.get(classifiers.size() - 1).name() : evaluated,
          classifiers,
          classNames,
          settings,
          attackDescriptions,
          warnings,
          provenance,
          gallery,
          ranking);
    }
  }
}
