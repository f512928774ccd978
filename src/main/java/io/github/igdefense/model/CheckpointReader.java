package io.github.igdefense.model;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.PickleReader;
import io.github.igdefense.data.ZipArchive;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Reads checkpoints: PyTorch files (zip and the older format) and safetensors, told apart by their
 * content.
 *
 * <p>Nothing in a file is executed, sizes are checked before memory is reserved, and large files
 * are mapped rather than read. Tensors may lie under a wrapper key ({@code state_dict}, {@code
 * model}, {@code net}, {@code ema}, {@code model_state_dict}) and their names may share a prefix
 * ({@code module.}, {@code model.}); both are removed and noted. Stateless and thread-safe. Cost:
 * one pass over the file for its hash.
 */
public final class CheckpointReader {
  private static final List<String> WRAPPERS =
      List.of("state_dict", "model", "net", "ema", "model_state_dict");
  private static final List<String> PREFIXES = List.of("module.", "model.");

  /**
   * Buffers of a normalisation wrapped around a model; they stand beside the prefix, not under it.
   */
  private static final Pattern NORMALIZATION =
      Pattern.compile("(mean|std|mu|sigma|(normalize|normalizer|normalization|norm)\\..*)");

  private static final Pattern ATTACKER = Pattern.compile("(?:module\\.)?attacker\\.(.*)");

  private static final long MAX_PICKLE = 64L << 20;
  private static final long MAX_OPERATIONS = 4_000_000;
  private static final BigInteger MAGIC = new BigInteger("1950a86a20f9469cfc6c", 16);

  private CheckpointReader() {}

  /**
   * Reads a file and finds its tensors.
   *
   * @throws InputException if the file is missing, damaged, hostile, of another kind or without
   *     tensors
   */
  public static Checkpoint read(Path file) {
    return read(file, null);
  }

  /**
   * Reads a file whose tensors lie under given keys.
   *
   * @param wrapper top-level keys joined by '/', for example {@code ema} or {@code
   *     averaged/state_dict}; null to find them
   */
  public static Checkpoint read(Path file, String wrapper) {
    return read(file, Bytes.ofFile(file), wrapper);
  }

  static Checkpoint read(Path file, Bytes bytes, String wrapper) {
    String label = file.toString();
    String format;
    Object root;
    if (ZipArchive.looksLikeZip(bytes)) {
      format = "PyTorch zip";
      root = readZip(bytes, label);
    } else if (startsLikePickle(bytes)) {
      format = "PyTorch legacy";
      root = readLegacy(bytes, label);
    } else if (SafeTensors.looksLike(bytes)) {
      format = "safetensors";
      root = SafeTensors.read(bytes, label);
    } else {
      throw otherKind(bytes, label);
    }
    if (!(root instanceof Map<?, ?> map)) {
      throw new InputException(
          "expected a dictionary of tensors in "
              + label
              + ", found "
              + (root instanceof HostTensor tensor
                  ? "a single tensor " + tensor
                  : "another object"));
    }
    List<String> notes = new ArrayList<>();
    Map<String, Object> metadata = new LinkedHashMap<>();
    Map<?, ?> state = unwrap(map, wrapper, metadata, notes, label);
    List<HostTensor> tensors = collect(state, metadata, label);
    if (tensors.isEmpty()) {
      throw new InputException(
          "expected tensors in "
              + label
              + ", found none"
              + describe(map)
              + "; name the keys above the tensors if they lie deeper");
    }
    StateDict dict = new StateDict(stripPrefixes(tensors, notes));
    return new Checkpoint(
        file,
        bytes.sha256(),
        format,
        dict,
        Collections.unmodifiableMap(metadata),
        List.copyOf(notes));
  }

  private static boolean startsLikePickle(Bytes bytes) {
    return bytes.length() > 2
        && (bytes.getByte(0) & 0xff) == 0x80
        && bytes.getByte(1) >= 1
        && bytes.getByte(1) <= 5
        && (bytes.length() < 9 || bytes.getByte(8) != '{');
  }

