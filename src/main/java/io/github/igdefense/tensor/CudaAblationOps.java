package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import io.github.igdefense.tensor.AblationOps.Pairs;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * {@link AblationOps} on a CUDA device, as {@link CudaOps}: our kernels on libtorch's current
 * stream; pairs and labels are moved to the device.
 */
final class CudaAblationOps {
  private CudaAblationOps() {}

  static Tensor convolution(
      Tensor base,
      Tensor input,
      Tensor removed,
      Tensor packed,
      long kernel,
      long stride,
      long padding,
      long groups,
      boolean relu,
      Pairs pairs) {
    Device device = Device.of(base);
    ScalarType type = base.scalar_type().intern();
    Tensor out =
        device.empty(
            type, Tensors.channelsLast(), pairs.size(), base.size(1), base.size(2), base.size(3));
    CudaRuntime.on(
        device,
        () -> {
          Tensor b = AblationOps.channelsLast(base);
          Tensor e = AblationOps.channelsLast(input);
          Tensor gone = removed == null ? null : device.move(removed);
          Tensor weight = device.move(packed);
          Tensor units = device.move(pairs.units());
          Tensor images = device.move(pairs.images());
          CudaRuntime.check(
              IgdKernels.igd_jni_cuda_loo_ablate_convolution(
                  AblationOps.code(type),
                  Tensors.address(b),
                  b.size(0),
                  b.size(2),
                  b.size(3),
                  b.size(1),
                  Tensors.address(e),
                  e.size(2),
                  e.size(3),
                  e.size(1),
                  gone == null ? 0 : Tensors.address(gone),
                  Tensors.address(weight),
                  kernel,
                  stride,
                  padding,
                  groups,
                  relu ? 1 : 0,
                  Tensors.address(units),
                  Tensors.address(images),
                  pairs.size(),
                  Tensors.address(out),
                  CudaRuntime.currentStream(device)));
        });
    return out;
  }

  static Tensor identity(Tensor activation, Pairs pairs) {
    Device device = Device.of(activation);
    ScalarType type = activation.scalar_type().intern();
    Tensor out =
        device.empty(
            type,
            Tensors.channelsLast(),
            pairs.size(),
            activation.size(1),
            activation.size(2),
            activation.size(3));
    CudaRuntime.on(
        device,
        () -> {
          Tensor a = AblationOps.channelsLast(activation);
          Tensor units = device.move(pairs.units());
          Tensor images = device.move(pairs.images());
          CudaRuntime.check(
              IgdKernels.igd_jni_cuda_loo_ablate_identity(
                  AblationOps.code(type),
                  Tensors.address(a),
                  a.size(0),
                  a.size(2) * a.size(3),
                  a.size(1),
                  Tensors.address(units),
                  Tensors.address(images),
                  pairs.size(),
                  Tensors.address(out),
                  CudaRuntime.currentStream(device)));
        });
    return out;
  }

  static double[] differences(
      Tensor logits, Tensor base, Tensor labels, Pairs pairs, boolean signed) {
    Device device = Device.of(logits);
    double[][] values = new double[1][];
    CudaRuntime.on(
        device,
        () -> {
          ScalarType type = logits.scalar_type().intern();
          Tensor without = logits.contiguous();
          Tensor with = device.move(base).contiguous();
          Tensor y = device.move(labels);
          Tensor images = device.move(pairs.images());
          Tensor out = device.empty(ScalarType.Double, pairs.size());
          CudaRuntime.check(
              IgdKernels.igd_jni_cuda_loo_differences(
                  AblationOps.code(type),
                  Tensors.address(without),
                  without.size(1),
                  Tensors.address(with),
                  Tensors.address(y),
                  with.size(0),
                  Tensors.address(images),
                  pairs.size(),
                  signed ? 1 : 0,
                  Tensors.address(out),
                  CudaRuntime.currentStream(device)));
          values[0] = Tensors.toDoubles(out);
        });
    for (int i = 0; i < values[0].length; i++) {
      if (!Double.isFinite(values[0][i])) {
        throw new IllegalArgumentException(
            "expected finite differences, got " + values[0][i] + " for pair " + i);
      }
    }
    return values[0];
  }
}
