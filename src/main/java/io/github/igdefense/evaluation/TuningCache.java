package io.github.igdefense.evaluation;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.Hashes;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.CpuTopology;
import io.github.igdefense.tensor.Version;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * Tunings of this user, one file per model and machine: {@code tune-<hash>.json} in {@code
 * $XDG_CACHE_HOME/igdefense} ({@code ~/.cache/igdefense} without that variable; the system property
 * {@value #PROPERTY} names another folder). Files are written whole or not at all. Thread-safe.
 */
public final class TuningCache {
  /** System property with the folder to use instead. */
  public static final String PROPERTY = "igd.cache";

  private static final String FORMAT = "igdefense-tuning-1";
  private static final int MOST_BATCH = 65536;
  private static final int MOST_THREADS = 1024;
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path folder;

  /** The cache in a folder, which is made when it is first written to. */
  public TuningCache(Path folder) {
    this.folder = folder;
  }

  /** The cache of this user. */
  public static TuningCache ofUser() {
    String given = System.getProperty(PROPERTY);
    if (given != null && !given.isBlank()) {
      return new TuningCache(Path.of(given));
    }
    String xdg = System.getenv("XDG_CACHE_HOME");
    // The specification of these variables says to ignore relative paths.
    Path base =
        xdg != null && Path.of(xdg).isAbsolute()
            ? Path.of(xdg)
            : Path.of(System.getProperty("user.home"), ".cache");
    return new TuningCache(base.resolve("igdefense"));
  }

  /** What a tuning is valid for: the model, its arithmetic, the machine and the versions. */
  public static Map<String, String> key(StagedNetwork network) {
    Map<String, String> key = new TreeMap<>();
    key.put("architecture", network.architecture());
    key.put("model_sha256", network.sha256());
    key.put("dtype", network.arithmetic());
    key.put("engine", network.engine());
    key.put("image_size", Integer.toString(network.imageSize()));
    key.put("cpu", CpuTopology.modelName());
    key.put("cores", Integer.toString(CpuTopology.physicalCores()));
    key.put("version", Version.get());
    key.put("libtorch", Version.libtorch());
    return key;
  }

  /** Where the tuning of a key is kept. */
  public Path file(Map<String, String> key) {
    Hashes.Builder hash = Hashes.builder();
    new TreeMap<>(key).forEach((name, value) -> hash.text(name).text(value));
    return folder.resolve("tune-" + hash.hex().substring(0, 16) + ".json");
  }

  /** Writes a tuning, over an older one. Returns the file. */
  public Path write(Map<String, String> key, Tuning tuning) {
    ObjectNode root = JSON.createObjectNode();
    root.put("format", FORMAT);
    root.set("key", JSON.valueToTree(new TreeMap<>(key)));
    root.set("tuning", JSON.valueToTree(tuning));
    Path file = file(key);
    try {
      AtomicFiles.writeText(
          file, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n");
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
    return file;
  }

  /**
   * The tuning of a key; empty where there is none, or where the file is damaged or of another key:
   * then {@code warn} hears of it, and nothing fails.
   */
  public Optional<Tuning> read(Map<String, String> key, Consumer<String> warn) {
    Path file = file(key);
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    try {
      JsonNode root = JSON.readTree(Files.readString(file));
      if (!root.path("format").asText().equals(FORMAT)
          || !root.path("key").equals(JSON.valueToTree(new TreeMap<>(key)))) {
        throw new IOException("it is of another format or model");
      }
      Tuning tuning = JSON.treeToValue(root.path("tuning"), Tuning.class);
      if (tuning == null
          || tuning.batchSize() < 1
          || tuning.batchSize() > MOST_BATCH
          || tuning.threads() < 1
          || tuning.threads() > MOST_THREADS) {
        throw new IOException("its values are out of range");
      }
      return Optional.of(tuning);
    } catch (IOException e) {
      warn.accept(
          "the tuning in "
              + file
              + " cannot be used ("
              + e.getMessage().lines().findFirst().orElse("damaged")
              + "); igd bench --tune writes it anew");
      return Optional.empty();
    }
  }
}
