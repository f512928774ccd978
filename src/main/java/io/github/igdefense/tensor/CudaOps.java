package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import io.github.igdefense.tensor.FusedOps.MaskedHead;
import io.github.igdefense.tensor.FusedOps.MaskedHeadGradient;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * {@link FusedOps} and {@link ConceptOps} on a CUDA device: our CUDA kernels on libtorch's current
 * stream of the device that the first argument is on. Calls return before the results are there, as
 * libtorch's own do; whoever reads them on the processor waits.
 *
 * <p>Never yet run on a GPU by its authors; compared with the processor by the tests tagged {@code
 * gpu}.
 */
final class CudaOps {
  private CudaOps() {}

  static MaskedHead maskedHead(
      Tensor activation,
      Tensor weight,
      Tensor bias,
      Tensor masks,
      double temperature,
      Tensor firstLogits) {
    Device device = Device.of(activation);
    Tensor[] out = new Tensor[5];
    CudaRuntime.on(
        device,
        () -> {
          ScalarType type = weight.scalar_type().intern();
          Strided a = Strided.of(activation, type);
          long k = weight.size(0);
          Tensor given =
              firstLogits == null ? null : device.move(firstLogits).to(type).contiguous();
          Tensor[] made = {
            device.empty(type, a.n(), k),
            device.empty(type, a.n(), a.u()),
            given != null ? given : device.empty(type, a.n(), k),
            device.empty(type, a.n(), k),
            device.empty(type, a.n(), a.u())
          };
          CudaRuntime.check(
              IgdKernels.igd_jni_cuda_masked_head_forward(
                  a.dtype(),
                  a.address(),
                  a.strideN(),
                  a.strideU(),
                  a.strideS(),
                  a.n(),
                  a.u(),
                  a.s(),
                  address(device, weight),
                  address(device, bias),
                  k,
                  address(device, masks),
                  temperature,
                  address(device, given),
                  Tensors.address(made[1]),
                  given == null ? Tensors.address(made[2]) : 0,
                  Tensors.address(made[3]),
                  Tensors.address(made[4]),
                  Tensors.address(made[0]),
                  CudaRuntime.currentStream(device)));
          for (int i = 0; i < out.length; i++) {
            out[i] = Tensors.keep(made[i]);
          }
        });
    for (Tensor tensor : out) {
      Tensors.adopt(tensor);
    }
    return new MaskedHead(out[0], out[1], out[2], out[3], out[4]);
  }

  static MaskedHeadGradient maskedHeadBackward(
      Tensor gradLogits,
      MaskedHead head,
      Tensor activation,
      Tensor weight,
      Tensor masks,
      double temperature,
      boolean ownFirstLogits) {
    Device device = Device.of(activation);
    Tensor[] out = new Tensor[2];
    CudaRuntime.on(
        device,
        () -> {
          ScalarType type = weight.scalar_type().intern();
          Tensor g = device.move(gradLogits).to(type).contiguous();
          long[] shape = Tensors.shape(activation);
          Tensor target =
              shape.length == 4
                  ? device.empty(type, Tensors.channelsLast(), shape)
                  : device.empty(type, shape);
          Strided a = Strided.of(target, type);
          long k = weight.size(0);
          Tensor gradFirst = device.empty(type, a.n(), k);
          CudaRuntime.check(
              IgdKernels.igd_jni_cuda_masked_head_backward(
                  a.dtype(),
                  Tensors.address(g),
                  address(device, head.pooled()),
                  address(device, head.softWeights()),
                  address(device, head.softMask()),
                  address(device, weight),
                  address(device, masks),
                  temperature,
                  a.n(),
                  a.u(),
                  a.s(),
                  k,
                  ownFirstLogits ? 1 : 0,
                  a.address(),
                  a.strideN(),
                  a.strideU(),
                  a.strideS(),
                  Tensors.address(gradFirst),
                  CudaRuntime.currentStream(device)));
          out[0] = Tensors.keep(target.to(activation.scalar_type().intern()));
          out[1] = Tensors.keep(gradFirst);
        });
    Tensors.adopt(out[0]);
    Tensors.adopt(out[1]);
    return new MaskedHeadGradient(out[0], ownFirstLogits ? null : out[1]);
  }

