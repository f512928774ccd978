package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;

/**
 * CLIP's byte-pair encoding over the published vocabulary file ({@code
 * bpe_simple_vocab_16e6.txt.gz}, plain or gzipped), which the user gives: a header line, then one
 * merge per line, the most frequent first.
 *
 * <p>Ids: 256 bytes, the same at the end of a word, the merges, start of text, end of text: 49,408
 * with the published file. Texts are lower-cased, white space collapses, and HTML entities become
 * characters (numeric ones and amp, lt, gt, quot, apos, nbsp); broken encodings are not repaired.
 * Immutable and thread-safe.
 */
public final class ClipTokenizer {
  /** Merges of the published file that CLIP uses; what follows in the file is ignored. */
  private static final int MERGES = 49152 - 256 - 2;

  private static final String END_OF_WORD = "</w>";
  private static final Pattern PARTS =
      Pattern.compile(
          "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}"
              + "|[^\\s\\p{L}\\p{N}]+",
          Pattern.UNICODE_CASE | Pattern.UNICODE_CHARACTER_CLASS);
  private static final Pattern ENTITY =
      Pattern.compile("&(?:#(\\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos|nbsp));");
  private static final Map<String, String> ENTITIES =
      Map.of("amp", "&", "lt", "<", "gt", ">", "quot", "\"", "apos", "'", "nbsp", "\u00a0");

  private final Map<String, Integer> ids = new HashMap<>();
  private final Map<String, Integer> ranks = new HashMap<>();
  private final String[] byteSymbols;
  private final int start;
  private final int end;

  private ClipTokenizer(List<String> merges) {
    byteSymbols = byteSymbols();
    // The vocabulary lists printable bytes first, then the others, as their symbols are numbered.
    List<String> symbols = new ArrayList<>(Arrays.asList(byteSymbols));
    symbols.sort(java.util.Comparator.comparingInt(ClipTokenizer::place));
    int next = 0;
    for (String symbol : symbols) {
      ids.put(symbol, next++);
    }
    for (String symbol : symbols) {
      ids.put(symbol + END_OF_WORD, next++);
    }
    for (int rank = 0; rank < merges.size(); rank++) {
      ranks.put(merges.get(rank), rank);
      ids.put(merges.get(rank).replace(" ", ""), next++);
    }
    start = next++;
    end = next;
  }

  /**
   * Reads a vocabulary file.
   *
   * @throws InputException if it cannot be read or is no such file
   */
  public static ClipTokenizer open(Path vocabulary) {
    String text;
    try {
      byte[] bytes = Files.readAllBytes(vocabulary);
      boolean gzip = bytes.length > 2 && bytes[0] == 0x1f && (bytes[1] & 0xff) == 0x8b;
      try (InputStream in =
          gzip
              ? new GZIPInputStream(new ByteArrayInputStream(bytes))
              : new ByteArrayInputStream(bytes)) {
        text = new String(in.readNBytes(1 << 26), StandardCharsets.UTF_8);
      }
    } catch (IOException e) {
      throw new InputException(
          "expected CLIP's vocabulary (bpe_simple_vocab_16e6.txt.gz) at "
              + vocabulary
              + ", cannot read it ("
              + e
              + ")",
          e);
    }
    List<String> lines = text.lines().skip(1).limit(MERGES).toList();
    for (int i = 0; i < lines.size(); i++) {
      if (!lines.get(i).matches("\\S+ \\S+")) {
        throw bad(vocabulary, "line " + (i + 2) + " is no pair of symbols");
      }
    }
    if (lines.size() < MERGES) {
      throw bad(vocabulary, "it has " + lines.size() + " merges, not " + MERGES);
    }
    return new ClipTokenizer(lines);
  }

  private static InputException bad(Path vocabulary, String what) {
    return new InputException(
        "expected CLIP's vocabulary (bpe_simple_vocab_16e6.txt.gz) at "
            + vocabulary
            + ", but "
            + what);
  }

