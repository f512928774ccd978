package io.github.igdefense.training;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Dtype;

/**
 * Settings of one adversarial training run (L∞).
 *
 * @param method {@code n-fgsm} (de Jorge et al. 2022), {@code pgd} (Madry et al. 2018), {@code
 *     trades} (Zhang et al. 2019) or {@code clean}
 * @param width channels of the stem
 * @param epochs passes over the training set
 * @param batchSize images per step
 * @param learningRate peak of the one-cycle schedule
 * @param momentum of SGD
 * @param weightDecay of convolution and classifier weights
 * @param epsilon radius ε in [0,1] pixels
 * @param steps attack steps for {@code pgd} and {@code trades}
 * @param stepSize step of the inner attack, in pixels
 * @param noise start noise as a multiple of ε ({@code n-fgsm}: 2)
 * @param beta weight of the robust term of {@code trades}
 * @param average decay per step of the weights' running average that is kept as the model; 0 for
 *     none
 * @param crop pixels of zero padding for random crops; 0 for none
 * @param flip random horizontal flips
 * @param dtype type of the convolutions' arithmetic: {@code float32}, or {@code bfloat16} where the
 *     processor is fast at it; weights, statistics and momenta are float32 either way
 * @param seed of initial weights, order, crops and attacks
 */
public record TrainingSettings(
    @JsonProperty("method") String method,
    @JsonProperty("width") int width,
    @JsonProperty("epochs") int epochs,
    @JsonProperty("batch_size") int batchSize,
    @JsonProperty("learning_rate") double learningRate,
    @JsonProperty("momentum") double momentum,
    @JsonProperty("weight_decay") double weightDecay,
    @JsonProperty("epsilon") double epsilon,
    @JsonProperty("steps") int steps,
    @JsonProperty("step_size") double stepSize,
    @JsonProperty("noise") double noise,
    @JsonProperty("beta") double beta,
    @JsonProperty("average") double average,
    @JsonProperty("crop") int crop,
    @JsonProperty("flip") boolean flip,
    @JsonProperty("dtype") String dtype,
    @JsonProperty("seed") long seed) {

  /** Checks ranges. */
  public TrainingSettings {
    if (!java.util.List.of("n-fgsm", "pgd", "trades", "clean").contains(method)) {
      throw new InputException(
          "expected training method n-fgsm, pgd, trades or clean, got '" + method + "'");
    }
    atLeast("width", width, 1);
    atLeast("number of epochs", epochs, 1);
    // Batch statistics need two images.
    atLeast("batch size", batchSize, 2);
    positive("learning rate", learningRate);
    positive("epsilon", epsilon);
    atLeast("number of steps", steps, 1);
    positive("step size", stepSize);
    if (Dtype.parse(dtype) == Dtype.FLOAT64) {
      throw new InputException("expected training dtype float32 or bfloat16, got float64");
    }
    notNegative("momentum", momentum);
    notNegative("weight decay", weightDecay);
    notNegative("noise", noise);
    notNegative("beta", beta);
    atLeast("crop", crop, 0);
    if (!(average >= 0 && average < 1)) {
      throw new InputException("expected an averaging decay in [0,1), got " + average);
    }
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new InputException("expected a " + name + " of at least " + least + ", got " + value);
    }
  }

  private static void notNegative(String name, double value) {
    if (!(value >= 0) || Double.isInfinite(value)) {
      throw new InputException("expected a finite " + name + " of 0 or more, got " + value);
    }
  }

  private static void positive(String name, double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new InputException("expected a positive " + name + ", got " + value);
    }
  }

  /**
   * The one-cycle schedule: up to the peak over the first 40 %, down to zero over the rest, both
   * linear.
   */
  public double learningRateAt(long step, long total) {
    double position = (step + 0.5) / total;
    return learningRate * (position < 0.4 ? position / 0.4 : (1 - position) / 0.6);
  }
}
