package io.github.igdefense.report;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Builds HTML in which every text and attribute is escaped, and fills templates. Not thread-safe.
 */
final class Html {
  private static final Set<String> VOID = Set.of("img", "source", "col");
  private static final Pattern SLOT = Pattern.compile("\\{\\{([a-z_]+)}}");

  private final StringBuilder out = new StringBuilder();
  private final Deque<String> open = new ArrayDeque<>();

  /**
   * Opens an element; attributes come as name, value, name, value; a null value leaves its
   * attribute out.
   */
  Html open(String tag, String... attributes) {
    out.append('<').append(tag);
    for (int i = 0; i < attributes.length; i += 2) {
      if (attributes[i + 1] != null) {
        out.append(' ')
            .append(attributes[i])
            .append("=\"")
            .append(escape(attributes[i + 1]))
            .append('"');
      }
    }
    out.append('>');
    if (!VOID.contains(tag)) {
      open.push(tag);
    }
    return this;
  }

  /** Appends text. */
  Html text(String text) {
    out.append(escape(text));
    return this;
  }

  /** Closes the innermost element. */
  Html close() {
    out.append("</").append(open.pop()).append('>');
    return this;
  }

  /** Closes the innermost element and ends the line. */
  Html closeLine() {
    close();
    out.append('\n');
    return this;
  }

  /** An element that holds text only. */
  Html element(String tag, String text, String... attributes) {
    return open(tag, attributes).text(text).close();
  }

  /** Opens a box that scrolls sideways, by keyboard too, where its table is wider than the page. */
  Html scrolling(String label) {
    return open("div", "class", "scroll", "role", "region", "tabindex", "0", "aria-label", label);
  }

  /** Appends what another builder made. */
  Html add(Html other) {
    out.append(other);
    return this;
  }

  /** The markup so far; all elements must be closed. */
  @Override
  public String toString() {
    if (!open.isEmpty()) {
      throw new IllegalStateException("not closed: " + open);
    }
    return out.toString();
  }

  /**
   * Makes text safe between tags and inside quoted attributes. Control characters, lone surrogates
   * and characters that reorder text (bidirectional overrides) become U+FFFD.
   */
  static String escape(String text) {
    StringBuilder safe = new StringBuilder(text.length() + 16);
    text.codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '&' -> safe.append("&amp;");
                case '<' -> safe.append("&lt;");
                case '>' -> safe.append("&gt;");
                case '"' -> safe.append("&quot;");
                case '\'' -> safe.append("&#39;");
                default -> safe.appendCodePoint(Text.printable(c) || c == '\n' ? c : 0xfffd);
              }
            });
    return safe.toString();
  }

  /**
   * Replaces each {@code {{slot}}} of a template by its value, once: slots inside values stay as
   * they are.
   *
   * @throws IllegalStateException if a slot has no value or a value no slot
   */
  static String fill(String template, Map<String, String> values) {
    StringBuilder filled = new StringBuilder();
    Set<String> unused = new java.util.TreeSet<>(values.keySet());
    Matcher matcher = SLOT.matcher(template);
    while (matcher.find()) {
      String value = values.get(matcher.group(1));
      if (value == null) {
        throw new IllegalStateException("template slot without a value: " + matcher.group());
      }
      unused.remove(matcher.group(1));
      matcher.appendReplacement(filled, Matcher.quoteReplacement(value));
    }
    if (!unused.isEmpty()) {
      throw new IllegalStateException("template has no slot for " + unused);
    }
    return matcher.appendTail(filled).toString();
  }
}
