package io.github.igdefense.model;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.StoredZip;
import io.github.igdefense.data.ZipArchive;
import io.github.igdefense.tensor.Dtype;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Makes a traced TorchScript archive independent of the device and type it was traced on.
 *
 * <p>A trace has both baked into its code: {@code torch.to(x, torch.device("cuda:0"), 5)} converts
 * to half precision on the first GPU, whatever the weights are. Here the code is rewritten, as
 * text, before libtorch reads it: every device becomes the CPU, every floating-point type named in
 * a {@code torch.to} or a {@code dtype=} becomes the wanted one, and tensors stored for a GPU are
 * marked as the CPU's. (OpenAI's own loader changes the same constants in the loaded graph.)
 * Weights keep their type; convert them with {@link TorchScriptArchive#to}.
 */
final class ScriptCode {
  private static final Pattern DEVICE = Pattern.compile("torch\\.device\\(\"cuda(?::\\d+)?\"\\)");
  private static final Pattern DTYPE = Pattern.compile("\\bdtype=([5-7])\\b");
  private static final String TO = "torch.to(";

  private ScriptCode() {}

  /**
   * Writes a copy of an archive with its code rewritten.
   *
   * @return false, and nothing written, if the archive needs no change
   */
  static boolean rewrite(ZipArchive zip, Dtype dtype, Path target) {
    boolean needed = false;
    for (String name : zip.names()) {
      if (isCode(name) || isPickle(name)) {
        byte[] content = bytes(zip, name);
        needed |= !java.util.Arrays.equals(content, changed(name, content, dtype));
      }
    }
    if (!needed) {
      return false;
    }
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(target));
        StoredZip copy = new StoredZip(out)) {
      for (String name : zip.names()) {
        // Positions in the old text, used in error messages only.
        if (name.endsWith(".debug_pkl")) {
          continue;
        }
        if (isCode(name) || isPickle(name)) {
          byte[] content = changed(name, bytes(zip, name), dtype);
          copy.add(name, ByteBuffer.wrap(content));
        } else {
          Bytes content = zip.read(name);
          copy.add(name, content.buffers());
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot write "
              + target
              + " ("
              + e.getMessage()
              + "); free space in the temporary folder",
          e);
    }
    return true;
  }

  private static boolean isCode(String name) {
    return name.endsWith(".py");
  }

  private static boolean isPickle(String name) {
    return name.endsWith(".pkl") && !name.endsWith(".debug_pkl");
  }

  private static byte[] bytes(ZipArchive zip, String name) {
    Bytes content = zip.read(name);
    return content.get(0, Math.toIntExact(content.length()));
  }

  private static byte[] changed(String name, byte[] content, Dtype dtype) {
    return isCode(name)
        ? code(new String(content, StandardCharsets.UTF_8), dtype).getBytes(StandardCharsets.UTF_8)
        : devices(content);
  }

  /** Code with the CPU for every device and {@code dtype} for every floating-point type. */
  static String code(String text, Dtype dtype) {
    String type = dtype == Dtype.FLOAT64 ? "7" : "6";
    String onCpu =
        DEVICE.matcher(text).replaceAll(Matcher.quoteReplacement("torch.device(\"cpu\")"));
    String typed = DTYPE.matcher(onCpu).replaceAll("dtype=" + type);
    return conversions(typed, type);
  }

  /** {@code torch.to(x, type, ...)} and {@code torch.to(x, device, type, ...)}, nested ones too. */
  private static String conversions(String text, String type) {
    StringBuilder out = new StringBuilder(text.length());
    int at = 0;
    for (int call = text.indexOf(TO); call >= 0; call = text.indexOf(TO, at)) {
      int inside = call + TO.length();
      int end = closing(text, inside);
      if (end < 0) {
        break;
      }
      out.append(text, at, inside).append(arguments(text.substring(inside, end), type));
      at = end;
    }
    return out.append(text.substring(at)).toString();
  }

  private static String arguments(String text, String type) {
    StringBuilder out = new StringBuilder();
    int depth = 0;
    int begin = 0;
    int index = 0;
    for (int i = 0; i <= text.length(); i++) {
      char c = i < text.length() ? text.charAt(i) : ',';
      depth += c == '(' || c == '[' ? 1 : c == ')' || c == ']' ? -1 : 0;
      if (c == ',' && depth == 0 || i == text.length()) {
        String argument = text.substring(begin, i);
        boolean isType = (index == 1 || index == 2) && argument.strip().matches("[5-7]");
        out.append(isType ? argument.replaceAll("[5-7]", type) : conversions(argument, type));
        if (i < text.length()) {
          out.append(',');
        }
        begin = i + 1;
        index++;
      }
    }
    return out.toString();
  }

  /** The parenthesis that closes the one before {@code from}. */
  private static int closing(String text, int from) {
    int depth = 1;
    for (int i = from; i < text.length(); i++) {
      char c = text.charAt(i);
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
      if (depth == 0) {
        return i;
      }
    }
    return -1;
  }

  /** A pickle with the text {@code cpu} in place of {@code cuda} and {@code cuda:0}. */
  static byte[] devices(byte[] pickle) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(pickle.length);
    for (int i = 0; i < pickle.length; ) {
      int length = cudaAt(pickle, i);
      if (length > 0) {
        out.writeBytes(new byte[] {'X', 3, 0, 0, 0, 'c', 'p', 'u'});
        i += 5 + length;
      } else {
        out.write(pickle[i++]);
      }
    }
    return out.toByteArray();
  }

  /** Length of the name of a CUDA device that stands as a text at {@code i}; 0 if none does. */
  private static int cudaAt(byte[] pickle, int i) {
    if (pickle[i] != 'X' || i + 9 > pickle.length || pickle[i + 2] != 0 || pickle[i + 3] != 0) {
      return 0;
    }
    int length = pickle[i + 1];
    if (length < 4 || length > 7 || pickle[i + 4] != 0 || i + 5 + length > pickle.length) {
      return 0;
    }
    String text = new String(pickle, i + 5, length, StandardCharsets.ISO_8859_1);
    return text.matches("cuda(:\\d{1,2})?") ? length : 0;
  }
}