  private static Object readZip(Bytes bytes, String label) {
    ZipArchive zip = ZipArchive.of(bytes, label);
    String top = null;
    for (String name : zip.names()) {
      if (name.endsWith("/data.pkl") && name.indexOf('/') == name.length() - 9) {
        if (top != null) {
          throw new InputException("expected one data.pkl in " + label + ", found two");
        }
        top = name.substring(0, name.length() - 8);
      }
    }
    if (top == null) {
      boolean arrays = zip.names().stream().anyMatch(name -> name.endsWith(".npy"));
      throw new InputException(
          "expected a PyTorch checkpoint in "
              + label
              + ", found a zip archive without data.pkl"
              + (arrays ? "; it holds NumPy arrays (.npz)" : ""));
    }
    if (zip.contains(top + "constants.pkl")) {
      throw new InputException(
          "expected a state dict in "
              + label
              + ", found a TorchScript archive;"
              + " save torch.jit.load(file).state_dict() with torch.save");
    }
    if (zip.contains(top + "byteorder")) {
      Bytes order = zip.read(top + "byteorder");
      String text =
          new String(order.get(0, (int) Math.min(16, order.length())), StandardCharsets.US_ASCII);
      if (!text.strip().equals("little")) {
        throw new InputException(
            "expected little-endian values in "
                + label
                + ", found byte order '"
                + ZipArchive.printable(text)
                + "'; save the file on a little-endian machine");
      }
    }
    String directory = top;
    TorchImports imports =
        new TorchImports(
            label,
            (key, size) -> {
              String name = directory + "data/" + key;
              if (!zip.contains(name) || zip.size(name) != size) {
                throw InputException.of(
                    "expected storage %s of %d bytes in %s, found %s; fetch or save the file again",
                    ZipArchive.printable(key),
                    size,
                    label,
                    zip.contains(name) ? zip.size(name) : "none");
              }
              return zip.read(name);
            });
    if (zip.size(top + "data.pkl") > MAX_PICKLE) {
      throw new InputException("expected a data.pkl of at most 64 MiB in " + label);
    }
    Bytes pickle = zip.read(top + "data.pkl");
    return new PickleReader(pickle, 0, label, imports, MAX_OPERATIONS).read();
  }

  private static Object readLegacy(Bytes bytes, String label) {
    TorchImports imports = new TorchImports(label, null);
    PickleReader reader = new PickleReader(bytes, 0, label, imports, MAX_OPERATIONS);
    if (!MAGIC.equals(reader.read())) {
      throw new InputException(
          "expected a file written by torch.save at " + label + ", found a plain Python pickle");
    }
    Object protocol = reader.read();
    if (!Long.valueOf(1001).equals(protocol)) {
      throw new InputException("expected torch.save protocol 1001 in " + label + ", found another");
    }
    if (!(reader.read() instanceof Map<?, ?> system)
        || !Boolean.TRUE.equals(system.get("little_endian"))) {
      throw new InputException(
          "expected little-endian values in "
              + label
              + "; save the file on a little-endian machine");
    }
    Object root = reader.read();
    Object keys = reader.read();
    imports.fill(bytes, reader.position(), keys);
    return root;
  }

  private static InputException otherKind(Bytes bytes, String label) {
    return new InputException(
        "expected a PyTorch checkpoint or a safetensors file at "
            + label
            + ", found "
            + ForeignFiles.describe(bytes));
  }

  private static Map<?, ?> unwrap(
      Map<?, ?> root,
      String wrapper,
      Map<String, Object> metadata,
      List<String> notes,
      String label) {
    Map<?, ?> state = root;
    String path = "";
    List<String> wanted = wrapper == null ? List.of() : List.of(wrapper.split("/"));
    for (int depth = 0; depth < (wrapper == null ? 3 : wanted.size()); depth++) {
      String key = wrapper == null ? findWrapper(state) : wanted.get(depth);
      if (key == null) {
        break;
      }
      if (!(state.get(key) instanceof Map<?, ?> inner)) {
        throw new InputException(
            "expected a dictionary under key '" + key + "' in " + label + describe(state));
      }
      for (Map.Entry<?, ?> entry : state.entrySet()) {
        if (!key.equals(entry.getKey())) {
          metadata.put(path + entry.getKey(), entry.getValue());
        }
      }
      path += key + "/";
      state = inner;
      notes.add("tensors taken from key '" + key + "'");
    }
    return state;
  }

