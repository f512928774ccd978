package io.github.igdefense.data;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * NumPy's {@code .npy} format, versions 1 to 3.
 *
 * <p>Reads booleans, signed integers, {@code uint8} and float16/32/64 in C or Fortran order and
 * either byte order; structured and object arrays are refused. Sizes are checked against the file
 * before memory is reserved. Writes version 1, little-endian, C order. Stateless and thread-safe.
 */
public final class Npy {
  private static final int MAX_HEADER = 1 << 16;
  private static final int MAX_RANK = 32;

  private Npy() {}

  /**
   * Reads a file.
   *
   * @throws InputException if it is missing, damaged or holds another type of array
   */
  public static NpyArray read(Path file) {
    return parse(Bytes.ofFile(file), file.toString());
  }

  /**
   * Reads the content of a file.
   *
   * @param label how messages name it
   */
  public static NpyArray parse(Bytes file, String label) {
    if (file.length() < 10
        || (file.getByte(0) & 0xff) != 0x93
        || !new String(file.get(1, 5), StandardCharsets.ISO_8859_1).equals("NUMPY")) {
      throw new InputException(
          "expected a NumPy .npy array in " + label + ", found something else");
    }
    int version = file.getByte(6);
    int prefix = version == 1 ? 10 : 12;
    if (version < 1 || version > 3 || file.length() < prefix) {
      throw new InputException(
          "expected .npy version 1, 2 or 3 in " + label + ", found " + version);
    }
    long headerLength = version == 1 ? file.getShort(8) & 0xffff : file.getInt(8) & 0xffffffffL;
    if (headerLength > MAX_HEADER || headerLength > file.length() - prefix) {
      throw InputException.of(
          "expected a header of at most %d bytes within %s (%d bytes), its length field says %d;"
              + " the file is damaged",
          MAX_HEADER, label, file.length(), headerLength);
    }
    String text = new String(file.get(prefix, (int) headerLength), StandardCharsets.UTF_8);
    Header header = new HeaderParser(text, label).parse();
    long count = 1;
    boolean empty = false;
    for (long extent : header.shape) {
      empty |= extent == 0;
    }
    for (long extent : header.shape) {
      if (!empty && (extent > Long.MAX_VALUE / 16 / count)) {
        throw new InputException(
            "shape " + Arrays.toString(header.shape) + " in " + label + " is too large");
      }
      count = empty ? 0 : count * extent;
    }
    long expected = count * header.type.bytes();
    long dataLength = file.length() - prefix - headerLength;
    if (expected != dataLength) {
      throw InputException.of(
          "expected %d bytes of values for %s%s in %s, found %d; the file is damaged or cut off",
          expected, header.type.label(), Arrays.toString(header.shape), label, dataLength);
    }
    Bytes data = file.slice(prefix + headerLength, expected);
    return array(header.type, header.shape, header.fortran, header.bigEndian, data, label);
  }

  /** An array of values stored in any order; the caller has checked that they fit the shape. */
  static NpyArray array(
      ElementType type,
      long[] shape,
      boolean fortran,
      boolean bigEndian,
      Bytes values,
      String label) {
    boolean reorder = fortran && shape.length > 1 && values.length() > 0;
    if (!reorder && !(bigEndian && type.bytes() > 1)) {
      return new NpyArray(type, shape, values);
    }
    int count = (int) Math.min(values.length() / type.bytes(), Integer.MAX_VALUE);
    Header header = new Header(type, bigEndian, fortran, shape);
    return new NpyArray(type, shape, rearrange(values, header, reorder, count, label));
  }

  private static Bytes rearrange(
      Bytes data, Header header, boolean reorder, int count, String label) {
    int size = header.type.bytes();
    if (data.length() > 1 << 30) {
      throw new InputException(
          "expected C order and little-endian values in "
              + label
              + " (required beyond 1 GiB); save it with numpy.ascontiguousarray");
    }
    byte[] source = data.get(0, (int) data.length());
    if (header.bigEndian) {
      for (int at = 0; at < source.length; at += size) {
        for (int i = 0, j = size - 1; i < j; i++, j--) {
          byte swap = source[at + i];
          source[at + i] = source[at + j];
          source[at + j] = swap;
        }
      }
    }
    if (!reorder) {
      return Bytes.of(source);
    }
    byte[] target = new byte[source.length];
    int rank = header.shape.length;
    long[] strides = new long[rank]; // of the stored order, first index fastest
    long stride = 1;
    for (int d = 0; d < rank; d++) {
      strides[d] = stride;
      stride *= header.shape[d];
    }
    long[] index = new long[rank];
    long from = 0;
    for (int to = 0; to < count; to++) {
      System.arraycopy(source, (int) from * size, target, to * size, size);
      for (int d = rank - 1; d >= 0; d--) {
        from += strides[d];
        if (++index[d] < header.shape[d]) {
          break;
        }
        from -= strides[d] * header.shape[d];
        index[d] = 0;
      }
    }
    return Bytes.of(target);
  }

  /** Writes a file atomically. */
  public static void write(Path file, NpyArray array) {
    AtomicFiles.write(file, out -> write(out, array));
  }

  /** Writes an array to a stream, which stays open. */
  public static void write(OutputStream out, NpyArray array) throws IOException {
    out.write(header(array));
    byte[] block = new byte[1 << 16];
    for (ByteBuffer part : array.bytes().buffers()) {
      while (part.hasRemaining()) {
        int n = Math.min(block.length, part.remaining());
        part.get(block, 0, n);
        out.write(block, 0, n);
      }
    }
  }

