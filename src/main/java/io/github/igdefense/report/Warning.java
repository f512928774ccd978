package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import java.util.Objects;

/**
 * Something the reader has to know before believing a number.
 *
 * @param level how much it matters
 * @param code stable name for programs, such as {@code screening}; two warnings of equal code and
 *     text are one
 * @param text complete sentences in plain words
 */
@JsonPropertyOrder({"level", "code", "text"})
public record Warning(Level level, String code, String text) {
  /** How much a warning matters. */
  public enum Level {
    /** The numbers contradict each other or the method: do not use them. */
    PROBLEM,
    /** The numbers are right but easily misread. */
    CAUTION,
    /** Worth knowing. */
    NOTE;

    /** The lower-case name, as in JSON. */
    @JsonValue
    public String json() {
      return name().toLowerCase(Locale.ROOT);
    }

    /** The level of a lower-case name. */
    @JsonCreator
    public static Level of(String json) {
      return valueOf(json.toUpperCase(Locale.ROOT));
    }
  }

  /** Requires all three parts. */
  public Warning {
    Objects.requireNonNull(level, "level");
    Objects.requireNonNull(code, "code");
    Objects.requireNonNull(text, "text");
  }

  /** A contradiction in the numbers. */
  public static Warning problem(String code, String text) {
    return new Warning(Level.PROBLEM, code, text);
  }

  /** A number that is easily misread. */
  public static Warning caution(String code, String text) {
    return new Warning(Level.CAUTION, code, text);
  }

  /** Something worth knowing. */
  public static Warning note(String code, String text) {
    return new Warning(Level.NOTE, code, text);
  }
}
