package io.github.igdefense.model;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.ZipArchive;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.FunctionVector;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.NamedTensor;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.named_buffer_iterator;
import org.bytedeco.pytorch.named_buffer_list;
import org.bytedeco.pytorch.named_parameter_iterator;
import org.bytedeco.pytorch.named_parameter_list;
import org.bytedeco.pytorch.parameter_iterator;
import org.bytedeco.pytorch.parameter_list;

/**
 * A TorchScript archive ({@code torch.jit.save}): a network of any architecture with its code, as
 * methods from one tensor to one tensor.
 *
 * <p>It is opened in evaluation mode (batch statistics and dropout off), on the CPU, and its
 * parameters carry no gradients. Unlike a state dict, which is data only, an archive holds code
 * that libtorch interprets: open archives only from sources you trust.
 *
 * <p>Owns its native memory until {@link #close}. Threads: any number may {@link #call} at the same
 * time; none while {@link #to} or after {@code close}. Cost of opening: the file is read three
 * times (checksums, hash, values).
 */
public final class TorchScriptArchive implements AutoCloseable {
  private final Path file;
  private final String sha256;
  private final JitModule module;
  private final List<String> methods;
  private volatile boolean closed;

  private TorchScriptArchive(Path file, String sha256, JitModule module, List<String> methods) {
    this.file = file;
    this.sha256 = sha256;
    this.module = module;
    this.methods = methods;
  }

  /** Whether a file is a TorchScript archive, by its list of entries. Loads nothing native. */
  public static boolean matches(Path file) {
    Bytes bytes = Bytes.ofFile(file);
    return ZipArchive.looksLikeZip(bytes) && hasCode(ZipArchive.of(bytes, file.toString()));
  }

  /** TorchScript files hold, beside the tensors, a table of constants. */
  static boolean hasCode(ZipArchive zip) {
    return zip.names().stream()
        .anyMatch(
            name ->
                name.endsWith("/constants.pkl")
                    && zip.contains(name.substring(0, name.length() - 13) + "data.pkl"));
  }

  /**
   * Opens an archive.
   *
   * @throws InputException if the file is missing, damaged, or no TorchScript archive (saying what
   *     it is)
   */
  public static TorchScriptArchive open(Path file) {
    Bytes bytes = Bytes.ofFile(file);
    if (!ZipArchive.looksLikeZip(bytes)) {
      throw new InputException(
          "expected a TorchScript archive at " + file + ", found " + ForeignFiles.describe(bytes));
    }
    ZipArchive zip = ZipArchive.of(bytes, file.toString());
    if (!hasCode(zip)) {
      boolean state = zip.names().stream().anyMatch(name -> name.endsWith("data.pkl"));
      throw new InputException(
          "expected a TorchScript archive at "
              + file
              + ", found "
              + (state
                  ? "a state dict (torch.save); name its architecture with --arch, or export the"
                      + " network with torch.jit.save"
                  : "a zip archive of another kind"));
    }
    // libtorch does not compare checksums.
    zip.names().forEach(zip::read);
    NativeRuntime.load();
    JitModule module = null;
    boolean done = false;
    try (PointerScope scope = new PointerScope()) {
      module = torch.load(file.toString());
      module.retainReference();
      module.eval();
      freeze(module);
      TorchScriptArchive archive =
          new TorchScriptArchive(file, bytes.sha256(), module, names(module));
      done = true;
      return archive;
    } catch (RuntimeException e) {
      throw new InputException(
          "expected a TorchScript archive at "
              + file
              + " that this libtorch can load, but: "
              + firstLine(e),
          e);
    } finally {
      if (!done && module != null) {
        module.releaseReference();
      }
    }
  }

  private static void freeze(JitModule module) {
    parameter_list parameters = module.parameters();
    parameter_iterator at = parameters.begin();
    for (long left = parameters.size(); left > 0; left--) {
      at.multiply().requires_grad_(false);
      at.increment();
    }
  }

  private static List<String> names(JitModule module) {
    FunctionVector functions = module.type().methods();
    List<String> names = new ArrayList<>();
    for (long i = 0; i < functions.size(); i++) {
      names.add(functions.get(i).name().getString());
    }
    return List.copyOf(names);
  }

