package io.github.igdefense.data;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/** Small UTF-8 text files, checked. Stateless. */
final class TextFiles {
  private static final int MAX_BYTES = 64 << 20;

  private TextFiles() {}

  /**
   * The whole text, without a byte-order mark.
   *
   * @throws InputException if the file is missing, larger than 64 MiB or no UTF-8
   */
  static String text(Path file) {
    Bytes bytes = Bytes.ofFile(file);
    if (bytes.length() > MAX_BYTES) {
      throw new InputException(
          "expected at most 64 MiB of text in " + file + ", got " + bytes.length() + " bytes");
    }
    byte[] content = bytes.get(0, (int) bytes.length());
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
      return text.startsWith("\uFEFF") ? text.substring(1) : text;
    } catch (CharacterCodingException e) {
      throw new InputException("expected UTF-8 text in " + file + ", found other bytes", e);
    }
  }

  /**
   * The lines, stripped.
   *
   * @throws InputException as {@link #text}, or if there is no line or an empty one; names it
   */
  static List<String> lines(Path file) {
    List<String> lines = text(file).lines().map(String::strip).toList();
    if (lines.isEmpty()) {
      throw new InputException("expected lines of text in " + file + ", found an empty file");
    }
    int empty = lines.indexOf("");
    if (empty >= 0) {
      throw InputException.of(
          "expected text on every line of %s, line %d is empty", file, empty + 1);
    }
    return lines;
  }
}
