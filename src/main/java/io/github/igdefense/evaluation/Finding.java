package io.github.igdefense.evaluation;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.Objects;

/**
 * Something about a classifier or a run that makes its numbers less than they seem.
 *
 * @param code stable name for programs, such as {@code randomized}
 * @param text complete sentences
 */
@JsonPropertyOrder({"code", "text"})
public record Finding(@JsonProperty("code") String code, @JsonProperty("text") String text) {
  /** Requires both parts. */
  public Finding {
    Objects.requireNonNull(code, "code");
    Objects.requireNonNull(text, "text");
  }
}
