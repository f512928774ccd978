package io.github.igdefense.data;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * Random access to the entries of a zip file that is not trusted.
 *
 * <p>Unlike the platform's reader it gives stored entries as slices of the (mapped) file without a
 * copy, checks every offset and size before use, refuses overlapping entries, duplicate names,
 * encryption and split archives, and verifies checksums. Entries are never extracted to files.
 * Immutable and thread-safe. Format: PKWARE APPNOTE, with zip64.
 */
public final class ZipArchive {
  private static final int LOCAL = 0x04034b50;
  private static final int CENTRAL = 0x02014b50;
  private static final int END = 0x06054b50;
  private static final int END64 = 0x06064b50;
  private static final int LOCATOR64 = 0x07064b50;

  /** Deflate expands at most about 1032 times. */
  private static final long MAX_RATIO = 1032;

  private record Entry(
      String name, int method, long crc, long packed, long size, long header, long data) {}

  private final Bytes file;
  private final String label;
  private final Map<String, Entry> entries;

  private ZipArchive(Bytes file, String label, Map<String, Entry> entries) {
    this.file = file;
    this.label = label;
    this.entries = entries;
  }

  /** Whether the bytes begin like a zip file. */
  public static boolean looksLikeZip(Bytes file) {
    return file.length() >= 4
        && file.getByte(0) == 'P'
        && file.getByte(1) == 'K'
        && (file.getShort(2) == 0x0403 || file.getShort(2) == 0x0605);
  }

  /**
   * Reads the directory of an archive.
   *
   * @param label how messages name the file
   * @throws InputException if it is truncated, inconsistent or uses features that are refused
   */
  public static ZipArchive of(Bytes file, String label) {
    long end = findEnd(file, label);
    int disk = file.getShort(end + 4) & 0xffff;
    long count = file.getShort(end + 10) & 0xffff;
    long size = file.getInt(end + 12) & 0xffffffffL;
    long start = file.getInt(end + 16) & 0xffffffffL;
    long limit = end;
    if (end >= 20 && file.getInt(end - 20) == LOCATOR64) {
      long end64 = file.getLong(end - 12);
      if (end64 < 0 || end64 > end - 20 - 56 || file.getInt(end64) != END64) {
        throw damaged(label, "its zip64 directory is out of place");
      }
      disk = file.getInt(end64 + 16);
      count = file.getLong(end64 + 32);
      size = file.getLong(end64 + 40);
      start = file.getLong(end64 + 48);
      limit = end64;
    }
    if (disk != 0) {
      throw damaged(label, "it is one part of a split archive");
    }
    if (start < 0 || size < 0 || start > limit || size > limit - start) {
      throw damaged(label, "its directory lies outside the file");
    }
    if (count < 0 || count > size / 46) {
      throw damaged(label, "its directory claims " + count + " entries in " + size + " bytes");
    }
    Map<String, Entry> entries = new LinkedHashMap<>();
    long at = start;
    long stop = start + size;
    for (long i = 0; i < count; i++) {
      if (stop - at < 46 || file.getInt(at) != CENTRAL) {
        throw damaged(label, "directory entry " + i + " is out of place");
      }
      int nameLength = file.getShort(at + 28) & 0xffff;
      int extraLength = file.getShort(at + 30) & 0xffff;
      int commentLength = file.getShort(at + 32) & 0xffff;
      long next = at + 46 + nameLength + extraLength + commentLength;
      if (next > stop) {
        throw damaged(label, "directory entry " + i + " runs over the end");
      }
      Entry entry = entry(file, label, at, nameLength, extraLength, start);
      if (entries.put(entry.name, entry) != null) {
        throw damaged(label, "it holds two entries named " + printable(entry.name));
      }
      at = next;
    }
    refuseOverlaps(label, entries);
    return new ZipArchive(file, label, Collections.unmodifiableMap(entries));
  }