  /** Bytes that {@link #write(OutputStream, NpyArray)} puts before the values. */
  static byte[] header(NpyArray array) {
    StringBuilder shape = new StringBuilder("(");
    long[] extents = array.shape();
    for (int i = 0; i < extents.length; i++) {
      shape.append(i == 0 ? "" : " ").append(extents[i]).append(i < extents.length - 1 ? "," : "");
    }
    shape.append(extents.length == 1 ? ",)" : ")");
    String text =
        "{'descr': '"
            + descriptor(array.type())
            + "', 'fortran_order': False, 'shape': "
            + shape
            + ", }";
    int length = (10 + text.length() + 1 + 63) / 64 * 64 - 10;
    ByteBuffer header = ByteBuffer.allocate(10 + length).order(ByteOrder.LITTLE_ENDIAN);
    header.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.ISO_8859_1));
    header.put((byte) 1).put((byte) 0).putShort((short) length);
    header.put(text.getBytes(StandardCharsets.ISO_8859_1));
    while (header.remaining() > 1) {
      header.put((byte) ' ');
    }
    return header.put((byte) '\n').array();
  }

  private static String descriptor(ElementType type) {
    return switch (type) {
      case FLOAT32 -> "<f4";
      case FLOAT64 -> "<f8";
      case FLOAT16 -> "<f2";
      case INT64 -> "<i8";
      case INT32 -> "<i4";
      case INT16 -> "<i2";
      case INT8 -> "|i1";
      case UINT8 -> "|u1";
      case BOOL -> "|b1";
      case BFLOAT16 -> throw new IllegalArgumentException("NumPy has no bfloat16");
    };
  }

  private record Header(ElementType type, boolean bigEndian, boolean fortran, long[] shape) {}

  /** Parses the Python dictionary literal of a header; knows only what NumPy writes there. */
  private static final class HeaderParser {
    private final String text;
    private final String label;
    private int at;

    HeaderParser(String text, String label) {
      this.text = text;
      this.label = label;
    }

    Header parse() {
      String descriptor = null;
      Boolean fortran = null;
      long[] shape = null;
      expect('{');
      while (!accept('}')) {
        String key = string();
        expect(':');
        switch (key) {
          case "descr" -> {
            if (peek() == '[') {
              throw new InputException(
                  "expected a plain array in " + label + ", found a structured one");
            }
            descriptor = string();
          }
          case "fortran_order" -> fortran = bool();
          case "shape" -> shape = tuple();
          default -> throw bad();
        }
        if (!accept(',')) {
          expect('}');
          break;
        }
      }
      if (peek() != 0 || descriptor == null || fortran == null || shape == null) {
        throw bad();
      }
      return header(descriptor, fortran, shape);
    }

    private Header header(String descriptor, boolean fortran, long[] shape) {
      char order = descriptor.isEmpty() ? ' ' : descriptor.charAt(0);
      boolean ordered = "<>|=".indexOf(order) >= 0;
      ElementType type =
          switch (ordered ? descriptor.substring(1) : descriptor) {
            case "f4" -> ElementType.FLOAT32;
            case "f8" -> ElementType.FLOAT64;
            case "f2" -> ElementType.FLOAT16;
            case "i8" -> ElementType.INT64;
            case "i4" -> ElementType.INT32;
            case "i2" -> ElementType.INT16;
            case "i1" -> ElementType.INT8;
            case "u1" -> ElementType.UINT8;
            case "b1" -> ElementType.BOOL;
            default ->
                throw new InputException(
                    "expected an array of bool, uint8, int8..int64 or float16..float64 in "
                        + label
                        + ", found NumPy type '"
                        + ZipArchive.printable(descriptor)
                        + "'; convert it with .astype");
          };
      return new Header(type, order == '>', fortran, shape);
    }

    private char peek() {
      while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
        at++;
      }
      return at < text.length() ? text.charAt(at) : 0;
    }

    private boolean accept(char c) {
      if (peek() == c) {
        at++;
        return true;
      }
      return false;
    }

    private void expect(char c) {
      if (!accept(c)) {
        throw bad();
      }
    }

    private String string() {
      char quote = peek();
      if (quote != '\'' && quote != '"') {
        throw bad();
      }
      int end = text.indexOf(quote, at + 1);
      if (end < 0) {
        throw bad();
      }
      String value = text.substring(at + 1, end);
      at = end + 1;
      return value;
    }

    private boolean bool() {
      peek();
      if (text.startsWith("True", at)) {
        at += 4;
        return true;
      }
      if (text.startsWith("False", at)) {
        at += 5;
        return false;
      }
      throw bad();
    }

    private long[] tuple() {
      List<Long> extents = new ArrayList<>();
      expect('(');
      while (!accept(')')) {
        peek();
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
          at++;
        }
        if (at == start || at - start > 18 || extents.size() == MAX_RANK) {
          throw bad();
        }
        extents.add(Long.parseLong(text.substring(start, at)));
        accept('L'); // Python 2
        if (!accept(',')) {
          expect(')');
          break;
        }
      }
      return extents.stream().mapToLong(Long::longValue).toArray();
    }

    private InputException bad() {
      return new InputException(
          "expected a NumPy header in "
              + label
              + ", cannot read it at character "
              + at
              + ": "
              + ZipArchive.printable(text.strip()));
    }
  }
}
