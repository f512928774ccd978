package io.github.igdefense.model;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.ElementType;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.ZipArchive;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The safetensors format: the length of a JSON header (8 bytes), the header, the values without
 * gaps. Our own checkpoints are written in it. Stateless and thread-safe.
 */
public final class SafeTensors {
  private static final String METADATA = "__metadata__";
  private static final long MAX_HEADER = 16L << 20;
  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(com.fasterxml.jackson.databind.DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private SafeTensors() {}

  static boolean looksLike(Bytes file) {
    if (file.length() < 10) {
      return false;
    }
    long header = file.getLong(0);
    return header >= 2 && header <= file.length() - 8 && file.getByte(8) == '{';
  }

  /**
   * The tensors of a file's content, in its order.
   *
   * @param label how messages name the file
   * @throws InputException if it is no sound safetensors file
   */
  public static StateDict decode(Bytes file, String label) {
    if (!looksLike(file)) {
      throw bad(label, "it does not begin with a header");
    }
    List<HostTensor> tensors = new ArrayList<>();
    for (Map.Entry<Object, Object> entry : read(file, label).entrySet()) {
      if (entry.getValue() instanceof HostTensor tensor) {
        tensors.add(tensor.withName((String) entry.getKey()));
      }
    }
    return new StateDict(tensors);
  }

  /** Tensors by name, then the metadata under their own keys. */
  static Map<Object, Object> read(Bytes file, String label) {
    long headerLength = file.getLong(0);
    if (headerLength > MAX_HEADER) {
      throw bad(label, "its header has " + headerLength + " bytes, more than 16 MiB");
    }
    JsonNode header;
    try {
      header = MAPPER.readTree(file.get(8, (int) headerLength));
    } catch (IOException e) {
      throw bad(label, "its header is no valid JSON");
    }
    if (header == null || !header.isObject()) {
      throw bad(label, "its header is no JSON object");
    }
    Bytes data = file.slice(8 + headerLength, file.length() - 8 - headerLength);
    Map<Object, Object> root = new LinkedHashMap<>();
    Map<Object, Object> texts = new LinkedHashMap<>();
    List<long[]> ranges = new ArrayList<>();
    for (Map.Entry<String, JsonNode> field : header.properties()) {
      if (field.getKey().equals(METADATA)) {
        for (Map.Entry<String, JsonNode> text : field.getValue().properties()) {
          texts.put(text.getKey(), text.getValue().asText());
        }
      } else {
        root.put(field.getKey(), tensor(field.getKey(), field.getValue(), data, ranges, label));
      }
    }
    ranges.sort((a, b) -> a[0] != b[0] ? Long.compare(a[0], b[0]) : Long.compare(a[1], b[1]));
    long end = 0;
    for (long[] range : ranges) {
      if (range[0] != end) {
        throw bad(label, "its values overlap or leave a gap at byte " + end);
      }
      end = range[1];
    }
    if (end != data.length()) {
      throw bad(
          label, "its tensors take " + end + " bytes but " + data.length() + " follow the header");
    }
    texts.forEach(root::putIfAbsent);
    return root;
  }

  private static HostTensor tensor(
      String name, JsonNode entry, Bytes data, List<long[]> ranges, String label) {
    String shown = ZipArchive.printable(name);
    JsonNode extents = entry.get("shape");
    JsonNode offsets = entry.get("data_offsets");
    JsonNode code = entry.get("dtype");
    if (extents == null
        || !extents.isArray()
        || extents.size() > 64
        || offsets == null
        || !offsets.isArray()
        || offsets.size() != 2
        || code == null) {
      throw bad(label, "tensor " + shown + " lacks dtype, shape or data_offsets");
    }
    ElementType type = type(code.asText(), shown, label);
    long[] shape = new long[extents.size()];
    long size = type.bytes();
    boolean empty = false;
    for (int i = 0; i < shape.length; i++) {
      shape[i] = integer(extents.get(i), shown, label);
      empty |= shape[i] == 0;
    }
    for (long extent : shape) {
      if (!empty && extent > data.length() / size) {
        throw bad(
            label, "shape " + Arrays.toString(shape) + " of tensor " + shown + " exceeds the file");
      }
      size = empty ? 0 : size * extent;
    }
    long start = integer(offsets.get(0), shown, label);
    long end = integer(offsets.get(1), shown, label);
    if (start > end || end > data.length() || end - start != (empty ? 0 : size)) {
      throw bad(label, "tensor " + shown + " does not fit its place in the file");
    }
    ranges.add(new long[] {start, end});
    HostTensor.Storage storage =
        new HostTensor.Storage(type, (end - start) / type.bytes(), data.slice(start, end - start));
    return new HostTensor(name, storage, 0, shape, HostTensor.rowMajor(shape));
  }

  private static long integer(JsonNode node, String shown, String label) {
    if (!node.isIntegralNumber() || !node.canConvertToLong() || node.longValue() < 0) {
      throw bad(label, "tensor " + shown + " has an extent or offset that is no natural number");
    }
    return node.longValue();
  }

  private static ElementType type(String code, String shown, String label) {
    return switch (code) {
      case "F32" -> ElementType.FLOAT32;
      case "F64" -> ElementType.FLOAT64;
      case "F16" -> ElementType.FLOAT16;
      case "BF16" -> ElementType.BFLOAT16;
      case "I64" -> ElementType.INT64;
      case "I32" -> ElementType.INT32;
      case "I16" -> ElementType.INT16;
      case "I8" -> ElementType.INT8;
      case "U8" -> ElementType.UINT8;
      case "BOOL" -> ElementType.BOOL;
      default ->
          throw bad(
              label, "tensor " + shown + " has the unknown type " + ZipArchive.printable(code));
    };
  }

  private static String code(ElementType type) {
    return switch (type) {
      case FLOAT32 -> "F32";
      case FLOAT64 -> "F64";
      case FLOAT16 -> "F16";
      case BFLOAT16 -> "BF16";
      case INT64 -> "I64";
      case INT32 -> "I32";
      case INT16 -> "I16";
      case INT8 -> "I8";
      case UINT8 -> "U8";
      case BOOL -> "BOOL";
    };
  }

  /**
   * Writes tensors in their order, atomically; the same content gives the same bytes. Strided
   * tensors are written row-major.
   *
   * @param metadata free text values in their order, stored as {@code __metadata__}
   * @throws java.io.UncheckedIOException if the file cannot be written
   * @throws InputException if a single tensor exceeds 1 GiB
   */
  public static void write(Path file, StateDict state, Map<String, String> metadata) {
    AtomicFiles.write(
        file,
        out -> {
          WritableByteChannel channel = Channels.newChannel(out);
          for (ByteBuffer part : encode(state, metadata)) {
            while (part.hasRemaining()) {
              channel.write(part);
            }
          }
        });
  }

  /**
   * The content of a file, as {@link #write} puts it: one part after the other. Values that lie in
   * a mapped file stay there.
   *
   * @throws InputException if a single tensor exceeds 1 GiB
   */
  public static ByteBuffer[] encode(StateDict state, Map<String, String> metadata) {
    byte[] header;
    try {
      header = header(state, metadata);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    List<ByteBuffer> parts = new ArrayList<>();
    ByteBuffer start = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
    parts.add(start.putLong(header.length).put(header).flip());
    for (HostTensor tensor : state) {
      parts.add(tensor.bytes());
    }
    return parts.toArray(ByteBuffer[]::new);
  }

  private static byte[] header(StateDict state, Map<String, String> metadata) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart(METADATA);
        for (Map.Entry<String, String> entry : metadata.entrySet()) {
          json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
      }
      long at = 0;
      for (HostTensor tensor : state) {
        long end = at + tensor.numel() * tensor.type().bytes();
        json.writeObjectFieldStart(tensor.name());
        json.writeStringField("dtype", code(tensor.type()));
        json.writeFieldName("shape");
        long[] shape = tensor.shape();
        json.writeArray(shape, 0, shape.length);
        json.writeFieldName("data_offsets");
        json.writeArray(new long[] {at, end}, 0, 2);
        json.writeEndObject();
        at = end;
      }
      json.writeEndObject();
    }
    while (bytes.size() % 8 != 0) {
      bytes.write(' ');
    }
    return bytes.toByteArray();
  }

  private static InputException bad(String label, String what) {
    return new InputException(
        "expected a sound safetensors file in "
            + label
            + ", but "
            + what
            + "; fetch or save the file again");
  }
}