  private static long findEnd(Bytes file, String label) {
    long lowest = Math.max(0, file.length() - 22 - 0xffff);
    for (long at = file.length() - 22; at >= lowest; at--) {
      if (file.getInt(at) == END && (file.getShort(at + 20) & 0xffff) == file.length() - at - 22) {
        return at;
      }
    }
    throw damaged(label, "its directory is missing, as in a download that was cut off");
  }

  private static Entry entry(
      Bytes file, String label, long at, int nameLength, int extraLength, long directory) {
    String name = new String(file.get(at + 46, nameLength), StandardCharsets.UTF_8);
    int flags = file.getShort(at + 8);
    int method = file.getShort(at + 10) & 0xffff;
    long crc = file.getInt(at + 16) & 0xffffffffL;
    long packed = file.getInt(at + 20) & 0xffffffffL;
    long size = file.getInt(at + 24) & 0xffffffffL;
    long header = file.getInt(at + 42) & 0xffffffffL;
    long extra = at + 46 + nameLength;
    long extraEnd = extra + extraLength;
    while (extraEnd - extra >= 4) {
      int id = file.getShort(extra) & 0xffff;
      int length = file.getShort(extra + 2) & 0xffff;
      if (length > extraEnd - extra - 4) {
        break;
      }
      if (id == 1) {
        long field = extra + 4;
        long fieldEnd = field + length;
        if (size == 0xffffffffL && fieldEnd - field >= 8) {
          size = file.getLong(field);
          field += 8;
        }
        if (packed == 0xffffffffL && fieldEnd - field >= 8) {
          packed = file.getLong(field);
          field += 8;
        }
        if (header == 0xffffffffL && fieldEnd - field >= 8) {
          header = file.getLong(field);
        }
      }
      extra += 4 + length;
    }
    String shown = printable(name);
    if (leavesArchive(name)) {
      throw damaged(label, "entry " + shown + " names a place outside the archive");
    }
    if ((flags & 1) != 0) {
      throw damaged(label, "entry " + shown + " is encrypted");
    }
    if (method != 0 && method != 8) {
      throw damaged(label, "entry " + shown + " uses the unknown compression method " + method);
    }
    if (header < 0 || header > directory - 30 || file.getInt(header) != LOCAL) {
      throw damaged(label, "entry " + shown + " is out of place");
    }
    int localName = file.getShort(header + 26) & 0xffff;
    int localExtra = file.getShort(header + 28) & 0xffff;
    long data = header + 30 + localName + localExtra;
    if (size < 0 || packed < 0 || data > directory || packed > directory - data) {
      throw damaged(label, "entry " + shown + " lies outside the file");
    }
    if (localName != nameLength
        || !name.equals(new String(file.get(header + 30, localName), StandardCharsets.UTF_8))) {
      throw damaged(
          label, "entry " + shown + " has another name at its place than in the directory");
    }
    if (method == 0 && packed != size) {
      throw damaged(label, "stored entry " + shown + " has two different sizes");
    }
    if (method == 8 && size > MAX_RATIO * (packed + 1)) {
      throw damaged(label, "entry " + shown + " claims to unpack " + packed + " bytes to " + size);
    }
    return new Entry(name, method, crc, packed, size, header, data);
  }

  /** Entries are never extracted; a name that climbs out still tells a file that is not honest. */
  private static boolean leavesArchive(String name) {
    return name.startsWith("/")
        || name.indexOf('\\') >= 0
        || List.of(name.split("/", -1)).contains("..");
  }

  private static void refuseOverlaps(String label, Map<String, Entry> entries) {
    List<Entry> byPlace = new ArrayList<>(entries.values());
    byPlace.sort(Comparator.comparingLong(Entry::header));
    for (int i = 1; i < byPlace.size(); i++) {
      Entry before = byPlace.get(i - 1);
      Entry after = byPlace.get(i);
      if (after.header < before.data + before.packed) {
        throw damaged(
            label,
            "entries " + printable(before.name) + " and " + printable(after.name) + " overlap");
      }
    }
  }

  /** Names of the entries in directory order. */
  public Set<String> names() {
    return entries.keySet();
  }

