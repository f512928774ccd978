package io.github.igdefense.model;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.ElementType;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.PickleReader;
import io.github.igdefense.data.ZipArchive;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;

/**
 * What a pickle written by {@code torch.save} may import: tensors and their storages, ordered
 * dictionaries, sizes, element types and NumPy scalars. For one file and one thread.
 */
final class TorchImports implements PickleReader.Imports {
  private static final Map<String, ElementType> STORAGES =
      Map.of(
          "FloatStorage", ElementType.FLOAT32,
          "DoubleStorage", ElementType.FLOAT64,
          "HalfStorage", ElementType.FLOAT16,
          "BFloat16Storage", ElementType.BFLOAT16,
          "LongStorage", ElementType.INT64,
          "IntStorage", ElementType.INT32,
          "ShortStorage", ElementType.INT16,
          "CharStorage", ElementType.INT8,
          "ByteStorage", ElementType.UINT8,
          "BoolStorage", ElementType.BOOL);

  /** Expanded tensors (stride 0) may not have more elements than this beyond their storage. */
  private static final long MAX_EXPANDED = 1L << 24;

  /** Tensors in one file; bounds what a short pickle can make. */
  private static final int MAX_TENSORS = 200_000;

  /** Items or bytes that all calls together may copy. */
  private static final long MAX_COPIED = 16L << 20;

  /** Type object of a storage; untyped ones count bytes. */
  private record StorageType(ElementType type, boolean untyped) {}

  /** A part of a storage that a persistent id stands for. */
  private record StorageRef(HostTensor.Storage storage, long offset, long size, boolean untyped) {}

  private final String label;
  private final BiFunction<String, Long, Bytes> loader;
  private final Map<String, HostTensor.Storage> storages = new LinkedHashMap<>();
  private int tensors;
  private long copied;

  /**
   * Prepares for one file.
   *
   * @param loader gives the bytes of a storage by key and byte count, or null if they come later in
   *     the file
   */
  TorchImports(String label, BiFunction<String, Long, Bytes> loader) {
    this.label = label;
    this.loader = loader;
  }

  /** The storages seen, by key. */
  Map<String, HostTensor.Storage> storages() {
    return storages;
  }

  @Override
  public Object find(String module, String name) {
    return switch (module) {
      case "collections" ->
          name.equals("OrderedDict") ? (PickleReader.Function) this::orderedDict : null;
      case "torch._utils" ->
          switch (name) {
            case "_rebuild_tensor" -> (PickleReader.Function) a -> tensor(a, 4, null);
            case "_rebuild_tensor_v2" -> (PickleReader.Function) a -> tensor(a, 6, null);
            case "_rebuild_tensor_v3" -> (PickleReader.Function) this::tensorV3;
            case "_rebuild_parameter", "_rebuild_parameter_with_state" ->
                (PickleReader.Function) this::parameter;
            default -> null;
          };
      case "torch", "torch.cuda", "torch.storage" -> torch(name);
      case "numpy", "numpy.core.multiarray", "numpy._core.multiarray" -> numpy(module, name);
      case "_codecs" -> name.equals("encode") ? (PickleReader.Function) this::encode : null;
      default -> null;
    };
  }

  private Object torch(String name) {
    ElementType storage = STORAGES.get(name);
    if (storage != null) {
      return new StorageType(storage, false);
    }
    return switch (name) {
      case "UntypedStorage", "_UntypedStorage" -> new StorageType(ElementType.UINT8, true);
      case "Size" -> (PickleReader.Function) a -> a.size() == 1 ? a.get(0) : List.of();
      case "device" ->
          (PickleReader.Function) a -> a.isEmpty() ? "cpu" : String.valueOf(scalar(a.get(0)));
      case "float32", "float" -> ElementType.FLOAT32;
      case "float64", "double" -> ElementType.FLOAT64;
      case "float16", "half" -> ElementType.FLOAT16;
      case "bfloat16" -> ElementType.BFLOAT16;
      case "int64", "long" -> ElementType.INT64;
      case "int32", "int" -> ElementType.INT32;
      case "int16", "short" -> ElementType.INT16;
      case "int8" -> ElementType.INT8;
      case "uint8" -> ElementType.UINT8;
      case "bool" -> ElementType.BOOL;
      default -> null;
    };
  }

  private Object orderedDict(List<Object> arguments) {
    Map<Object, Object> map = new LinkedHashMap<>();
    if (arguments.isEmpty()) {
      return map;
    }
    if (arguments.size() == 1 && arguments.get(0) instanceof List<?> pairs) {
      countCopy(8L * pairs.size());
      for (Object pair : pairs) {
        if (!(pair instanceof List<?> two)
            || two.size() != 2
            || !(two.get(0) instanceof String key)) {
          throw bad("an ordered dictionary has no (text, value) pairs");
        }
        if (map.containsKey(key)) {
          throw bad("an ordered dictionary has the key " + ZipArchive.printable(key) + " twice");
        }
        map.put(key, two.get(1));
      }
      return map;
    }
    throw bad("an ordered dictionary is built in an unknown way");
  }

