package io.github.igdefense.tensor;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/**
 * What the dynamic linker would read first of a shared library: read as a file, so that no broken
 * library can take this process down.
 *
 * @param needed names of the libraries it needs
 * @param runPath folders it names for them ({@code RUNPATH} or {@code RPATH}), {@code $ORIGIN}
 *     replaced
 */
record ElfFile(List<String> needed, List<Path> runPath) {
  private static final int MAGIC = 0x7f454c46;
  private static final int X86_64 = 62;
  private static final int SHARED = 3;
  private static final int DYNAMIC = 2;
  private static final int LOAD = 1;
  private static final int HEADER = 64;
  private static final int PROGRAM_HEADER = 56;
  private static final int MOST = 1 << 20;
  private static final int LONGEST_NAME = 4096;

  /**
   * @throws IOException saying why it is no shared library for 64-bit x86 Linux
   */
  static ElfFile read(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      ByteBuffer header = read(channel, 0, HEADER);
      if (header.order(ByteOrder.BIG_ENDIAN).getInt(0) != MAGIC) {
        throw new IOException("it is no ELF file");
      }
      header.order(ByteOrder.LITTLE_ENDIAN);
      if (header.get(4) != 2
          || header.get(5) != 1
          || header.getShort(16) != SHARED
          || header.getShort(18) != X86_64) {
        throw new IOException("it is no shared library for 64-bit x86");
      }
      int count = header.getShort(56) & 0xffff;
      ByteBuffer segments =
          read(channel, header.getLong(32), Math.multiplyExact(count, PROGRAM_HEADER));
      return dynamic(channel, segments, count, file);
    } catch (IndexOutOfBoundsException | ArithmeticException | IllegalArgumentException e) {
      throw new IOException("it is damaged (" + e.getMessage() + ")", e);
    }
  }

  private static ElfFile dynamic(FileChannel channel, ByteBuffer segments, int count, Path file)
      throws IOException {
    ByteBuffer entries = null;
    for (int i = 0; i < count; i++) {
      int at = i * PROGRAM_HEADER;
      if (segments.getInt(at) == DYNAMIC) {
        entries = read(channel, segments.getLong(at + 8), size(segments.getLong(at + 32)));
      }
    }
    if (entries == null) {
      throw new IOException("it has no dynamic section");
    }
    long strings = 0;
    List<Long> needed = new ArrayList<>();
    List<Long> paths = new ArrayList<>();
    for (int at = 0; at + 16 <= entries.limit() && entries.getLong(at) != 0; at += 16) {
      long value = entries.getLong(at + 8);
      switch ((int) entries.getLong(at)) {
        case 1 -> needed.add(value);
        case 5 -> strings = value;
        case 15, 29 -> paths.add(value);
        default -> {
          // Of no interest here.
        }
      }
    }
    long table = offset(segments, count, strings);
    List<Path> folders = new ArrayList<>();
    for (long path : paths) {
      for (String folder : text(channel, table + path).split(":")) {
        if (!folder.isEmpty()) {
          String origin = String.valueOf(file.toRealPath().getParent());
          folders.add(Path.of(folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)));
        }
      }
    }
    List<String> names = new ArrayList<>();
    for (long name : needed) {
      names.add(text(channel, table + name));
    }
    return new ElfFile(List.copyOf(names), List.copyOf(folders));
  }

  /** Where in the file an address is. */
  private static long offset(ByteBuffer segments, int count, long address) throws IOException {
    for (int i = 0; i < count; i++) {
      int at = i * PROGRAM_HEADER;
      long start = segments.getLong(at + 16);
      if (segments.getInt(at) == LOAD
          && address >= start
          && address < start + segments.getLong(at + 32)) {
        return address - start + segments.getLong(at + 8);
      }
    }
    throw new IOException("it is damaged (no segment holds its names)");
  }

  /** The text at a place of the file, up to its closing zero. */
  private static String text(FileChannel channel, long position) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(LONGEST_NAME);
    channel.read(buffer, position);
    int length = 0;
    while (length < buffer.position() && buffer.get(length) != 0) {
      length++;
    }
    if (length == buffer.position()) {
      throw new IOException("it is damaged (a name without an end)");
    }
    return new String(buffer.array(), 0, length, StandardCharsets.UTF_8);
  }

  private static int size(long bytes) throws IOException {
    if (bytes < 0 || bytes > MOST) {
      throw new IOException("it is damaged (a table of " + bytes + " bytes)");
    }
    return (int) bytes;
  }

  private static ByteBuffer read(FileChannel channel, long position, int bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, position + buffer.position()) < 0) {
        throw new IOException("it is cut short");
      }
    }
    return buffer.flip();
  }
}
