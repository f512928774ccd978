package io.github.igdefense.report;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;

/**
 * Where the numbers come from: enough to repeat the run and to notice that something else was run.
 *
 * <p>Every text may be null: "not known".
 *
 * @param version version of igdefense
 * @param gitCommit commit it was built from
 * @param modelFile the checkpoint, as given
 * @param modelSha256 its SHA-256, lower-case hexadecimal
 * @param arch the architecture, such as {@code rn18}
 * @param inputNormalization what the model does to images of [0,1] first: a published one's name,
 *     or means and deviations, or "none"
 * @param rankingFile the ranking, as given or where it was written
 * @param rankingSha256 its SHA-256
 * @param dataName the data, as given or by name
 * @param dataSha256 SHA-256 of the images and labels used
 * @param dataPreprocessing what was done to the stored pixels besides scaling to [0,1], or "none"
 * @param imagesAsked images asked for
 * @param imagesUsed images that were there and used
 * @param dtype float32, float64 or bfloat16
 * @param float32Precision highest, or high where the native engine multiplied float32 numbers in
 *     three products; attacks are judged at highest in any case
 * @param engine what computed the network, such as libtorch
 * @param device cpu, or the GPU by name
 * @param threads threads used for computation
 * @param cpu the processor by name
 * @param libtorch version of libtorch
 * @param java version of Java
 * @param seed seed of all random draws
 */
@JsonPropertyOrder({
  "version",
  "gitCommit",
  "modelFile",
  "modelSha256",
  "arch",
  "inputNormalization",
  "rankingFile",
  "rankingSha256",
  "dataName",
  "dataSha256",
  "dataPreprocessing",
  "imagesAsked",
  "imagesUsed",
  "dtype",
  "float32Precision",
  "engine",
  "device",
  "threads",
  "cpu",
  "libtorch",
  "java",
  "seed"
})
public record Provenance(
    String version,
    String gitCommit,
    String modelFile,
    String modelSha256,
    String arch,
    String inputNormalization,
    String rankingFile,
    String rankingSha256,
    String dataName,
    String dataSha256,
    String dataPreprocessing,
    long imagesAsked,
    long imagesUsed,
    String dtype,
    String float32Precision,
    String engine,
    String device,
    int threads,
    String cpu,
    String libtorch,
    String java,
    long seed) {

  /** Starts a provenance; {@code java} is filled in. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects a {@link Provenance}; not thread-safe. */
  public static final class Builder {
    private String version;
    private String gitCommit;
    private String modelFile;
    private String modelSha256;
    private String arch;
    private String inputNormalization;
    private String rankingFile;
    private String rankingSha256;
    private String dataName;
    private String dataSha256;
    private String dataPreprocessing;
    private long imagesAsked;
    private long imagesUsed;
    private String dtype;
    private String float32Precision;
    private String engine;
    private String device;
    private int threads;
    private String cpu;
    private String libtorch;
    private String java = System.getProperty("java.version");
    private long seed;

    private Builder() {}

    /** Version of igdefense, and the commit it was built from (or null). */
    public Builder version(String version, String gitCommit) {
      this.version = version;
      this.gitCommit = gitCommit;
      return this;
    }

    /** The checkpoint: architecture, file as given, SHA-256. */
    public Builder model(String arch, String file, String sha256) {
      this.arch = arch;
      modelFile = file;
      modelSha256 = sha256;
      return this;
    }

    /** What the model does to images of [0,1] first. */
    public Builder inputNormalization(String text) {
      inputNormalization = text;
      return this;
    }

    /** The ranking: file as given or written, SHA-256. */
    public Builder ranking(String file, String sha256) {
      rankingFile = file;
      rankingSha256 = sha256;
      return this;
    }

    /** The data: name, SHA-256 of what was used, images asked for and used. */
    public Builder data(String name, String sha256, long asked, long used) {
      dataName = name;
      dataSha256 = sha256;
      imagesAsked = asked;
      imagesUsed = used;
      return this;
    }

    /** What was done to the stored pixels of the data. */
    public Builder preprocessing(String text) {
      dataPreprocessing = text;
      return this;
    }

    /** The machine: processor, device, threads. */
    public Builder machine(String cpu, String device, int threads) {
      this.cpu = cpu;
      this.device = device;
      this.threads = threads;
      return this;
    }

    /** The arithmetic: element type, what computed the network, version of libtorch. */
    public Builder arithmetic(String dtype, String engine, String libtorch) {
      this.dtype = dtype;
      this.engine = engine;
      this.libtorch = libtorch;
      return this;
    }

    /** The precision of float32 products in effect. */
    public Builder float32Precision(String precision) {
      float32Precision = precision;
      return this;
    }

    /** Seed of all random draws. */
    public Builder seed(long seed) {
      this.seed = seed;
      return this;
    }

    /** The provenance. */
    public Provenance build() {
      return new Provenance(
          version,
          gitCommit,
          modelFile,
          modelSha256,
          arch,
          inputNormalization,
          rankingFile,
          rankingSha256,
          dataName,
          dataSha256,
          dataPreprocessing,
          imagesAsked,
          imagesUsed,
          dtype,
          float32Precision,
          engine,
          device,
          threads,
          cpu,
          libtorch,
          java,
          seed);
    }
  }
}
