package io.github.igdefense.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Predicate;
import java.util.zip.GZIPInputStream;

/**
 * Takes regular files by their base name out of a tar archive, plain or gzip; nothing is extracted
 * to disk. Not trusted: header checksums, names that leave the archive's directory, duplicates,
 * declared and real sizes are checked. Stateless.
 */
final class TarArchive {
  /** One file. */
  static final int MAX_FILE = 1 << 28;

  private static final long MAX_TOTAL = 1L << 30;
  private static final int MAX_ENTRIES = 100_000;
  private static final int BLOCK = 512;
  private static final String EXPECTED = "expected a directory, .tar or .tar.gz at ";

  private TarArchive() {}

  /**
   * The content of the wanted files that are there.
   *
   * @param wanted base names
   * @param enough ends the search early; sees the names found so far
   * @throws InputException if it is no tar archive, is damaged, or holds what it must not
   */
  static Map<String, byte[]> read(
      Path path, Collection<String> wanted, Predicate<Collection<String>> enough) {
    return read(Bytes.ofFile(path), path.toString(), wanted, enough);
  }

  static Map<String, byte[]> read(
      Bytes stored, String label, Collection<String> wanted, Predicate<Collection<String>> enough) {
    boolean gzip =
        stored.length() > 2
            && (stored.getByte(0) & 0xff) == 0x1f
            && (stored.getByte(1) & 0xff) == 0x8b;
    Map<String, byte[]> found = new LinkedHashMap<>();
    try (InputStream raw = new BytesInputStream(stored);
        InputStream in = gzip ? new GZIPInputStream(raw, 1 << 16) : raw) {
      byte[] header = new byte[BLOCK];
      long total = 0;
      for (int entries = 0; !enough.test(found.keySet()); entries++) {
        int n = in.readNBytes(header, 0, BLOCK);
        if (n == 0 && entries > 0 || n == BLOCK && header[0] == 0) {
          break; // the end, with or without its empty blocks
        }
        if (n < BLOCK || !sumIsRight(header)) {
          throw new InputException(
              EXPECTED
                  + label
                  + (entries == 0
                      ? ", found another file"
                      : ", but it is damaged or cut off; fetch it again"));
        }
        String name = text(header, 0, 100);
        String prefix =
            text(header, 257, 6).equals("ustar") && header[262] == 0
                ? text(header, 345, 155)
                : ""; // GNU's older form has times there
        name = prefix.isEmpty() ? name : prefix + "/" + name;
        checkName(name, label);
        long size = octal(header, 124, 12, label);
        total += size;
        if (size > MAX_FILE || total > MAX_TOTAL || entries >= MAX_ENTRIES) {
          throw InputException.of(
              "expected at most %d files of at most 256 MiB, 1 GiB in all, in %s; %s has %d bytes,"
                  + " %d so far",
              MAX_ENTRIES, label, ZipArchive.printable(name), size, total);
        }
        long padding = (BLOCK - size % BLOCK) % BLOCK;
        String base = name.substring(name.lastIndexOf('/') + 1);
        boolean regular = header[156] == '0' || header[156] == 0;
        if (regular && wanted.contains(base)) {
          // readNBytes grows with what comes, so a declared size alone reserves nothing.
          byte[] content = in.readNBytes((int) size);
          if (content.length < size) {
            throw cutOff(label, null);
          }
          if (found.put(base, content) != null) {
            throw new InputException(
                "expected " + base + " once in " + label + ", found it twice; take one out");
          }
          in.skipNBytes(padding);
        } else {
          in.skipNBytes(size + padding);
        }
      }
    } catch (java.io.EOFException e) {
      throw cutOff(label, e);
    } catch (IOException e) {
      throw new InputException(EXPECTED + label + " (" + e + "); fetch it again", e);
    }
    return found;
  }

  private static InputException cutOff(String label, Throwable cause) {
    return new InputException(
        "expected a whole archive at " + label + ", but it is cut off; fetch it again", cause);
  }

  private static void checkName(String name, String label) {
    boolean leaves = name.startsWith("/") || name.indexOf('\\') >= 0;
    for (String part : name.split("/")) {
      leaves |= part.equals("..");
    }
    if (leaves) {
      throw new InputException(
          "refused "
              + label
              + ": its entry '"
              + ZipArchive.printable(name)
              + "' leaves the archive's directory; nothing was extracted");
    }
  }

  private static boolean sumIsRight(byte[] header) {
    long sum = 0;
    for (int i = 0; i < BLOCK; i++) {
      sum += i >= 148 && i < 156 ? ' ' : header[i] & 0xff;
    }
    String digits = text(header, 148, 8).strip();
    return digits.matches("[0-7]{1,7}") && sum == Long.parseLong(digits, 8);
  }

  private static String text(byte[] header, int from, int length) {
    int end = from;
    while (end < from + length && header[end] != 0) {
      end++;
    }
    return new String(header, from, end - from, StandardCharsets.UTF_8);
  }

  private static long octal(byte[] header, int from, int length, String label) {
    String digits = text(header, from, length).strip();
    long value = 0;
    for (int i = 0; i < digits.length(); i++) {
      int digit = digits.charAt(i) - '0';
      if (digit < 0 || digit > 7) {
        throw new InputException(
            "expected a sound tar archive at " + label + ", a number in it cannot be read");
      }
      value = value * 8 + digit; // at most 12 digits: 36 bits
    }
    return value;
  }
}
