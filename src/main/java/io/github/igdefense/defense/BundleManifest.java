package io.github.igdefense.defense;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What {@code manifest.json} of a bundle says. Immutable.
 *
 * @param format {@link #FORMAT}
 * @param version {@link #VERSION}, or {@link #OLDEST_VERSION} without {@code arithmetic}
 * @param igdefense version of the writer
 * @param model the base model
 * @param preprocessing of decoded images, a name that {@code data.Preprocessing} knows
 * @param classNames one per class, or empty
 * @param defense settings of the defense
 * @param provenance where model and masks come from, free text by key
 * @param arithmetic of its passes; null (and left out) where all compute in the model's type at
 *     highest precision
 * @param entries the other entries of the archive by name
 */
public record BundleManifest(
    @JsonProperty("format") String format,
    @JsonProperty("version") int version,
    @JsonProperty("igdefense") String igdefense,
    @JsonProperty("model") Model model,
    @JsonProperty("preprocessing") String preprocessing,
    @JsonProperty("class_names") List<String> classNames,
    @JsonProperty("defense") Defense defense,
    @JsonProperty("provenance") Map<String, String> provenance,
    @JsonProperty("arithmetic") @JsonInclude(JsonInclude.Include.NON_NULL) Arithmetic arithmetic,
    @JsonProperty("entries") Map<String, Entry> entries) {
  /** What every bundle is called inside. */
  public static final String FORMAT = "igdefense-bundle";

  /** The newest version that is written and read. */
  public static final int VERSION = 2;

  /**
   * The oldest version that is read; it knows no {@link Arithmetic}, and is written where there is
   * none, so that older readers open what they can compute.
   */
  public static final int OLDEST_VERSION = 1;

  /** Copies lists and maps, in their order. */
  public BundleManifest {
    classNames = classNames == null ? List.of() : List.copyOf(classNames);
    provenance = new LinkedHashMap<>(provenance);
    entries = new LinkedHashMap<>(entries);
  }

  /**
   * The base model.
   *
   * @param architecture as {@code --arch} takes it
   * @param classCount K
   * @param channels of an image
   * @param height rows of an image
   * @param width columns of an image
   * @param normalization what the model does to images of [0,1] first; null for nothing
   * @param dtype arithmetic by default: float32, float64 or bfloat16
   */
  public record Model(
      @JsonProperty("architecture") String architecture,
      @JsonProperty("class_count") int classCount,
      @JsonProperty("channels") int channels,
      @JsonProperty("height") int height,
      @JsonProperty("width") int width,
      @JsonProperty("input_normalization") Normalization normalization,
      @JsonProperty("dtype") String dtype) {}

  /**
   * (x − mean) / std per channel, or one value for all.
   *
   * @param mean means
   * @param std deviations
   */
  public record Normalization(
      @JsonProperty("mean") List<Double> mean, @JsonProperty("std") List<Double> std) {}

  /**
   * Settings of the defense.
   *
   * @param layer the masked layer
   * @param units U of that layer
   * @param keep units kept per class
   * @param masks where the masks come from, such as {@code loir}
   * @param temperature τ
   * @param sigma σ of the first pass's noise, 0 for none
   * @param samples draws per image
   * @param seed of the noise
   */
  public record Defense(
      @JsonProperty("layer") String layer,
      @JsonProperty("units") int units,
      @JsonProperty("keep") int keep,
      @JsonProperty("masks") String masks,
      @JsonProperty("temperature") double temperature,
      @JsonProperty("smoothing_sigma") double sigma,
      @JsonProperty("smoothing_samples") int samples,
      @JsonProperty("seed") long seed) {}

  /**
   * How the passes compute, where not all of it is the model's type at highest precision.
   *
   * @param float32Precision of float32 products: highest or high
   * @param pseudoLabelDtype type of the noisy images' pass: the model's, or bfloat16
   * @param pseudoLabelPrecision precision of that pass where it is float32: as float32Precision, or
   *     high
   */
  public record Arithmetic(
      @JsonProperty("float32_precision") String float32Precision,
      @JsonProperty("pseudo_label_dtype") String pseudoLabelDtype,
      @JsonProperty("pseudo_label_precision") String pseudoLabelPrecision) {}

  /**
   * An entry of the archive.
   *
   * @param bytes its length
   * @param sha256 hash of its content, lower-case hex
   */
  public record Entry(@JsonProperty("bytes") long bytes, @JsonProperty("sha256") String sha256) {}
}
