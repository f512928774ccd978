package io.github.igdefense.data;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * The IDX format of MNIST: two zero bytes, the element type, the rank, big-endian extents, the
 * values. Only unsigned bytes are read, which is all that image sets use.
 *
 * @param shape extents, each at least 1
 * @param values row-major
 */
record Idx(int[] shape, byte[] values) {
  private static final long MAX_RATIO = 1032; // deflate expands at most that much

  /**
   * Reads an array.
   *
   * @param stored the file's bytes, gzip or plain
   * @param label how messages name the file
   * @param rank the number of dimensions it must have
   */
  static Idx read(Bytes stored, String label, int rank) {
    boolean gzip =
        stored.length() > 2
            && (stored.getByte(0) & 0xff) == 0x1f
            && (stored.getByte(1) & 0xff) == 0x8b;
    long most = gzip ? MAX_RATIO * stored.length() : stored.length();
    try (InputStream raw = new BytesInputStream(stored);
        DataInputStream in = new DataInputStream(gzip ? new GZIPInputStream(raw, 1 << 16) : raw)) {
      int magic = in.readInt();
      if (magic != (0x0800 | rank)) {
        throw InputException.of(
            "expected an IDX file of unsigned bytes with %d dimensions (magic number %d) at %s, got"
                + " %d",
            rank, 0x0800 | rank, label, magic);
      }
      int[] shape = new int[rank];
      long count = 1;
      for (int d = 0; d < rank; d++) {
        shape[d] = in.readInt();
        if (shape[d] < 1 || count > most / shape[d]) {
          throw InputException.of(
              "expected extents that fit the file in %s, got %d; the file is damaged",
              label, shape[d] & 0xffffffffL);
        }
        count *= shape[d];
      }
      if (count > Integer.MAX_VALUE - 8) {
        throw InputException.of("expected at most 2 GiB of values in %s, got %d", label, count);
      }
      byte[] values = in.readNBytes((int) count);
      if (values.length < count) {
        throw new EOFException();
      }
      if (in.read() >= 0) {
        throw new InputException(
            "expected "
                + Arrays.toString(shape)
                + " values in "
                + label
                + ", found more; the file is damaged");
      }
      return new Idx(shape, values);
    } catch (EOFException e) {
      throw new InputException(
          "expected a whole IDX file at " + label + ", but it is cut off; fetch it again", e);
    } catch (ZipException e) {
      throw new InputException(
          "expected a sound gzip file at " + label + " (" + e.getMessage() + ")", e);
    } catch (IOException e) {
      throw new InputException("cannot read " + label + " (" + e + ")", e);
    }
  }
}
