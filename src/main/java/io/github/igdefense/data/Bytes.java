package io.github.igdefense.data;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Objects;

/**
 * A read-only run of bytes that may exceed 2 GiB, little-endian, on the heap or mapped from a file.
 *
 * <p>Thread-safe. Mapped bytes are paged in when touched and unmapped by the garbage collector; the
 * file must not be shortened meanwhile. Bulk reads ({@link #get(long, byte[], int, int)}, {@link
 * #forEachBlock}) go past the mapping, so that a large file read once through does not become
 * resident. A multi-byte read may start at any offset.
 */
public final class Bytes {
  private static final int SEGMENT_BITS = 30;
  private static final int SEGMENT = 1 << SEGMENT_BITS;

  /** Files up to this size are read into the heap instead of being mapped. */
  static final long MAP_ABOVE = 16L << 20;

  /** Reads of this size and more go past the mapping. */
  private static final int BULK = 1 << 12;

  private static final int BLOCK = 1 << 16;

  private final ByteBuffer[] segments; // all but the last hold SEGMENT bytes
  private final long base; // where we begin within the segments
  private final long length;

  /** The mapped file, for reading in bulk; null for bytes on the heap. Closed by its cleaner. */
  private final FileChannel channel;

  private Bytes(ByteBuffer[] segments, long base, long length) {
    this(segments, base, length, null);
  }

  private Bytes(ByteBuffer[] segments, long base, long length, FileChannel channel) {
    this.segments = segments;
    this.base = base;
    this.length = length;
    this.channel = channel;
  }

  /** The given array, not copied. */
  public static Bytes of(byte[] bytes) {
    return of(ByteBuffer.wrap(bytes));
  }

  /** The remaining bytes of a buffer, not copied. */
  public static Bytes of(ByteBuffer buffer) {
    ByteBuffer view = buffer.slice().asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
    if (view.limit() <= SEGMENT) {
      return new Bytes(new ByteBuffer[] {view}, 0, view.limit());
    }
    ByteBuffer[] parts = {
      view.slice(0, SEGMENT).order(ByteOrder.LITTLE_ENDIAN),
      view.slice(SEGMENT, view.limit() - SEGMENT).order(ByteOrder.LITTLE_ENDIAN)
    };
    return new Bytes(parts, 0, view.limit());
  }

  /** Segments in order; all but the last must hold exactly 1 GiB. */
  static Bytes ofSegments(ByteBuffer[] parts, long length) {
    ByteBuffer[] views = new ByteBuffer[parts.length];
    for (int i = 0; i < parts.length; i++) {
      views[i] = parts[i].slice().asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
    }
    return new Bytes(views, 0, length);
  }

  static int segmentSize() {
    return SEGMENT;
  }

  /** The content of an open file: on the heap if small, mapped otherwise. */
  static Bytes of(FileChannel channel) throws IOException {
    long size = channel.size();
    if (size <= MAP_ABOVE) {
      ByteBuffer content = ByteBuffer.allocate((int) size);
      while (content.hasRemaining() && channel.read(content, content.position()) >= 0) {
        // keep reading
      }
      return of(content.flip());
    }
    int count = (int) ((size + SEGMENT - 1) >>> SEGMENT_BITS);
    ByteBuffer[] parts = new ByteBuffer[count];
    for (int i = 0; i < count; i++) {
      long start = (long) i << SEGMENT_BITS;
      parts[i] = channel.map(MapMode.READ_ONLY, start, Math.min(SEGMENT, size - start));
    }
    return new Bytes(ofSegments(parts, size).segments, 0, size, channel);
  }

  /**
   * The content of a regular file: on the heap if small, mapped otherwise.
   *
   * @throws InputException if it does not exist, is no regular file or cannot be read
   */
  public static Bytes ofFile(java.nio.file.Path file) {
    if (!java.nio.file.Files.exists(file)) {
      throw new InputException("expected a file at " + file + ", found nothing; check the path");
    }
    if (!java.nio.file.Files.isRegularFile(file)) {
      throw new InputException(
          "expected a regular file at " + file + ", found a directory or device");
    }
    try {
      FileChannel channel = FileChannel.open(file);
      boolean keep = false;
      try {
        Bytes bytes = of(channel);
        keep = bytes.channel != null;
        return bytes;
      } finally {
        if (!keep) {
          channel.close();
        }
      }
    } catch (IOException e) {
      throw new InputException("cannot read " + file + " (" + e + ")", e);
    }
  }

  /** Number of bytes. */
  public long length() {
    return length;
  }

  /** A part, sharing memory. */
  public Bytes slice(long offset, long count) {
    Objects.checkFromIndexSize(offset, count, length);
    return new Bytes(segments, base + offset, count, channel);
  }

  /** Copies {@code count} bytes from {@code offset} into {@code target[at ..]}. */
  public void get(long offset, byte[] target, int at, int count) {
    Objects.checkFromIndexSize(offset, count, length);
    int done = channel != null && count >= BULK ? readFile(offset, target, at, count) : 0;
    while (done < count) {
      long from = base + offset + done;
      ByteBuffer segment = segments[(int) (from >>> SEGMENT_BITS)];
      int inner = (int) (from & SEGMENT - 1);
      int n = Math.min(count - done, segment.limit() - inner);
      segment.get(inner, target, at + done, n);
      done += n;
    }
  }

