package io.github.igdefense.importance;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Map;

/**
 * Where a ranking comes from. Unknown values are null (a directory of unit files carries none).
 *
 * @param method {@code loir}, {@code cdir} or {@code random}
 * @param architecture such as {@code rn18}
 * @param modelSha256 hash of the checkpoint
 * @param layer name of the layer
 * @param data name of the probe set
 * @param dataSha256 hash of the probe set
 * @param images images used
 * @param classCounts images per class
 * @param normalization {@code class-mean} or {@code reference}
 * @param signed whether differences are signed
 * @param dtype type of the forward pass
 * @param seed of a random ranking
 * @param version of igdefense
 * @param parameters further settings of the method, such as {@code block_size}; or null
 */
public record RankingProvenance(
    @JsonProperty("method") String method,
    @JsonProperty("architecture") String architecture,
    @JsonProperty("model_sha256") String modelSha256,
    @JsonProperty("layer") String layer,
    @JsonProperty("data") String data,
    @JsonProperty("data_sha256") String dataSha256,
    @JsonProperty("images") Integer images,
    @JsonProperty("class_counts") long[] classCounts,
    @JsonProperty("normalization") String normalization,
    @JsonProperty("signed") Boolean signed,
    @JsonProperty("dtype") String dtype,
    @JsonProperty("seed") Long seed,
    @JsonProperty("version") String version,
    @JsonProperty("parameters") @JsonInclude(JsonInclude.Include.NON_NULL)
        Map<String, Object> parameters) {

  /** All of it. */
  @JsonCreator
  public RankingProvenance {}

  /** Without further parameters. */
  public RankingProvenance(
      String method,
      String architecture,
      String modelSha256,
      String layer,
      String data,
      String dataSha256,
      Integer images,
      long[] classCounts,
      String normalization,
      Boolean signed,
      String dtype,
      Long seed,
      String version) {
    this(
        method,
        architecture,
        modelSha256,
        layer,
        data,
        dataSha256,
        images,
        classCounts,
        normalization,
        signed,
        dtype,
        seed,
        version,
        null);
  }

  /** The same with other parameters. */
  public RankingProvenance with(Map<String, Object> changed) {
    return new RankingProvenance(
        method,
        architecture,
        modelSha256,
        layer,
        data,
        dataSha256,
        images,
        classCounts,
        normalization,
        signed,
        dtype,
        seed,
        version,
        changed);
  }

  /** What is known of a ranking without a record: nothing but the layer. */
  public static RankingProvenance unknown(String layer) {
    return new RankingProvenance(
        null, null, null, layer, null, null, null, null, null, null, null, null, null);
  }
}
