package io.github.igdefense.evaluation;

import io.github.igdefense.attack.LogitLosses;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.NoiseSource;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.EagerNetwork;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.function.IntUnaryOperator;
import org.bytedeco.pytorch.Tensor;

/**
 * One model in all the forms that a benchmark compares: float32 (highest, high, medium) and
 * bfloat16, as libtorch's eager mode computes it, and defended (random masks of the penultimate
 * layer; time does not depend on which units they keep).
 *
 * <p>Owns all of it until {@link #close}. Confined to one thread.
 */
public final class BenchmarkModels implements AutoCloseable {
  private static final double SIGMA = 4 / 255.0;

  private final StagedNetwork float32;
  private final StagedNetwork bfloat16;
  private final StagedNetwork high;
  private final StagedNetwork medium; // null where libtorch computes
  private final EagerNetwork eager;
  private final Rng noise;
  private final IgDefense defended;
  private final IgDefense smoothed;
  private final IgDefense smoothedBfloat16;
  private final IgDefense smoothedHigh;
  private final IgDefense smoothedMedium;
  private final long seed;

  /**
   * Opens a model.
   *
   * @param checkpoint null for random weights of the published width, 10 classes (ImageNet's
   *     networks: 1000)
   * @param keep units that the masks keep, of how many there are
   */
  public BenchmarkModels(String architecture, String checkpoint, long seed, IntUnaryOperator keep) {
    this(architecture, checkpoint, 0, seed, keep);
  }

  /** The same with {@code width} channels behind the first convolution; 0: as published. */
  public BenchmarkModels(
      String architecture, String checkpoint, int width, long seed, IntUnaryOperator keep) {
    this.seed = seed;
    int classes = classes(architecture);
    this.eager =
        checkpoint == null
            ? EagerNetwork.random(architecture, 3, width, classes, seed, Dtype.FLOAT32)
            : EagerNetwork.open(architecture, checkpoint, Dtype.FLOAT32);
    this.float32 = open(architecture, checkpoint, width, seed, Dtype.FLOAT32);
    this.bfloat16 = open(architecture, checkpoint, width, seed, Dtype.BFLOAT16);
    this.high = float32.withFloat32Precision(Float32Precision.HIGH);
    this.medium = float32.atFloat32Precision(Float32Precision.MEDIUM).orElse(null);
    this.noise = new Rng(seed);
    MaskableLayer layer = float32.penultimate();
    ClassMasks masks =
        ClassMasks.random(
            layer.name(),
            float32.classCount(),
            layer.units(),
            keep.applyAsInt(layer.units()),
            seed);
    double temperature = IgDefense.DEFAULT_TEMPERATURE;
    this.defended = new IgDefense(float32, masks, temperature, Smoothing.NONE, null);
    this.smoothed =
        new IgDefense(
            float32, masks, temperature, new Smoothing(SIGMA, 1), NoiseSource.fresh(noise));
    this.smoothedBfloat16 = smoothed.withPseudoLabels(bfloat16);
    this.smoothedHigh = medium == null ? null : smoothed.withPseudoLabels(high);
    this.smoothedMedium = medium == null ? null : smoothed.withPseudoLabels(medium);
  }

  /** Classes of a network with random weights. */
  public static int classes(String architecture) {
    return architecture.startsWith("imagenet") ? 1000 : 10;
  }

  private static StagedNetwork open(
      String architecture, String checkpoint, int width, long seed, Dtype dtype) {
    return checkpoint == null
        ? Networks.random(architecture, 3, width, classes(architecture), seed, dtype)
        : Networks.open(architecture, checkpoint, dtype);
  }

  /** The base model in float32. */
  public StagedNetwork float32() {
    return float32;
  }

  /** The base model in bfloat16. */
  public StagedNetwork bfloat16() {
    return bfloat16;
  }

  /** The base model in float32 at precision high; the same as {@link #float32} in libtorch. */
  public StagedNetwork high() {
    return high;
  }

  /** The base model layer by layer, float32. */
  public EagerNetwork eager() {
    return eager;
  }

  /** IG-Defense without smoothing. */
  public IgDefense defended() {
    return defended;
  }

  /** IG-Defense with one draw of noise per image, σ = 4/255. */
  public IgDefense smoothed() {
    return smoothed;
  }

  /** The same with the noisy pass in bfloat16. */
  public IgDefense smoothedBfloat16() {
    return smoothedBfloat16;
  }

  /** The same with the noisy pass at precision high; {@link #smoothed} in libtorch. */
  public IgDefense smoothedHigh() {
    return smoothedHigh == null ? smoothed : smoothedHigh;
  }

  /** The same with the noisy pass at precision medium; {@link #smoothed} in libtorch. */
  public IgDefense smoothedMedium() {
    return smoothedMedium == null ? smoothed : smoothedMedium;
  }

  /** Multiply-accumulates of one image of the usual size. */
  public long macs() {
    return eager.description().macs(float32.imageSize());
  }

  /** Uniform images [n,C,H,W] float32 in the caller's scope. */
  public Tensor images(int n) {
    try (Rng rng = new Rng(seed)) {
      return rng.uniform(
          Dtype.FLOAT32, n, float32.inputChannels(), float32.imageSize(), float32.imageSize());
    }
  }

  /**
   * One call as work: from images to logits, and one value of them read.
   *
   * @param x float32; converted to the classifier's type once
   */
  public static Runnable forward(Classifier classifier, Tensor x) {
    Tensor own = Tensors.to(x, classifier.dtype());
    return () -> read(classifier.logits(own));
  }

  /** One forward and backward pass as work: the cross-entropy's gradient of the images. */
  public static Runnable gradient(DifferentiableClassifier classifier, Tensor x) {
    Tensor own = Tensors.to(x, classifier.dtype());
    long[] classes = new long[Math.toIntExact(x.size(0))];
    Arrays.setAll(classes, i -> i % classifier.classCount());
    Tensor labels = Tensors.of(classes, classes.length);
    return () -> read(classifier.lossGradient(own, LogitLosses.crossEntropy(labels)).gradient());
  }

  /** Reads one value: on devices that compute asynchronously, this waits for the result. */
  private static void read(Tensor result) {
    Tensor value = result;
    while (value.dim() > 0) {
      value = value.select(0, 0);
    }
    value.item_double();
  }

  @Override
  public void close() {
    if (medium != null) {
      smoothedMedium.close();
      smoothedHigh.close();
      medium.close();
    }
    smoothedBfloat16.close();
    smoothed.close();
    defended.close();
    noise.close();
    high.close();
    bfloat16.close();
    float32.close();
    eager.close();
  }
}
