package io.github.igdefense.data;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/**
 * What a pickle of plain NumPy arrays may import: arrays, their element types and text encoding.
 * For one file and one thread.
 */
final class NumpyImports implements PickleReader.Imports {
  private static final Map<String, ElementType> TYPES =
      Map.of(
          "u1", ElementType.UINT8,
          "i1", ElementType.INT8,
          "i2", ElementType.INT16,
          "i4", ElementType.INT32,
          "i8", ElementType.INT64,
          "f4", ElementType.FLOAT32,
          "f8", ElementType.FLOAT64,
          "b1", ElementType.BOOL);
  private static final int MAX_ENCODED = 1 << 28;

  private final String label;
  private long encoded;

  NumpyImports(String label) {
    this.label = label;
  }

  /** An array under construction; {@link #value} is null until its state came. */
  final class Array implements PickleReader.Buildable {
    private NpyArray value;

    @Override
    public void build(Object state) {
      if (value != null
          || !(state instanceof List<?> s)
          || s.size() != 5
          || !(s.get(1) instanceof List<?> extents)
          || !(s.get(2) instanceof Type type)
          || !(s.get(3) instanceof Boolean || s.get(3) instanceof Long)) {
        throw bad("an array's state is not what NumPy writes");
      }
      boolean fortran = s.get(3).equals(true) || s.get(3).equals(1L);
      value = array(type, extents, fortran, raw(s.get(4)));
    }

    NpyArray value() {
      if (value == null) {
        throw bad("an array has no values");
      }
      return value;
    }
  }

  private final class Type implements PickleReader.Buildable {
    private final ElementType type;
    private boolean bigEndian;

    Type(ElementType type) {
      this.type = type;
    }

    @Override
    public void build(Object state) {
      if (!(state instanceof List<?> s) || s.size() < 2 || !(s.get(1) instanceof String order)) {
        throw bad("an element type's state is not what NumPy writes");
      }
      bigEndian = order.equals(">");
    }
  }

  @Override
  public Object find(String module, String name) {
    return switch (module + "." + name) {
      case "numpy.ndarray" -> (PickleReader.Function) a -> new Array();
      case "__builtin__.object", "builtins.object" -> name;
      case "numpy.dtype" -> (PickleReader.Function) this::type;
      case "numpy.core.multiarray._reconstruct",
              "numpy._core.multiarray._reconstruct",
              "copy_reg._reconstructor",
              "copyreg._reconstructor" ->
          (PickleReader.Function) this::reconstruct;
      case "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer" ->
          (PickleReader.Function) this::fromBuffer;
      case "_codecs.encode" -> (PickleReader.Function) this::encode;
      default -> null;
    };
  }

  @Override
  public Object persistent(Object id) {
    throw bad("it refers to an object outside the file");
  }

  /** {@code _reconstruct(ndarray, (0,), 'b')} or {@code _reconstructor(ndarray, object, None)}. */
  private Object reconstruct(List<Object> arguments) {
    if (arguments.size() != 3 || !(arguments.get(0) instanceof PickleReader.Function)) {
      throw bad("it rebuilds something other than an array");
    }
    return new Array();
  }

  private Object type(List<Object> arguments) {
    String text = arguments.isEmpty() ? "" : String.valueOf(arguments.get(0));
    boolean ordered = !text.isEmpty() && "<>|=".indexOf(text.charAt(0)) >= 0;
    ElementType known = TYPES.get(ordered ? text.substring(1) : text);
    if (known == null) {
      throw bad("an array's element type is '" + ZipArchive.printable(text) + "'");
    }
    Type type = new Type(known);
    type.bigEndian = text.charAt(0) == '>';
    return type;
  }

  /** {@code _frombuffer(bytes, dtype, shape, 'C' or 'F')} of protocol 5. */
  private Object fromBuffer(List<Object> a) {
    if (a.size() != 4
        || !(a.get(1) instanceof Type type)
        || !(a.get(2) instanceof List<?> extents)
        || !(a.get(3) instanceof String order)) {
      throw bad("an array's buffer is not what NumPy writes");
    }
    Array array = new Array();
    array.value = array(type, extents, order.equals("F"), raw(a.get(0)));
    return array;
  }

  /** {@code encode(text, 'latin1')}: how Python 3 writes bytes at protocols below 3. */
  private Object encode(List<Object> arguments) {
    if (arguments.size() != 2
        || !(arguments.get(0) instanceof String text)
        || !String.valueOf(arguments.get(1)).startsWith("latin")) {
      throw bad("it encodes something other than Latin-1 text");
    }
    encoded += text.length();
    if (encoded > MAX_ENCODED) {
      throw bad("its encoded texts exceed 256 MiB");
    }
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private Bytes raw(Object values) {
    if (values instanceof Bytes bytes) {
      return bytes;
    }
    if (values instanceof byte[] bytes) {
      return Bytes.of(bytes);
    }
    if (values instanceof String text && text.length() <= PickleReader.VIEW_ABOVE) {
      return Bytes.of(text.getBytes(StandardCharsets.ISO_8859_1));
    }
    throw bad("an array's values are no bytes");
  }

  private NpyArray array(Type type, List<?> extents, boolean fortran, Bytes values) {
    if (extents.size() > 8) {
      throw bad("an array has more than 8 dimensions");
    }
    long[] shape = new long[extents.size()];
    long count = 1;
    for (int d = 0; d < shape.length; d++) {
      if (!(extents.get(d) instanceof Long extent) || extent < 0 || extent > values.length()) {
        throw bad("an array's extents do not fit its values");
      }
      shape[d] = extent;
      count *= extent;
      if (count > 1L << 31) {
        throw bad("an array is too large");
      }
    }
    if (count * type.type.bytes() != values.length()) {
      throw InputException.of(
          "expected %d bytes of values for %s%s in %s, found %d; the file is damaged",
          count * type.type.bytes(),
          type.type.label(),
          java.util.Arrays.toString(shape),
          label,
          values.length());
    }
    return Npy.array(type.type, shape, fortran, type.bigEndian, values, label);
  }

  private InputException bad(String what) {
    return new InputException(
        "expected a pickle of NumPy arrays, numbers and strings in " + label + ", but " + what);
  }
}
