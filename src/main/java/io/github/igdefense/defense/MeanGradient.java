package io.github.igdefense.defense;

import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.model.DifferentiableClassifier.LossGradient;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.Recording;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.FusedOps.MaskedHead;
import io.github.igdefense.tensor.FusedOps.MaskedHeadGradient;
import io.github.igdefense.tensor.Tensors;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The mean gradient of a smoothed defense over several draws of its noise. The second pass's images
 * are the same in every draw, so their activation is recorded once, and as a backward pass is
 * linear, the sum of what the draws hand back to it goes back once. The noisy images of several
 * draws share a pass while they are few. Confined to one call.
 */
final class MeanGradient {
  /** Noisy images of one pass: enough that the network's weights are not what costs. */
  private static final int IMAGES_PER_PASS = 64;

  private final IgDefense defense;
  private final LogitLoss loss;
  private final Device origin;
  private final Tensor clean;
  private final Tensor gradActivation;
  private final Tensor throughNoise;
  private final long images;
  private final int draws;
  private final Tensor logits;
  private final Tensor losses;

  /** Sums, logits and losses in the innermost scope. */
  private MeanGradient(IgDefense defense, Tensor x, LogitLoss loss, Tensor clean, Dtype type) {
    this.defense = defense;
    this.loss = loss;
    this.origin = Device.of(x);
    this.clean = clean;
    this.gradActivation = Tensors.scoped(() -> Tensors.to(torch.zeros_like(clean), type));
    this.throughNoise = Tensors.scoped(() -> Tensors.to(torch.zeros_like(x), type));
    this.images = x.size(0);
    this.draws = defense.smoothing().samples();
    this.logits = zeros(type, images, defense.classCount());
    this.losses = zeros(type, images);
  }

  private Tensor zeros(Dtype type, long... shape) {
    return Tensors.scoped(
        () -> origin.move(torch.zeros(shape, Tensors.options(type.scalarType()))));
  }

  /**
   * As {@link IgDefense#meanLossGradient}.
   *
   * @param defense smoothed, at the penultimate layer
   * @param samples draws of all the noise of an evaluation
   */
  static LossGradient of(IgDefense defense, Tensor x, LogitLoss loss, int samples) {
    Tensor[] out = new Tensor[3];
    Dtype type = defense.dtype() == Dtype.FLOAT64 ? Dtype.FLOAT64 : Dtype.FLOAT32;
    try (PointerScope scope = new PointerScope();
        Recording recording = defense.network().recordPrefix(x.detach(), defense.layer())) {
      MeanGradient sums = new MeanGradient(defense, x, loss, recording.activation(), type);
      long each = sums.images * sums.draws;
      int together = (int) Math.max(1, Math.min(samples, IMAGES_PER_PASS / Math.max(each, 1)));
      for (int done = 0; done < samples; done += together) {
        sums.add(x, Math.min(together, samples - done));
      }
      Tensor arriving = sums.gradActivation.div_(Tensors.scalar(samples));
      Tensor direct = recording.inputGradient(arriving.to(sums.clean.scalar_type()), false);
      Tensor mean = sums.throughNoise.div_(Tensors.scalar(samples)).add_(direct);
      out[0] = Tensors.keep(sums.logits);
      out[1] = Tensors.keep(sums.losses);
      out[2] = Tensors.keep(mean);
    }
    return new LossGradient(Tensors.adopt(out[0]), Tensors.adopt(out[1]), Tensors.adopt(out[2]));
  }

  /** Adds the gradients of the next evaluations, their noisy images in one pass. */
  private void add(Tensor x, int evaluations) {
    try (PointerScope scope = new PointerScope()) {
      TensorVector noisy = new TensorVector();
      for (int s = 0; s < evaluations; s++) {
        noisy.push_back(defense.noisyImages(x));
      }
      try (ForwardPass pass = defense.recordNoisy(torch.cat(noisy, 0))) {
        TensorVector gradFirst = new TensorVector();
        for (int s = 0; s < evaluations; s++) {
          Tensor first = pass.logits().narrow(0, s * images * draws, images * draws);
          gradFirst.push_back(second(Smoothing.meanOfDraws(first, draws)));
        }
        Tensor back = pass.gradient(origin.move(torch.cat(gradFirst, 0)));
        long[] shape = Tensors.shape(back);
        throughNoise.add_(
            back.reshape(evaluations, images, draws, shape[1], shape[2], shape[3])
                .sum(new long[] {0, 2}));
      }
    }
  }

  /**
   * The masked head of one evaluation and its backward: keeps logits and losses, adds to what
   * arrives at the clean activation, and returns what arrives at each noisy image's logits.
   */
  private Tensor second(Tensor firstLogits) {
    return Tensors.scoped(
        () -> {
          MaskedHead head = defense.head(clean, firstLogits);
          LossGradient atLogits =
              Gradients.of(origin.move(head.logits()), UnaryOperator.identity(), loss);
          logits.copy_(atLogits.logits());
          losses.copy_(atLogits.loss());
          MaskedHeadGradient gradient =
              defense.headBackward(atLogits.gradient(), head, clean, false);
          gradActivation.add_(gradient.activation());
          return Smoothing.forEachDraw(gradient.firstLogits().div(Tensors.scalar(draws)), draws);
        });
  }
}
