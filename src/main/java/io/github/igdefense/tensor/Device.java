package io.github.igdefense.tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Where tensors live and are computed with: the processor, or one CUDA device. A plain value;
 * {@link CudaRuntime#require} says whether this machine has it.
 *
 * @param index of the CUDA device, −1 for the processor
 */
public record Device(int index) {
  /** The processor. */
  public static final Device CPU = new Device(-1);

  private static final int MOST_DEVICES = 128;
  private static final Map<Device, org.bytedeco.pytorch.Device> NATIVE = new ConcurrentHashMap<>();

  /**
   * @throws IllegalArgumentException for an index below −1 or above 127
   */
  public Device {
    if (index < -1 || index >= MOST_DEVICES) {
      throw new IllegalArgumentException("expected a CUDA device 0 to 127, got " + index);
    }
  }

  /** The CUDA device of this index. */
  public static Device cuda(int index) {
    if (index < 0) {
      throw new IllegalArgumentException("expected a CUDA device 0 to 127, got " + index);
    }
    return new Device(index);
  }

  /**
   * Parses {@code cpu}, {@code cuda} (the first) or {@code cuda:i}.
   *
   * @throws IllegalArgumentException for anything else
   */
  public static Device parse(String text) {
    if (text.equals("cpu")) {
      return CPU;
    }
    if (text.matches("cuda(:\\d{1,3})?")) {
      return cuda(text.equals("cuda") ? 0 : Integer.parseInt(text.substring("cuda:".length())));
    }
    throw new IllegalArgumentException("expected a device cpu or cuda[:i], got '" + text + "'");
  }

  /**
   * Parses one device, or several CUDA devices separated by commas, each once.
   *
   * @throws IllegalArgumentException for anything else
   */
  public static List<Device> parseList(String text) {
    List<Device> devices = new ArrayList<>();
    for (String part : text.split(",", -1)) {
      Device device = parse(part.strip());
      if (devices.contains(device)) {
        throw new IllegalArgumentException("expected every device once, got '" + text + "'");
      }
      devices.add(device);
    }
    if (devices.size() > 1 && devices.contains(CPU)) {
      throw new IllegalArgumentException("expected cpu alone or CUDA devices, got '" + text + "'");
    }
    return List.copyOf(devices);
  }

  /** Where a tensor lives. */
  public static Device of(Tensor tensor) {
    if (!tensor.is_cuda()) {
      return CPU;
    }
    try (PointerScope scope = new PointerScope()) {
      return cuda(tensor.device().index());
    }
  }

  /** Whether this is a CUDA device. */
  public boolean isCuda() {
    return index >= 0;
  }

  /** libtorch's name of this device; shared, never freed. */
  org.bytedeco.pytorch.Device torch() {
    return NATIVE.computeIfAbsent(
        this,
        d ->
            Tensors.permanent(
                () ->
                    new org.bytedeco.pytorch.Device(
                        d.isCuda() ? DeviceType.CUDA : DeviceType.CPU,
                        (byte) (d.isCuda() ? d.index : -1))));
  }

  /** A new tensor here, its values undefined, in the caller's scope. */
  Tensor empty(ScalarType type, long... shape) {
    return empty(type, new MemoryFormatOptional(), shape);
  }

  /** The same in a layout. */
  Tensor empty(ScalarType type, MemoryFormatOptional layout, long... shape) {
    if (!isCuda()) {
      return torch.empty(shape, Tensors.options(type), layout);
    }
    return Tensors.scoped(
        () -> {
          TensorOptions options = new TensorOptions(type).device(new DeviceOptional(torch()));
          return torch.empty(shape, options, layout);
        });
  }

  /** A new tensor of zeros here, in the caller's scope. */
  public Tensor zeros(ScalarType type, long... shape) {
    return Tensors.scoped(() -> empty(type, shape).zero_());
  }

  /**
   * The tensor here, in the caller's scope: itself if it is here already. Differentiable.
   *
   * <p>What is not part of an autograd graph goes through page-locked memory: to a CUDA device it
   * is queued on the current stream, without waiting; from there the call waits for it.
   */
  public Tensor move(Tensor tensor) {
    Device from = of(tensor);
    if (from.equals(this)) {
      return tensor;
    }
    return Tensors.scoped(
        () -> {
          if (tensor.requires_grad() || isCuda() == from.isCuda()) {
            return to(tensor, false);
          }
          if (isCuda()) {
            return to(tensor.pin_memory(), true);
          }
          TensorOptions pinned =
              new TensorOptions(tensor.scalar_type().intern())
                  .device(new DeviceOptional(torch()))
                  .pinned_memory(new BoolOptional(true));
          Tensor host = torch.empty_like(tensor, pinned, new MemoryFormatOptional());
          host.copy_(tensor, false);
          return host;
        });
  }

  /** Moves the parameters and buffers of a TorchScript module here. */
  public void move(JitModule module) {
    CudaRuntime.require(this);
    if (isCuda()) {
      module.to(torch());
    }
  }

  private Tensor to(Tensor tensor, boolean queued) {
    TensorOptions options =
        new TensorOptions(tensor.scalar_type().intern()).device(new DeviceOptional(torch()));
    return tensor.to(options, queued, false, new MemoryFormatOptional());
  }

  /** {@code cpu} or {@code cuda:i}. */
  @Override
  public String toString() {
    return isCuda() ? "cuda:" + index : "cpu";
  }

  /** As {@code --device} takes them. */
  public static String toString(List<Device> devices) {
    return String.join(",", Arrays.stream(devices.toArray()).map(Object::toString).toList());
  }
}