  /** The batch's own sums on the device, then added to the caller's, wherever they are. */
  static void looPenultimateAccumulate(
      Tensor activation, Tensor labels, boolean signed, Tensor classSums, Tensor classCounts) {
    Device device = Device.of(activation);
    CudaRuntime.on(
        device,
        () -> {
          ScalarType type = activation.scalar_type().intern();
          Strided a = Strided.of(activation, type == ScalarType.Double ? type : ScalarType.Float);
          Tensor y = device.move(labels).contiguous();
          Tensor sums = device.zeros(ScalarType.Double, Tensors.shape(classSums));
          Tensor counts = device.zeros(ScalarType.Long, Tensors.shape(classCounts));
          Tensor badLabel = device.zeros(ScalarType.Long, 1);
          CudaRuntime.check(
              IgdKernels.igd_jni_cuda_loo_penultimate_accumulate(
                  a.dtype(),
                  a.address(),
                  a.strideN(),
                  a.strideU(),
                  a.strideS(),
                  a.n(),
                  a.u(),
                  a.s(),
                  Tensors.address(y),
                  classSums.size(0),
                  signed ? 1 : 0,
                  Tensors.address(sums),
                  Tensors.address(counts),
                  Tensors.address(badLabel),
                  CudaRuntime.currentStream(device)));
          long bad = badLabel.item_long();
          if (bad != 0) {
            throw new IllegalArgumentException(
                "expected labels from 0 to "
                    + (classSums.size(0) - 1)
                    + ", got another at image "
                    + (bad - 1)
                    + " of the batch");
          }
          classSums.add_(Device.of(classSums).move(sums));
          classCounts.add_(Device.of(classCounts).move(counts));
        });
  }

  /** The importance on the weight's device. */
  static Tensor looPenultimateFinish(
      Tensor weight, Tensor classSums, Tensor classCounts, boolean signed, boolean reference) {
    Device device = Device.of(weight);
    Tensor importance = device.empty(ScalarType.Double, weight.size(1), weight.size(0));
    CudaRuntime.on(
        device,
        () -> {
          Tensor sums = device.move(classSums).contiguous();
          Tensor counts = device.move(classCounts).contiguous();
          CudaRuntime.check(
              IgdKernels.igd_jni_cuda_loo_penultimate_finish(
                  weight.scalar_type().intern() == ScalarType.Double
                      ? FusedOps.FLOAT64
                      : FusedOps.FLOAT32,
                  Tensors.address(weight),
                  weight.size(0),
                  weight.size(1),
                  Tensors.address(sums),
                  Tensors.address(counts),
                  signed ? 1 : 0,
                  reference ? 1 : 0,
                  Tensors.address(importance),
                  CudaRuntime.currentStream(device)));
        });
    return importance;
  }

  /**
   * {@link ConceptOps#scores} on the device of {@code similarity}; the result is there, too.
   *
   * @throws IllegalArgumentException if a score is not finite, because a cosine is not
   */
  static Tensor conceptScores(
      Tensor similarity,
      double scale,
      Tensor labels,
      Tensor images,
      double[] rankWeight,
      double minProb,
      double lambda) {
    Device device = Device.of(similarity);
    Tensor out = device.empty(ScalarType.Double, images.size(0), similarity.size(1));
    CudaRuntime.on(
        device,
        () -> {
          Tensor p = ConceptOps.dense(similarity);
          Tensor y = labels == null ? null : device.move(labels).contiguous();
          Tensor indices = device.move(images).contiguous();
          Tensor weight = device.move(Tensors.of(rankWeight, rankWeight.length));
          long bytes = IgdKernels.igd_jni_cuda_cdir_score_workspace(ConceptOps.dtype(p), p.size(0));
          Tensor workspace = device.empty(ScalarType.Byte, Math.max(16, bytes));
          CudaRuntime.check(
              IgdKernels.igd_jni_cuda_cdir_score(
                  ConceptOps.dtype(p),
                  Tensors.address(p),
                  p.size(0),
                  p.size(1),
                  scale,
                  y == null ? 0 : Tensors.address(y),
                  Tensors.address(indices),
                  indices.size(0),
                  indices.size(1),
                  Tensors.address(weight),
                  minProb,
                  lambda,
                  Tensors.address(out),
                  Tensors.address(workspace),
                  CudaRuntime.currentStream(device)));
          if (!torch.isfinite(out).all().item_bool()) {
            throw new IllegalArgumentException(
                "expected finite cosines, got some that are not: compute on the processor to learn"
                    + " which");
          }
        });
    return out;
  }

  /** The address of a tensor that has to be on the device; 0 for null. */
  private static long address(Device device, Tensor tensor) {
    if (tensor == null) {
      return 0;
    }
    if (!Device.of(tensor).equals(device)) {
      throw new IllegalArgumentException(
          "expected a tensor on " + device + ", got one on " + Device.of(tensor));
    }
    return Tensors.address(tensor);
  }
}
