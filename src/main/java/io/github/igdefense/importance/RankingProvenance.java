package io.github.igdefense.importance;

import com.fasterxml.jackson.annotation.JsonProperty;

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
    @JsonProperty("version") String version) {

  /** What is known of a ranking without a record: nothing but the layer. */
  public static RankingProvenance unknown(String layer) {
    return new RankingProvenance(
        null, null, null, layer, null, null, null, null, null, null, null, null, null);
  }
}