  private Object parameter(List<Object> arguments) {
    if (arguments.isEmpty() || !(arguments.get(0) instanceof HostTensor)) {
      throw bad("a parameter is not built from a tensor");
    }
    return arguments.get(0);
  }

  private Object tensorV3(List<Object> arguments) {
    if (arguments.size() < 7 || !(arguments.get(6) instanceof ElementType type)) {
      throw bad("a tensor has an element type that is not supported");
    }
    return tensor(arguments, 7, type);
  }

  private HostTensor tensor(List<Object> arguments, int least, ElementType type) {
    if (arguments.size() < least
        || !(arguments.get(0) instanceof StorageRef ref)
        || !(arguments.get(1) instanceof Long start)) {
      throw bad("a tensor is not built from a storage and an offset");
    }
    if (++tensors > MAX_TENSORS) {
      throw bad("it has more than " + MAX_TENSORS + " tensors");
    }
    HostTensor.Storage storage = ref.storage;
    long available = ref.size;
    if (ref.untyped && type != null && type != storage.type) {
      if (storage.bytes == null) {
        throw bad("an untyped storage is used in the older format");
      }
      available = storage.bytes.length() / type.bytes();
      storage = new HostTensor.Storage(type, available, storage.bytes);
    }
    long[] shape = extents(arguments.get(2), "shape");
    long[] strides = extents(arguments.get(3), "strides");
    if (shape.length != strides.length) {
      throw bad("a tensor has " + shape.length + " extents but " + strides.length + " strides");
    }
    checkBounds(start, shape, strides, available);
    return new HostTensor("", storage, ref.offset + start, shape, strides);
  }

  private void checkBounds(long start, long[] shape, long[] strides, long available) {
    try {
      boolean empty = false;
      for (long extent : shape) {
        empty |= extent == 0;
      }
      long numel = empty ? 0 : HostTensor.numel(shape);
      if (start < 0 || start > available) {
        throw new ArithmeticException();
      }
      if (numel > 0) {
        long last = start;
        for (int d = 0; d < shape.length; d++) {
          last = Math.addExact(last, Math.multiplyExact(shape[d] - 1, strides[d]));
        }
        if (last >= available || numel > available && numel > MAX_EXPANDED) {
          throw new ArithmeticException();
        }
      }
    } catch (ArithmeticException e) {
      throw bad(
          String.format(
              "a tensor with shape %s, strides %s and offset %d does not fit its storage of %d"
                  + " elements",
              Arrays.toString(shape), Arrays.toString(strides), start, available));
    }
  }

  private long[] extents(Object value, String what) {
    if (!(value instanceof List<?> list) || list.size() > 64) {
      throw bad("a tensor's " + what + " is no tuple");
    }
    long[] extents = new long[list.size()];
    for (int i = 0; i < extents.length; i++) {
      if (!(list.get(i) instanceof Long extent) || extent < 0) {
        throw bad("a tensor's " + what + " has an entry that is no number or negative");
      }
      extents[i] = extent;
    }
    return extents;
  }

  /** {@code ('storage', type, key, location, numel[, view])}. */
  @Override
  public Object persistent(Object id) {
    if (!(id instanceof List<?> parts)
        || parts.size() < 5
        || parts.size() > 6
        || !"storage".equals(parts.get(0))
        || !(parts.get(1) instanceof StorageType type)
        || !(parts.get(2) instanceof String key)
        || !(parts.get(4) instanceof Long numel)
        || numel < 0
        || numel > Long.MAX_VALUE / 16) {
      throw bad("it refers to an outside object that is no tensor storage");
    }
    HostTensor.Storage storage = storages.get(key);
    if (storage == null) {
      Bytes bytes = loader == null ? null : loader.apply(key, numel * type.type.bytes());
      storage = new HostTensor.Storage(type.type, numel, bytes);
      storages.put(key, storage);
    } else if (storage.type != type.type || storage.numel != numel) {
      throw bad("storage " + ZipArchive.printable(key) + " is described in two different ways");
    }
    if (parts.size() == 6 && parts.get(5) != null) {
      if (!(parts.get(5) instanceof List<?> view)
          || view.size() != 3
          || !(view.get(1) instanceof Long offset)
          || !(view.get(2) instanceof Long size)
          || offset < 0
          || size < 0
          || offset > numel
          || size > numel - offset) {
        throw bad("a view of storage " + ZipArchive.printable(key) + " does not fit it");
      }
      return new StorageRef(storage, offset, size, false);
    }
    return new StorageRef(storage, 0, numel, type.untyped);
  }

