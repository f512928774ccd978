package io.github.igdefense.model;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npy;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.data.ZipArchive;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a file holds, found without running anything in it and without loading libtorch.
 *
 * @param file the file
 * @param bytes its size
 * @param sha256 hash of its bytes, lower-case hex
 * @param format such as {@code PyTorch zip}, {@code safetensors}, {@code TorchScript}, {@code NumPy
 *     npz}
 * @param notes wrappers and prefixes that were taken off
 * @param tensors in file order; of a TorchScript archive none, as only its code says which there
 *     are
 * @param metadata keys of the other values
 * @param normalization of the input, where the file has one
 * @param methods of a TorchScript archive's outermost module
 * @param architectures that the tensors fit completely
 */
public record FileInspection(
    Path file,
    long bytes,
    String sha256,
    String format,
    List<String> notes,
    List<Entry> tensors,
    List<String> metadata,
    Optional<InputNormalization> normalization,
    List<String> methods,
    List<Networks.Candidate> architectures) {

  private static final int MAX_CODE = 16 << 20;
  private static final Pattern ROOT = Pattern.compile("c(__torch__[^\\n]*)\\n([^\\n]+)\\n");
  private static final Pattern CLASS = Pattern.compile("^class (\\S+)\\(Module\\):");
  private static final Pattern METHOD = Pattern.compile("^  def (\\w+)\\(self");

  /**
   * A tensor or array.
   *
   * @param name its key, without what {@code notes} say was taken off
   * @param dtype element type as stored
   * @param shape extents; empty for a scalar
   */
  public record Entry(String name, String dtype, long[] shape) {
    /** Number of elements. */
    public long numel() {
      return HostTensor.numel(shape);
    }
  }

  /**
   * Inspects a file. Cost: one pass over it for its hash.
   *
   * @throws InputException if it is missing, damaged, or of a kind that is not known, saying what
   *     it is and what to do
   */
  public static FileInspection of(Path file) {
    Bytes bytes = Bytes.ofFile(file);
    if (ZipArchive.looksLikeZip(bytes)) {
      ZipArchive zip = ZipArchive.of(bytes, file.toString());
      if (TorchScriptArchive.hasCode(zip)) {
        return of(file, bytes, "TorchScript", List.of(), methods(zip));
      }
      if (zip.names().stream().anyMatch(name -> name.endsWith(".npy"))) {
        return of(file, bytes, "NumPy npz", arrays(Npz.open(file)), List.of());
      }
    } else if (bytes.length() > 6 && (bytes.getByte(0) & 0xff) == 0x93 && bytes.getByte(1) == 'N') {
      NpyArray array = Npy.parse(bytes, file.toString());
      Entry entry = new Entry("array", array.type().label(), array.shape());
      return of(file, bytes, "NumPy npy", List.of(entry), List.of());
    }
    Checkpoint checkpoint = CheckpointReader.read(file, bytes, null);
    StateDict state = checkpoint.state();
    List<Entry> tensors = new ArrayList<>();
    for (HostTensor tensor : state) {
      tensors.add(new Entry(tensor.name(), tensor.type().label(), tensor.shape()));
    }
    return new FileInspection(
        file,
        bytes.length(),
        checkpoint.sha256(),
        checkpoint.format(),
        checkpoint.notes(),
        List.copyOf(tensors),
        List.copyOf(checkpoint.metadata().keySet()),
        state.normalization(),
        List.of(),
        Networks.identify(state));
  }

  private static FileInspection of(
      Path file, Bytes bytes, String format, List<Entry> tensors, List<String> methods) {
    return new FileInspection(
        file,
        bytes.length(),
        bytes.sha256(),
        format,
        List.of(),
        tensors,
        List.of(),
        Optional.empty(),
        methods,
        List.of());
  }

  private static List<Entry> arrays(Npz npz) {
    List<Entry> entries = new ArrayList<>();
    for (String name : npz.names()) {
      NpyArray array = npz.get(name);
      entries.add(new Entry(name, array.type().label(), array.shape()));
    }
    return List.copyOf(entries);
  }

  /** Names of the methods of the class that the archive's pickle makes first, from its source. */
  private static List<String> methods(ZipArchive zip) {
    String directory = directory(zip);
    Matcher root = ROOT.matcher(text(zip, directory + "data.pkl", StandardCharsets.ISO_8859_1));
    if (!root.find()) {
      throw new InputException(
          "expected a TorchScript archive whose data begin with its module, found another; export"
              + " it again with torch.jit.save");
    }
    String source = directory + "code/" + root.group(1).replace('.', '/') + ".py";
    List<String> methods = new ArrayList<>();
    boolean inside = false;
    for (String line : text(zip, source, StandardCharsets.UTF_8).split("\n")) {
      Matcher type = CLASS.matcher(line);
      if (type.find()) {
        inside = type.group(1).equals(root.group(2));
      }
      Matcher method = METHOD.matcher(line);
      if (inside && method.find()) {
        methods.add(method.group(1));
      }
    }
    return List.copyOf(methods);
  }

  private static String directory(ZipArchive zip) {
    String name =
        zip.names().stream().filter(entry -> entry.endsWith("/constants.pkl")).findFirst().get();
    return name.substring(0, name.length() - "constants.pkl".length());
  }

  private static String text(ZipArchive zip, String name, java.nio.charset.Charset charset) {
    if (zip.size(name) > MAX_CODE) {
      throw InputException.of("expected at most 16 MiB in entry %s", ZipArchive.printable(name));
    }
    Bytes bytes = zip.read(name);
    return new String(bytes.get(0, (int) bytes.length()), charset);
  }

  /** Whether it holds a state dict, whose architecture can be told. */
  public boolean isCheckpoint() {
    return methods.isEmpty() && !format.startsWith("NumPy");
  }

  /** Elements of all tensors. */
  public long numel() {
    return tensors.stream().mapToLong(Entry::numel).sum();
  }

  /** Everything as plain maps, lists, numbers and text, for JSON. */
  public Map<String, Object> toMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("file", file.toString());
    map.put("bytes", bytes);
    map.put("sha256", sha256);
    map.put("format", format);
    map.put("notes", notes);
    map.put("elements", numel());
    List<Object> entries = new ArrayList<>();
    for (Entry entry : tensors) {
      Map<String, Object> tensor = new LinkedHashMap<>();
      tensor.put("name", entry.name());
      tensor.put("dtype", entry.dtype());
      tensor.put("shape", entry.shape());
      entries.add(tensor);
    }
    map.put("tensors", entries);
    map.put("metadata", metadata);
    map.put(
        "normalization",
        normalization.map(n -> Map.of("mean", n.mean(), "std", n.std())).orElse(null));
    map.put("methods", methods);
    List<Object> candidates = new ArrayList<>();
    for (Networks.Candidate candidate : architectures) {
      Map<String, Object> one = new LinkedHashMap<>();
      one.put("arch", candidate.architecture());
      one.put("reason", candidate.reason());
      one.put("classes", candidate.description().classifier().classCount());
      one.put("input_channels", candidate.description().inputChannels());
      Map<String, Integer> layers = new LinkedHashMap<>();
      candidate.description().stages().forEach(stage -> layers.put(stage.name(), stage.units()));
      one.put("layers", layers);
      candidates.add(one);
    }
    map.put("architectures", candidates);
    return map;
  }
}
