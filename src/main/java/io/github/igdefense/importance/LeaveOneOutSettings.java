package io.github.igdefense.importance;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Everything that decides the bytes of a leave-one-out ranking, on one kind of processor with one
 * number of threads. Shards and resumed runs must agree in all of it.
 *
 * @param architecture such as {@code rn18}
 * @param modelSha256 hash of the checkpoint
 * @param layer name of the layer
 * @param units U
 * @param classes K
 * @param data name of the probe set
 * @param dataSha256 its hash
 * @param images its size N
 * @param normalization {@code class-mean} or {@code reference}
 * @param signed whether differences keep their sign
 * @param dtype of the forward pass
 * @param batchSize images per prefix
 * @param blockSize pairs (unit, image) per suffix; 0 at the penultimate layer
 * @param unitGroup units whose pairs fill blocks together; U at the penultimate layer
 * @param version of igdefense
 */
public record LeaveOneOutSettings(
    @JsonProperty("architecture") String architecture,
    @JsonProperty("model_sha256") String modelSha256,
    @JsonProperty("layer") String layer,
    @JsonProperty("units") int units,
    @JsonProperty("classes") int classes,
    @JsonProperty("data") String data,
    @JsonProperty("data_sha256") String dataSha256,
    @JsonProperty("images") int images,
    @JsonProperty("normalization") String normalization,
    @JsonProperty("signed") boolean signed,
    @JsonProperty("dtype") String dtype,
    @JsonProperty("batch_size") int batchSize,
    @JsonProperty("block_size") int blockSize,
    @JsonProperty("unit_group") int unitGroup,
    @JsonProperty("version") String version) {

  /** Number of batches. */
  int chunks() {
    return (images + batchSize - 1) / batchSize;
  }

  /** Number of groups of units. */
  int groups() {
    return (units + unitGroup - 1) / unitGroup;
  }

  /** What differs, one {@code name: expected …, got …} each; empty if nothing does. */
  List<String> differences(LeaveOneOutSettings other) {
    List<String> wrong = new ArrayList<>();
    compare(wrong, "architecture", architecture, other.architecture);
    compare(wrong, "model_sha256", modelSha256, other.modelSha256);
    compare(wrong, "layer", layer, other.layer);
    compare(wrong, "units", units, other.units);
    compare(wrong, "classes", classes, other.classes);
    compare(wrong, "data_sha256", dataSha256, other.dataSha256);
    compare(wrong, "images", images, other.images);
    compare(wrong, "normalization", normalization, other.normalization);
    compare(wrong, "signed", signed, other.signed);
    compare(wrong, "dtype", dtype, other.dtype);
    compare(wrong, "batch_size", batchSize, other.batchSize);
    compare(wrong, "block_size", blockSize, other.blockSize);
    compare(wrong, "unit_group", unitGroup, other.unitGroup);
    compare(wrong, "version", version, other.version);
    return wrong;
  }

  private static void compare(List<String> wrong, String name, Object expected, Object got) {
    if (!Objects.equals(expected, got)) {
      wrong.add(name + ": expected " + expected + ", got " + got);
    }
  }

  /** The provenance of the ranking they give. */
  RankingProvenance provenance(long[] classCounts) {
    Map<String, Object> parameters = new LinkedHashMap<>();
    parameters.put("batch_size", batchSize);
    if (blockSize > 0) {
      parameters.put("block_size", blockSize);
      parameters.put("unit_group", unitGroup);
    }
    return RankingProvenance.of("loir", layer)
        .model(architecture, modelSha256)
        .data(data, dataSha256, images, classCounts)
        .sums(normalization, signed)
        .computed(dtype, version)
        .parameters(parameters)
        .build();
  }
}