  /** Printable bytes stand for themselves, the others for characters from 256 on. */
  private static String[] byteSymbols() {
    String[] symbols = new String[256];
    int next = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae;
      symbols[b] = String.valueOf((char) (printable ? b : next++));
    }
    return symbols;
  }

  private static int place(String symbol) {
    return symbol.charAt(0);
  }

  /** Number of ids, the special ones included. */
  public int size() {
    return end + 1;
  }

  /**
   * Ids of texts, as {@code encode_text} takes them: start, the text's ids, end, zeros.
   *
   * @param contextLength ids per text (77)
   * @return row-major [texts, contextLength]
   * @throws InputException naming the first text that is too long
   */
  public long[] encode(List<String> texts, int contextLength) {
    long[] rows = new long[Math.multiplyExact(texts.size(), contextLength)];
    for (int row = 0; row < texts.size(); row++) {
      List<Integer> tokens = tokens(texts.get(row));
      if (tokens.size() + 2 > contextLength) {
        throw new InputException(
            "expected a text of at most "
                + (contextLength - 2)
                + " tokens, got "
                + tokens.size()
                + " in '"
                + texts.get(row)
                + "'; shorten it");
      }
      int at = row * contextLength;
      rows[at++] = start;
      for (int token : tokens) {
        rows[at++] = token;
      }
      rows[at] = end;
    }
    return rows;
  }

  /** Ids of one text without start and end. */
  public List<Integer> tokens(String text) {
    String clean = unescape(unescape(text)).strip().replaceAll("(?U)\\s+", " ");
    List<Integer> tokens = new ArrayList<>();
    Matcher parts = PARTS.matcher(clean.toLowerCase(Locale.ROOT));
    while (parts.find()) {
      String part = parts.group();
      if (part.equals("<|startoftext|>")) {
        tokens.add(start);
      } else if (part.equals("<|endoftext|>")) {
        tokens.add(end);
      } else {
        for (String symbol : merged(part)) {
          tokens.add(ids.get(symbol));
        }
      }
    }
    return tokens;
  }

  /** The word's bytes, merged pair by pair, always the pair that stands first in the file. */
  private List<String> merged(String word) {
    List<String> symbols = new ArrayList<>();
    for (byte b : word.getBytes(StandardCharsets.UTF_8)) {
      symbols.add(byteSymbols[b & 0xff]);
    }
    symbols.set(symbols.size() - 1, symbols.get(symbols.size() - 1) + END_OF_WORD);
    while (symbols.size() > 1) {
      int best = Integer.MAX_VALUE;
      for (int i = 0; i + 1 < symbols.size(); i++) {
        Integer rank = ranks.get(symbols.get(i) + " " + symbols.get(i + 1));
        best = rank != null && rank < best ? rank : best;
      }
      if (best == Integer.MAX_VALUE) {
        break;
      }
      List<String> shorter = new ArrayList<>();
      for (int i = 0; i < symbols.size(); i++) {
        Integer rank =
            i + 1 < symbols.size() ? ranks.get(symbols.get(i) + " " + symbols.get(i + 1)) : null;
        if (rank != null && rank == best) {
          shorter.add(symbols.get(i) + symbols.get(++i));
        } else {
          shorter.add(symbols.get(i));
        }
      }
      symbols = shorter;
    }
    return symbols;
  }

  private static String unescape(String text) {
    return ENTITY
        .matcher(text)
        .replaceAll(
            match -> {
              String named = match.group(3);
              if (named != null) {
                return Matcher.quoteReplacement(ENTITIES.get(named));
              }
              int code =
                  match.group(1) != null
                      ? Integer.parseInt(match.group(1))
                      : Integer.parseInt(match.group(2), 16);
              return Character.isValidCodePoint(code) && code > 0
                  ? Matcher.quoteReplacement(Character.toString(code))
                  : Matcher.quoteReplacement(match.group());
            });
  }
}
