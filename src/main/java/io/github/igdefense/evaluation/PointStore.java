package io.github.igdefense.evaluation;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.Hashes;
import io.github.igdefense.data.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;

/**
 * The finished points of a study on disk, so that a study can be stopped and resumed: one JSON file
 * per point, named by the hash of everything that decides its numbers. Files are written beside
 * their place and moved there, so a full disk or a killed process loses no finished point and
 * leaves no half one.
 *
 * <p>A store belongs to one model: {@code model.json} holds its hash. Not thread-safe; several
 * studies may share a folder one after another.
 */
public final class PointStore {
  private static final String MODEL = "model.json";
  private static final JsonMapper JSON =
      JsonMapper.builder().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).build();

  private final Path folder;
  private final String modelSha256;
  private int resumed;
  private int computed;

  private PointStore(Path folder, String modelSha256) {
    this.folder = folder;
    this.modelSha256 = modelSha256;
  }

  /**
   * Opens a store, or starts one.
   *
   * @param folder where; made if it is missing
   * @param modelSha256 hash of the model's checkpoint
   * @throws InputException if the folder holds points of another model (naming both hashes), or
   *     {@code model.json} is damaged
   * @throws java.io.UncheckedIOException if it cannot be written
   */
  public static PointStore open(Path folder, String modelSha256) {
    Path file = folder.resolve(MODEL);
    if (Files.exists(file)) {
      String found = tree(file).path("model_sha256").asText("");
      if (!found.equals(modelSha256)) {
        throw new InputException(
            "expected the cache of model "
                + modelSha256
                + " in "
                + folder
                + ", found that of model "
                + (found.isEmpty() ? "(no hash)" : found)
                + "; choose another --cache, or delete that folder");
      }
    } else {
      AtomicFiles.writeText(file, JSON.createObjectNode().put("model_sha256", modelSha256) + "\n");
    }
    return new PointStore(folder, modelSha256);
  }

  /** The folder. */
  public Path folder() {
    return folder;
  }

  /** Points that were found finished. */
  public int resumed() {
    return resumed;
  }

  /** Points that were computed. */
  public int computed() {
    return computed;
  }

  /**
   * The result of a point: read where it is finished, else computed and kept.
   *
   * @param parameters everything that decides it besides the model, by name
   * @param type of the result, a type that JSON can hold without loss
   * @throws InputException if the point's file is damaged (naming it)
   * @throws java.io.UncheckedIOException if it cannot be written; those written before stay
   */
  public <T> T point(Map<String, String> parameters, Class<T> type, Supplier<T> work) {
    Map<String, String> sorted = new TreeMap<>(parameters);
    sorted.put("model_sha256", modelSha256);
    sorted.put("result", type.getSimpleName());
    Hashes.Builder hash = Hashes.builder();
    sorted.forEach((name, value) -> hash.text(name).text(value));
    Path file = folder.resolve("point-" + hash.hex().substring(0, 24) + ".json");
    if (Files.exists(file)) {
      T found = read(file, sorted, type);
      resumed++;
      return found;
    }
    T result = work.get();
    ObjectNode node = JSON.createObjectNode();
    node.set("parameters", JSON.valueToTree(sorted));
    node.set("result", JSON.valueToTree(result));
    AtomicFiles.writeText(file, node.toPrettyString() + "\n");
    computed++;
    return result;
  }

  private static <T> T read(Path file, Map<String, String> parameters, Class<T> type) {
    JsonNode node = tree(file);
    if (!node.path("parameters").equals(JSON.valueToTree(parameters))) {
      throw damaged(file, "it describes another point", null);
    }
    try {
      T result = JSON.treeToValue(node.path("result"), type);
      if (result == null) {
        throw damaged(file, "it has no result", null);
      }
      return result;
    } catch (JsonProcessingException e) {
      throw damaged(file, e.getOriginalMessage(), e);
    }
  }

  private static JsonNode tree(Path file) {
    try {
      return JSON.readTree(Files.readString(file));
    } catch (JsonProcessingException e) {
      throw damaged(file, e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new InputException("cannot read " + file + ": " + e.getMessage(), e);
    }
  }

  private static InputException damaged(Path file, String why, Exception cause) {
    return new InputException(
        "expected a finished point of a study in "
            + file
            + ", but "
            + why
            + "; delete that file to compute it again",
        cause);
  }
}