  private Object numpy(String module, String name) {
    if (name.equals("dtype") && module.equals("numpy")) {
      return (PickleReader.Function) a -> new NumpyType(a.isEmpty() ? null : a.get(0));
    }
    if (name.equals("scalar") && !module.equals("numpy")) {
      return (PickleReader.Function) this::numpyScalar;
    }
    return null;
  }

  /** A NumPy element type; its state says the byte order. */
  private static final class NumpyType implements PickleReader.Buildable {
    private final String code;
    private boolean little = true;

    NumpyType(Object code) {
      this.code = String.valueOf(scalar(code));
    }

    @Override
    public void build(Object state) {
      little = !(state instanceof List<?> parts) || parts.size() < 2 || !">".equals(parts.get(1));
    }
  }

  private Object numpyScalar(List<Object> arguments) {
    if (arguments.size() != 2 || !(arguments.get(0) instanceof NumpyType type) || !type.little) {
      throw bad("a NumPy scalar cannot be read");
    }
    Object raw = arguments.get(1);
    byte[] content = raw instanceof String text ? text.getBytes(StandardCharsets.ISO_8859_1) : null;
    content = raw instanceof byte[] array ? array : content;
    int expected =
        switch (type.code) {
          case "f8", "i8" -> 8;
          case "f4", "i4" -> 4;
          case "i2", "f2" -> 2;
          case "i1", "u1", "b1" -> 1;
          default -> throw bad("a NumPy scalar has type " + ZipArchive.printable(type.code));
        };
    if (content == null || content.length != expected) {
      throw bad("a NumPy scalar has the wrong number of bytes");
    }
    Bytes bytes = Bytes.of(content);
    return switch (type.code) {
      case "f8" -> (Object) bytes.getDouble(0);
      case "f4" -> (double) bytes.getFloat(0);
      case "f2" -> (double) ElementType.float16ToFloat(bytes.getShort(0));
      case "i8" -> bytes.getLong(0);
      case "i4" -> (long) bytes.getInt(0);
      case "i2" -> (long) bytes.getShort(0);
      case "i1" -> (long) bytes.getByte(0);
      case "u1" -> (long) (bytes.getByte(0) & 0xff);
      default -> bytes.getByte(0) != 0;
    };
  }

  /** Python 3 writes bytes for protocol 2 as {@code _codecs.encode(text, 'latin1')}. */
  private Object encode(List<Object> arguments) {
    if (arguments.size() == 2
        && arguments.get(0) instanceof String text
        && ("latin1".equals(arguments.get(1)) || "latin-1".equals(arguments.get(1)))) {
      countCopy(text.length());
      return text.getBytes(StandardCharsets.ISO_8859_1);
    }
    throw bad("bytes are encoded in an unknown way");
  }

  private void countCopy(long size) {
    copied += size;
    if (copied > MAX_COPIED) {
      throw bad("it builds the same values over and over");
    }
  }

  private static Object scalar(Object value) {
    boolean plain = value instanceof String || value instanceof Long || value instanceof Boolean;
    return plain || value instanceof BigInteger ? value : "?";
  }

  /** Gives the storages their bytes, which follow the pickles in the older format. */
  void fill(Bytes file, long start, Object keys) {
    if (!(keys instanceof ArrayList<?> list)) {
      throw bad("the list of storages is missing");
    }
    long at = start;
    for (Object key : list) {
      HostTensor.Storage storage = key instanceof String ? storages.get(key) : null;
      if (storage == null || storage.bytes != null) {
        throw bad("the list of storages does not match the tensors");
      }
      if (file.length() - at < 8) {
        throw bad(
            "it ends before storage " + ZipArchive.printable((String) key) + ", so it was cut off");
      }
      long numel = file.getLong(at);
      at += 8;
      long size = storage.numel * storage.type.bytes();
      if (numel != storage.numel || size > file.length() - at) {
        throw bad(
            String.format(
                "storage %s should have %d elements but %d bytes are left; the file is cut off",
                ZipArchive.printable((String) key), storage.numel, file.length() - at));
      }
      storage.bytes = file.slice(at, size);
      at += size;
    }
    for (Map.Entry<String, HostTensor.Storage> entry : storages.entrySet()) {
      if (entry.getValue().bytes == null) {
        throw bad("storage " + ZipArchive.printable(entry.getKey()) + " is missing");
      }
    }
  }

  private InputException bad(String what) {
    return new InputException(
        "expected a sound PyTorch checkpoint in "
            + label
            + ", but "
            + what
            + "; fetch or save the file again");
  }
}
