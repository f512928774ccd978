package io.github.igdefense.report;

import java.util.List;

/** Small helpers for plain text. */
final class Text {
  private Text() {}

  /** False for control characters, lone surrogates and the characters that reorder text. */
  static boolean printable(int codePoint) {
    return !(Character.isISOControl(codePoint)
        || codePoint >= 0x202a && codePoint <= 0x202e
        || codePoint >= 0x2066 && codePoint <= 0x2069
        || codePoint == 0x200e
        || codePoint == 0x200f
        || codePoint >= 0xd800 && codePoint <= 0xdfff
        || codePoint == 0xfffe
        || codePoint == 0xffff);
  }

  /** Text with everything that is not {@link #printable} replaced by U+FFFD. */
  static String clean(String text) {
    StringBuilder safe = new StringBuilder(text.length());
    text.codePoints().forEach(c -> safe.appendCodePoint(printable(c) ? c : 0xfffd));
    return safe.toString();
  }

  /** Columns the text takes on a terminal: 2 for wide characters, 0 for combining marks, else 1. */
  static int width(String text) {
    return text.codePoints().map(Text::width).sum();
  }

  private static int width(int c) {
    int type = Character.getType(c);
    if (type == Character.NON_SPACING_MARK
        || type == Character.ENCLOSING_MARK
        || type == Character.FORMAT) {
      return 0;
    }
    boolean wide =
        c >= 0x1100 && c <= 0x115f
            || c >= 0x2e80 && c <= 0xa4cf
            || c >= 0xac00 && c <= 0xd7a3
            || c >= 0xf900 && c <= 0xfaff
            || c >= 0xfe30 && c <= 0xfe6f
            || c >= 0xff00 && c <= 0xff60
            || c >= 0xffe0 && c <= 0xffe6
            || c >= 0x1f300 && c <= 0x1faff
            || c >= 0x20000 && c <= 0x3fffd;
    return wide ? 2 : 1;
  }

  /** "a", "a and b", "a, b and c". */
  static String list(List<String> parts) {
    int n = parts.size();
    return n < 2
        ? String.join("", parts)
        : String.join(", ", parts.subList(0, n - 1)) + " and " + parts.get(n - 1);
  }
}