  private static String firstLine(RuntimeException e) {
    String text = String.valueOf(e.getMessage()).strip();
    int end = text.indexOf('\n');
    return end < 0 ? text : text.substring(0, end);
  }

  /** The file it came from. */
  public Path file() {
    return file;
  }

  /** SHA-256 of the file, lower-case hex. */
  public String sha256() {
    return sha256;
  }

  /** Names of the methods of the outermost module, such as {@code forward}. */
  public List<String> methods() {
    return methods;
  }

  /** Whether the outermost module has this method. */
  public boolean hasMethod(String name) {
    return methods.contains(name);
  }

  /**
   * The shape of a parameter or buffer by its full name, such as {@code visual.conv1.weight}; null
   * if there is none.
   */
  long[] shape(String name) {
    Tensor tensor = find(name);
    try {
      return tensor == null ? null : Tensors.shape(tensor);
    } finally {
      Tensors.free(tensor);
    }
  }

  /** The value of a buffer of one number; null if there is none. */
  Long number(String name) {
    Tensor tensor = find(name);
    try {
      return tensor == null || tensor.numel() != 1 ? null : Tensors.toLongs(tensor)[0];
    } finally {
      Tensors.free(tensor);
    }
  }

  /** A parameter or buffer; the caller frees it. */
  private Tensor find(String name) {
    checkOpen();
    try (PointerScope scope = new PointerScope()) {
      named_parameter_list parameters = module.named_parameters();
      named_parameter_iterator parameter = parameters.begin();
      for (long left = parameters.size(); left > 0; left--, parameter.increment()) {
        NamedTensor named = parameter.multiply();
        if (named.name().getString().equals(name)) {
          return Tensors.keep(new Tensor(named.value()));
        }
      }
      named_buffer_list buffers = module.named_buffers();
      named_buffer_iterator buffer = buffers.begin();
      for (long left = buffers.size(); left > 0; left--, buffer.increment()) {
        NamedTensor named = buffer.multiply();
        if (named.name().getString().equals(name)) {
          return Tensors.keep(new Tensor(named.value()));
        }
      }
      return null;
    }
  }

  /**
   * Converts floating-point parameters and buffers. Element types that the exported code names
   * itself stay as they are.
   */
  public void to(Dtype dtype) {
    checkOpen();
    module.to(dtype.scalarType());
  }

  /** The same, and moves all parameters and buffers to a device. */
  public void to(Dtype dtype, Device device) {
    to(dtype);
    device.move(module);
  }

  /**
   * Runs a method of one tensor.
   *
   * @param input whatever the method takes; not freed, and not changed unless the exported code
   *     does so
   * @return the result in the caller's scope; attached to the autograd graph of {@code input} where
   *     the calling thread's grad mode is on
   * @throws InputException if there is no such method, it fails on this input, or its result is no
   *     tensor
   */
  public Tensor call(String method, Tensor input) {
    checkOpen();
    if (!hasMethod(method)) {
      throw new InputException(
          "expected a method '" + method + "' in " + file + ", it has " + methods);
    }
    return Tensors.scoped(
        () -> {
          IValue result;
          try {
            result = module.get_method(method).apply(new IValueVector(new IValue(input)));
          } catch (RuntimeException e) {
            throw new InputException(
                "expected method '"
                    + method
                    + "' of "
                    + file
                    + " to take a tensor "
                    + java.util.Arrays.toString(Tensors.shape(input))
                    + " of "
                    + input.scalar_type().intern()
                    + ", but: "
                    + lastLine(e),
                e);
          }
          if (!result.isTensor()) {
            throw new InputException(
                "expected method '"
                    + method
                    + "' of "
                    + file
                    + " to return a tensor, got a value of kind "
                    + result.tagKind().getString());
          }
          // toTensor() refers into the IValue; the copy is a handle of its own on the same tensor.
          return new Tensor(result.toTensor());
        });
  }

  /** Interpreter errors end with the message of the operation that failed. */
  private static String lastLine(RuntimeException e) {
    String text = String.valueOf(e.getMessage()).strip();
    return text.substring(text.lastIndexOf('\n') + 1);
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("the archive " + file + " is closed");
    }
  }

  /** Frees the module. Further calls do nothing. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      module.releaseReference();
    }
  }
}