  private static String findWrapper(Map<?, ?> map) {
    if (map.values().stream().anyMatch(HostTensor.class::isInstance)) {
      return null;
    }
    for (String key : WRAPPERS) {
      if (map.get(key) instanceof Map<?, ?>) {
        return key;
      }
    }
    return null;
  }

  private static List<HostTensor> collect(
      Map<?, ?> state, Map<String, Object> metadata, String label) {
    List<HostTensor> tensors = new ArrayList<>();
    for (Map.Entry<?, ?> entry : state.entrySet()) {
      if (entry.getValue() instanceof HostTensor tensor) {
        if (!(entry.getKey() instanceof String name)) {
          throw new InputException(
              "expected names for the tensors in " + label + ", found the key " + entry.getKey());
        }
        tensors.add(tensor.withName(name));
      } else {
        metadata.putIfAbsent(String.valueOf(entry.getKey()), entry.getValue());
      }
    }
    return tensors;
  }

  private static List<HostTensor> stripPrefixes(List<HostTensor> tensors, List<String> notes) {
    List<HostTensor> stripped = tensors;
    for (int round = 0; round < 4; round++) {
      stripped = withoutAttacker(stripped, notes);
      String prefix = commonPrefix(stripped);
      if (prefix == null) {
        break;
      }
      List<HostTensor> next = new ArrayList<>();
      for (HostTensor tensor : stripped) {
        boolean has = tensor.name().startsWith(prefix);
        next.add(has ? tensor.withName(tensor.name().substring(prefix.length())) : tensor);
      }
      stripped = next;
      notes.add("prefix '" + prefix + "' removed from the tensor names");
    }
    return stripped;
  }

  /**
   * The robustness library saves its model a second time under {@code attacker.}; the copies are
   * left out where the originals are there.
   */
  private static List<HostTensor> withoutAttacker(List<HostTensor> tensors, List<String> notes) {
    List<HostTensor> rest =
        tensors.stream().filter(tensor -> !ATTACKER.matcher(tensor.name()).lookingAt()).toList();
    if (rest.size() == tensors.size() || rest.isEmpty()) {
      return tensors;
    }
    Set<String> names = rest.stream().map(HostTensor::name).collect(Collectors.toSet());
    for (HostTensor tensor : tensors) {
      Matcher matcher = ATTACKER.matcher(tensor.name());
      if (matcher.lookingAt()) {
        String original = tensor.name().replaceFirst("attacker\\.", "");
        if (!names.contains(original) && !NORMALIZATION.matcher(matcher.group(1)).matches()) {
          return tensors;
        }
      }
    }
    notes.add(tensors.size() - rest.size() + " copies under 'attacker.' left out");
    return rest;
  }

  private static String commonPrefix(List<HostTensor> tensors) {
    for (String prefix : PREFIXES) {
      boolean some = false;
      boolean all = true;
      for (HostTensor tensor : tensors) {
        boolean has = tensor.name().startsWith(prefix);
        some |= has;
        all &= has || NORMALIZATION.matcher(tensor.name()).matches();
      }
      if (some && all) {
        return prefix;
      }
    }
    return null;
  }

  private static String describe(Map<?, ?> map) {
    List<String> keys = new ArrayList<>();
    for (Map.Entry<?, ?> entry : map.entrySet()) {
      if (keys.size() == 12) {
        keys.add("…");
        break;
      }
      String key = ZipArchive.printable(String.valueOf(entry.getKey()));
      keys.add(
          entry.getValue() instanceof Map<?, ?> inner
              ? key + " (" + inner.size() + " entries)"
              : key);
    }
    return "; it has the keys " + keys;
  }
}
