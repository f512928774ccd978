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
    return of(null, layer).build();
  }

  /** Starts the record of a layer's ranking by a method; what is not told stays null. */
  public static Builder of(String method, String layer) {
    return new Builder(method, layer);
  }

  /** Collects a {@link RankingProvenance}; not thread-safe. */
  public static final class Builder {
    private final String method;
    private final String layer;
    private String architecture;
    private String modelSha256;
    private String data;
    private String dataSha256;
    private Integer images;
    private long[] classCounts;
    private String normalization;
    private Boolean signed;
    private String dtype;
    private Long seed;
    private String version;
    private Map<String, Object> parameters;

    private Builder(String method, String layer) {
      this.method = method;
      this.layer = layer;
    }

    /** The network. */
    public Builder model(String architecture, String sha256) {
      this.architecture = architecture;
      modelSha256 = sha256;
      return this;
    }

    /** The probe set, the images used of it, and how many of each class, or null. */
    public Builder data(String name, String sha256, int images, long[] classCounts) {
      data = name;
      dataSha256 = sha256;
      this.images = images;
      this.classCounts = classCounts;
      return this;
    }

    /** How differences were summed: {@code class-mean} or {@code reference}, signed or not. */
    public Builder sums(String normalization, boolean signed) {
      this.normalization = normalization;
      this.signed = signed;
      return this;
    }

    /** Type of the forward pass, and the version of igdefense that computed it. */
    public Builder computed(String dtype, String version) {
      this.dtype = dtype;
      this.version = version;
      return this;
    }

    /** Seed of what was drawn. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /** Further settings of the method. */
    public Builder parameters(Map<String, Object> settings) {
      parameters = settings;
      return this;
    }

    /** The record. */
    public RankingProvenance build() {
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
          parameters);
    }
  }
}