  /**
   * Reads from the file and not from its mapping, so that the pages do not count as this process's
   * memory. Gives the number of bytes read: fewer where the file cannot be read any more (an
   * interrupt closes its channel), the rest then comes from the mapping.
   */
  private int readFile(long offset, byte[] target, int at, int count) {
    ByteBuffer buffer = ByteBuffer.wrap(target, at, count);
    try {
      while (buffer.hasRemaining()) {
        if (channel.read(buffer, base + offset + buffer.position() - at) < 0) {
          break;
        }
      }
    } catch (IOException e) {
      // The mapping still has the bytes.
    }
    return buffer.position() - at;
  }

  /**
   * Hands over all bytes in order, in blocks of up to 64 KiB: a large file passes through without
   * staying in memory. The consumer must not keep the array.
   */
  public void forEachBlock(BlockConsumer consumer) {
    byte[] block = new byte[(int) Math.min(BLOCK, length)];
    for (long at = 0; at < length; at += block.length) {
      int count = (int) Math.min(block.length, length - at);
      get(at, block, 0, count);
      consumer.accept(block, count);
    }
  }

  /** Takes a block of bytes. */
  @FunctionalInterface
  public interface BlockConsumer {
    /** Takes {@code block[0 .. count)}. */
    void accept(byte[] block, int count);
  }

  /** A copy of {@code count} bytes from {@code offset}. */
  public byte[] get(long offset, int count) {
    Objects.checkFromIndexSize(offset, count, length);
    byte[] copy = new byte[count];
    get(offset, copy, 0, count);
    return copy;
  }

  /** The byte at {@code offset}. */
  public byte getByte(long offset) {
    Objects.checkIndex(offset, length);
    return segment(offset).get((int) (base + offset & SEGMENT - 1));
  }

  /** The 16-bit value at {@code offset}. */
  public short getShort(long offset) {
    int inner = inner(offset, 2);
    return inner >= 0 ? segment(offset).getShort(inner) : straddle(offset, 2).getShort();
  }

  /** The 32-bit value at {@code offset}. */
  public int getInt(long offset) {
    int inner = inner(offset, 4);
    return inner >= 0 ? segment(offset).getInt(inner) : straddle(offset, 4).getInt();
  }

  /** The 64-bit value at {@code offset}. */
  public long getLong(long offset) {
    int inner = inner(offset, 8);
    return inner >= 0 ? segment(offset).getLong(inner) : straddle(offset, 8).getLong();
  }

  /** The float32 value at {@code offset}. */
  public float getFloat(long offset) {
    return Float.intBitsToFloat(getInt(offset));
  }

  /** The float64 value at {@code offset}. */
  public double getDouble(long offset) {
    return Double.longBitsToDouble(getLong(offset));
  }

  private ByteBuffer segment(long offset) {
    return segments[(int) (base + offset >>> SEGMENT_BITS)];
  }

  private int inner(long offset, int size) {
    Objects.checkFromIndexSize(offset, size, length);
    int inner = (int) (base + offset & SEGMENT - 1);
    return inner <= SEGMENT - size ? inner : -1;
  }

  private ByteBuffer straddle(long offset, int size) {
    return ByteBuffer.wrap(get(offset, size)).order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * All bytes as one read-only little-endian buffer at position 0; a copy only if they cross a
   * border of 1 GiB in a larger file.
   *
   * @throws InputException if there are more than 1 GiB (use the other accessors)
   */
  public ByteBuffer asBuffer() {
    if (length > SEGMENT) {
      throw new InputException("expected at most 1 GiB in one piece, got " + length + " bytes");
    }
    ByteBuffer[] parts = buffers();
    return parts.length == 1
        ? parts[0]
        : ByteBuffer.wrap(get(0, (int) length)).asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * The bytes as consecutive read-only little-endian buffers of up to 1 GiB each, without a copy. A
   * multi-byte value may lie across two of them.
   */
  public ByteBuffer[] buffers() {
    if (length == 0) {
      return new ByteBuffer[] {
        ByteBuffer.allocate(0).asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN)
      };
    }
    int first = (int) (base >>> SEGMENT_BITS);
    int last = (int) (base + length - 1 >>> SEGMENT_BITS);
    ByteBuffer[] parts = new ByteBuffer[last - first + 1];
    for (int i = first; i <= last; i++) {
      long start = Math.max(base, (long) i << SEGMENT_BITS);
      long end = Math.min(base + length, (long) (i + 1) << SEGMENT_BITS);
      int inner = (int) (start & SEGMENT - 1);
      parts[i - first] =
          segments[i].slice(inner, (int) (end - start)).order(ByteOrder.LITTLE_ENDIAN);
    }
    return parts;
  }

  /** SHA-256 of the bytes, lower-case hex. Reads them all. */
  public String sha256() {
    MessageDigest digest = Hashes.digest();
    forEachBlock((block, count) -> digest.update(block, 0, count));
    return HexFormat.of().formatHex(digest.digest());
  }

  @Override
  public String toString() {
    return "Bytes[" + length + "]";
  }
}