  /** Whether an entry has this name. */
  public boolean contains(String name) {
    return entries.containsKey(name);
  }

  /** Unpacked size of an entry in bytes. */
  public long size(String name) {
    return find(name).size;
  }

  /**
   * The content of an entry: a slice of the file if it is stored, a fresh copy if it is compressed.
   *
   * @throws InputException if there is no such entry, its checksum differs, or it is too large for
   *     the heap
   */
  public Bytes read(String name) {
    Entry entry = find(name);
    Bytes packed = file.slice(entry.data, entry.packed);
    Bytes content = entry.method == 0 ? packed : inflate(entry, packed);
    // PyTorch can be told not to compute checksums; it then leaves them 0.
    if (entry.crc != 0) {
      CRC32 crc = new CRC32();
      content.forEachBlock((block, count) -> crc.update(block, 0, count));
      if (crc.getValue() != entry.crc) {
        throw damaged(label, "the checksum of entry " + printable(name) + " differs");
      }
    }
    return content;
  }

  private Entry find(String name) {
    Entry entry = entries.get(name);
    if (entry == null) {
      throw damaged(label, "it has no entry " + printable(name));
    }
    return entry;
  }

  private Bytes inflate(Entry entry, Bytes packed) {
    ByteBuffer[] parts = allocate(entry);
    Inflater inflater = new Inflater(true);
    try {
      ByteBuffer[] input = packed.buffers();
      int next = 0;
      for (ByteBuffer part : parts) {
        while (part.hasRemaining()) {
          int n = inflater.inflate(part);
          if (n == 0) {
            if (inflater.finished() || inflater.needsDictionary()) {
              throw damaged(label, "entry " + printable(entry.name) + " is shorter than declared");
            }
            if (next == input.length) {
              throw damaged(label, "entry " + printable(entry.name) + " is cut off");
            }
            inflater.setInput(input[next++]);
          }
        }
        part.flip();
      }
      ByteBuffer surplus = ByteBuffer.allocate(1);
      while (!inflater.finished()) {
        int n = inflater.inflate(surplus);
        if (n > 0) {
          throw damaged(label, "entry " + printable(entry.name) + " is longer than declared");
        }
        if (n == 0 && !inflater.finished()) {
          if (next == input.length) {
            throw damaged(label, "entry " + printable(entry.name) + " is cut off");
          }
          inflater.setInput(input[next++]);
        }
      }
    } catch (DataFormatException e) {
      throw damaged(label, "entry " + printable(entry.name) + " is not valid deflate data");
    } finally {
      inflater.end();
    }
    return Bytes.ofSegments(parts, entry.size);
  }

  private ByteBuffer[] allocate(Entry entry) {
    int segment = Bytes.segmentSize();
    if (entry.size < Runtime.getRuntime().maxMemory()) {
      try {
        ByteBuffer[] parts =
            new ByteBuffer[Math.max(1, (int) ((entry.size + segment - 1) / segment))];
        for (int i = 0; i < parts.length; i++) {
          parts[i] = ByteBuffer.allocate((int) Math.min(segment, entry.size - (long) i * segment));
        }
        return parts;
      } catch (OutOfMemoryError e) {
        // A single large request that fails leaves the heap as it was.
      }
    }
    throw InputException.of(
        "entry %s of %s unpacks to %d bytes, more than fit the Java heap;"
            + " store it uncompressed or raise -Xmx",
        printable(entry.name), label, entry.size);
  }

  /** Text for messages: control characters replaced, at most 80 characters. */
  public static String printable(String text) {
    StringBuilder shown = new StringBuilder();
    for (int i = 0; i < text.length() && i < 80; i++) {
      char c = text.charAt(i);
      shown.append(Character.isISOControl(c) ? '?' : c);
    }
    return text.length() > 80 ? shown + "…" : shown.toString();
  }

  private static InputException damaged(String label, String what) {
    return new InputException(
        "expected a sound zip archive in "
            + label
            + ", but "
            + what
            + "; fetch or write the file again");
  }
}
