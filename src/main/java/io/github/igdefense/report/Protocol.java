package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** What a worst case is made of. */
public enum Protocol {
  /** The attacks and transfers that were asked for. */
  CUSTOM,
  /** The nine attacks of the image-wise worst case, with their published settings. */
  IW_WC,
  /** The same attacks cut short: screening, not a robustness claim. */
  IW_WC_SCREENING;

  /** The lower-case name, as in JSON. */
  @JsonValue
  public String json() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The protocol of a lower-case name. */
  @JsonCreator
  public static Protocol of(String json) {
    return valueOf(json.toUpperCase(Locale.ROOT));
  }
}
