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
 * <p>Thread-safe. Mapped bytes are paged in when touched and unmapped by the garbage collector; the file must
 * not be shortened meanwhile. A multi-byte read may start at any offset.
 */
public final class Bytes {
  private static final int SEGMENT_BITS = 30;
  private static final int SEGMENT = 1 << SEGMENT_BITS;
  /** Files up to this size are read into the heap instead of being mapped. */
  static final long MAP_ABOVE = 16L << 20;

  private final ByteBuffer[] segments; // all but the last hold SEGMENT bytes
  private final long length;

  private Bytes(ByteBuffer[] segments, long length) {
    this.segments = segments;
    this.length = length;
  }

  /** The given array, not copied. */
  public static Bytes of(byte[] bytes) {
    return of(ByteBuffer.wrap(bytes));
  }

  /** The remaining bytes of a buffer, not copied. */
  public static Bytes of(ByteBuffer buffer) {
    ByteBuffer view = buffer.slice().asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
    if (view.limit() <= SEGMENT) {
      return new Bytes(new ByteBuffer[] {view}, view.limit());
    }
    ByteBuffer[] parts = {
      view.slice(0, SEGMENT).order(ByteOrder.LITTLE_ENDIAN),
      view.slice(SEGMENT, view.limit() - SEGMENT).order(ByteOrder.LITTLE_ENDIAN)
    };
    return new Bytes(parts, view.limit());
  }

  /** Segments in order; all but the last must hold exactly 1 GiB. */
  static Bytes ofSegments(ByteBuffer[] parts, long length) {
    ByteBuffer[] views = new ByteBuffer[parts.length];
    for (int i = 0; i < parts.length; i++) {
      views[i] = parts[i].slice().asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
    }
    return new Bytes(views, length);
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
    return ofSegments(parts, size);
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
      throw new InputException("expected a regular file at " + file + ", found a directory or device");
    }
    try (FileChannel channel = FileChannel.open(file)) {
      return of(channel);
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
    int parts = Math.max(1, (int) ((count + SEGMENT - 1) >>> SEGMENT_BITS));
    ByteBuffer[] views = new ByteBuffer[parts];
    for (int i = 0; i < parts; i++) {
      long start = (long) i << SEGMENT_BITS;
      long size = Math.min(SEGMENT, count - start);
      long from = offset + start;
      int segment = (int) (from >>> SEGMENT_BITS);
      int inner = (int) (from & SEGMENT - 1);
      if (inner + size <= SEGMENT) {
        ByteBuffer whole = segment < segments.length ? segments[segment] : ByteBuffer.allocate(0);
        views[i] =
            (segment < segments.length ? whole.slice(inner, (int) size) : whole)
                .order(ByteOrder.LITTLE_ENDIAN);
      } else {
        return unaligned(offset, count);
      }
    }
    return new Bytes(views, count);
  }

  /** Copies a part that crosses segment borders; happens only beyond 1 GiB. */
  private Bytes unaligned(long offset, long count) {
    int parts = (int) ((count + SEGMENT - 1) >>> SEGMENT_BITS);
    ByteBuffer[] copies = new ByteBuffer[parts];
    for (int i = 0; i < parts; i++) {
      long start = (long) i << SEGMENT_BITS;
      byte[] copy = new byte[(int) Math.min(SEGMENT, count - start)];
      get(offset + start, copy, 0, copy.length);
      copies[i] = ByteBuffer.wrap(copy);
    }
    return ofSegments(copies, count);
  }

  /** Copies {@code count} bytes from {@code offset} into {@code target[at ..]}. */
  public void get(long offset, byte[] target, int at, int count) {
    Objects.checkFromIndexSize(offset, count, length);
    int done = 0;
    while (done < count) {
      long from = offset + done;
      ByteBuffer segment = segments[(int) (from >>> SEGMENT_BITS)];
      int inner = (int) (from & SEGMENT - 1);
      int n = Math.min(count - done, segment.limit() - inner);
      segment.get(inner, target, at + done, n);
      done += n;
    }
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
    return segments[(int) (offset >>> SEGMENT_BITS)].get((int) (offset & SEGMENT - 1));
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
    return segments[(int) (offset >>> SEGMENT_BITS)];
  }

  private int inner(long offset, int size) {
    Objects.checkFromIndexSize(offset, size, length);
    int inner = (int) (offset & SEGMENT - 1);
    return inner <= SEGMENT - size ? inner : -1;
  }

  private ByteBuffer straddle(long offset, int size) {
    return ByteBuffer.wrap(get(offset, size)).order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * All bytes as one read-only little-endian buffer at position 0, without a copy.
   *
   * @throws InputException if there are more than 1 GiB (use the other accessors)
   */
  public ByteBuffer asBuffer() {
    if (segments.length != 1) {
      throw new InputException("expected at most 1 GiB in one piece, got " + length + " bytes");
    }
    return segments[0].duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The bytes as consecutive read-only little-endian buffers of up to 1 GiB each, without a copy. */
  public ByteBuffer[] buffers() {
    ByteBuffer[] copies = new ByteBuffer[segments.length];
    for (int i = 0; i < copies.length; i++) {
      copies[i] = segments[i].duplicate().order(ByteOrder.LITTLE_ENDIAN);
    }
    return copies;
  }

  /** SHA-256 of the bytes, lower-case hex. Reads them all. */
  public String sha256() {
    MessageDigest digest = Hashes.digest();
    for (ByteBuffer segment : segments) {
      digest.update(segment.duplicate());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  @Override
  public String toString() {
    return "Bytes[" + length + "]";
  }
}
