package io.github.igdefense.data;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A batch of CIFAR's Python version: a pickled dictionary with {@code data}, uint8 [N,3072] (CHW),
 * and a list of labels. Read by {@link PickleReader}: nothing in the file is executed.
 *
 * @param pixels N × 3072 bytes; for files in C order a view on the file
 * @param labels N labels, not checked against the number of classes
 */
record CifarPickle(Bytes pixels, int[] labels) {
  private static final long MAX_OPERATIONS = 4_000_000;

  /** Reads a batch file; {@code label} is how messages name it. */
  static CifarPickle read(Bytes file, String label, int classes, boolean coarse) {
    Map<?, ?> batch = dictionary(file, label);
    String key = classes == 10 ? "labels" : coarse ? "coarse_labels" : "fine_labels";
    Object data = batch.get("data");
    if (!(data instanceof NumpyImports.Array holder)) {
      throw new InputException(
          "expected an array 'data' in " + label + ", found the keys " + keys(batch));
    }
    NpyArray array = holder.value();
    if (array.type() != ElementType.UINT8
        || array.rank() != 2
        || array.shape()[1] != CifarImages.LENGTH
        || array.shape()[0] < 1) {
      throw new InputException(
          "expected an array 'data' as uint8[N, 3072] in " + label + ", got " + array);
    }
    int count = (int) array.shape()[0];
    return new CifarPickle(array.bytes(), labels(batch, key, count, label));
  }

  private static int[] labels(Map<?, ?> batch, String key, int count, String label) {
    Object stored = batch.get(key);
    int[] labels = new int[count];
    if (stored instanceof NumpyImports.Array holder
        && !holder.value().type().isFloating()
        && holder.value().size() == count) {
      for (int i = 0; i < count; i++) {
        labels[i] = (int) Math.max(-1, Math.min(Integer.MAX_VALUE, holder.value().getLong(i)));
      }
      return labels;
    }
    if (!(stored instanceof List<?> list) || list.size() != count) {
      throw InputException.of(
          "expected a list '%s' of %d labels in %s, found %s and the keys %s",
          key,
          count,
          label,
          stored instanceof List<?> other ? other.size() + " labels" : "no such list",
          keys(batch));
    }
    for (int i = 0; i < count; i++) {
      if (!(list.get(i) instanceof Long value)) {
        throw new InputException(
            "expected whole numbers as '" + key + "' in " + label + ", found another at " + i);
      }
      labels[i] = (int) Math.max(-1, Math.min(Integer.MAX_VALUE, value));
    }
    return labels;
  }

  /** The names in {@code batches.meta} or {@code meta}; null if it does not hold them. */
  static List<String> classNames(Bytes file, Path path, int classes, boolean coarse) {
    Map<?, ?> meta = dictionary(file, "the class names of " + path);
    String key = classes == 10 ? "label_names" : coarse ? "coarse_label_names" : "fine_label_names";
    if (!(meta.get(key) instanceof List<?> list)) {
      return null;
    }
    List<String> names = new ArrayList<>();
    for (Object name : list) {
      names.add(
          name instanceof byte[] bytes
              ? new String(bytes, StandardCharsets.UTF_8)
              : String.valueOf(name));
    }
    return names;
  }

  private static Map<?, ?> dictionary(Bytes file, String label) {
    PickleReader reader =
        new PickleReader(file, 0, label, new NumpyImports(label), MAX_OPERATIONS).viewing();
    if (reader.read() instanceof Map<?, ?> map) {
      return map;
    }
    throw new InputException("expected a pickled dictionary in " + label + ", found no dictionary");
  }

  private static String keys(Map<?, ?> map) {
    return ZipArchive.printable(
        map.keySet().stream().limit(8).map(String::valueOf).toList().toString());
  }
}
