package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.Map;
import java.util.Objects;

/**
 * What an attack name in the results stands for.
 *
 * @param name the key used in {@link ClassifierResult#attacks()} and {@link
 *     ClassifierResult#transfer()}
 * @param title the name to print, such as "APGD-CE"
 * @param text one or two sentences on how it works
 * @param parameters its settings by name, such as steps or restarts
 */
@JsonPropertyOrder({"name", "title", "text", "parameters"})
public record AttackDescription(
    String name, String title, String text, Map<String, String> parameters) {
  /** Requires a name; the title defaults to it. */
  public AttackDescription {
    Objects.requireNonNull(name, "name");
    title = title == null ? name : title;
    text = text == null ? "" : text;
    parameters = Copies.of(parameters);
  }
}
