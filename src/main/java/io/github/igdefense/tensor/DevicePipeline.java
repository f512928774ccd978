package io.github.igdefense.tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DeviceGuardImplInterface;
import org.bytedeco.pytorch.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.EventFlag;

/**
 * Computing on a CUDA device while the next images are on their way to it: a batch is cut into
 * parts; each goes through page-locked memory on a stream of its own, beside the computation of the
 * part before it.
 */
public final class DevicePipeline {
  /** Images of a part: enough to fill a device with one of CIFAR's networks. */
  static final int PART = 64;

  private DevicePipeline() {}

  /**
   * {@code body} of a batch, part by part where that pays: a CUDA device, images on the processor,
   * at least two parts. Elsewhere {@code body} gets the batch as it is. To be used without
   * autograd.
   *
   * @param x images [N,…]
   * @param body from images [M,…] to a result [M,…]; an image's result must not depend on the
   *     others
   * @return [N,…] where x is, in the caller's scope
   */
  public static Tensor map(Device device, Tensor x, UnaryOperator<Tensor> body) {
    if (!device.isCuda() || x.is_cuda() || x.size(0) < 2L * PART) {
      return body.apply(x);
    }
    return Tensors.scoped(() -> Device.CPU.move(overlapped(device, x, body)));
  }

  private static Tensor overlapped(Device device, Tensor x, UnaryOperator<Tensor> body) {
    Tensor[] joined = new Tensor[1];
    CudaRuntime.on(
        device,
        () -> {
          DeviceGuardImplInterface guard = torch.getDeviceGuardImpl(DeviceType.CUDA);
          Stream computing = guard.getStream(device.torch());
          Stream copying = guard.getStreamFromGlobalPool(device.torch());
          List<Tensor> results = new ArrayList<>();
          for (long[] part : parts(x.size(0), PART)) {
            Tensor images =
                Tensors.adopt(
                    uploaded(device, guard, computing, copying, x.narrow(0, part[0], part[1])));
            results.add(body.apply(images));
          }
          TensorVector all = Tensors.vector(results.toArray(Tensor[]::new));
          joined[0] = Tensors.keep(torch.cat(all, 0));
        });
    return Tensors.adopt(joined[0]);
  }

  /** A part on the device; the computing stream waits for it, the processor does not. */
  private static Tensor uploaded(
      Device device,
      DeviceGuardImplInterface guard,
      Stream computing,
      Stream copying,
      Tensor part) {
    byte index = (byte) device.index();
    guard.exchangeStream(copying);
    try (PointerScope scope = new PointerScope();
        PointerPointer<Pointer> event = new PointerPointer<>(1)) {
      event.put(0, (Pointer) null);
      Tensor there = Tensors.keep(device.move(part.contiguous()));
      guard.record(event, copying, index, EventFlag.PYTORCH_DEFAULT);
      guard.block(event.get(0), computing);
      guard.destroyEvent(event.get(0), index);
      // The memory belongs to the copying stream, and must not be reused before the other is done.
      there.record_stream(computing);
      return there;
    } finally {
      guard.exchangeStream(computing);
    }
  }

  /** First image and number of images of each part; the last may be smaller. */
  static List<long[]> parts(long images, int size) {
    List<long[]> parts = new ArrayList<>();
    for (long from = 0; from < images; from += size) {
      parts.add(new long[] {from, Math.min(size, images - from)});
    }
    return parts;
  }
}
