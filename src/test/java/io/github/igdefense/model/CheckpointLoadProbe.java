package io.github.igdefense.model;

import io.github.igdefense.model.NetworkDescription.Parameter;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.NativeRuntime;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Memory and time of loading a large checkpoint; see {@code scripts/measure_checkpoint_load.sh}.
 * Each measurement in a process of its own.
 */
public final class CheckpointLoadProbe {
  private CheckpointLoadProbe() {}

  /** {@code write-zip|write-safetensors|plain|read|network FILE ARCHITECTURE}. */
  public static void main(String[] arguments) throws IOException {
    Path file = Path.of(arguments[1]);
    String architecture = arguments[2];
    List<Parameter> parameters = Networks.describe(architecture, 3, 10).parameters();
    switch (arguments[0]) {
      case "write-zip" -> writeZip(file, parameters);
      case "write-safetensors" -> writeSafeTensors(file, parameters);
      case "plain" -> measure("plain", file, () -> plain(file));
      case "read" -> measure("read", file, () -> CheckpointReader.read(file).state().size());
      case "network" -> {
        NativeRuntime.load();
        Networks.random("rn18", 3, 8, 10, 0, Dtype.FLOAT32).close();
        measure("network", file, () -> open(architecture, file));
      }
      default -> throw new IllegalArgumentException(arguments[0]);
    }
  }

  private interface Work {
    long run() throws IOException;
  }

  private static StagedNetwork kept;

  private static long open(String architecture, Path file) {
    kept = Networks.open(architecture, file, Dtype.FLOAT32);
    return kept.classCount();
  }

  private static void measure(String what, Path file, Work work) throws IOException {
    Files.writeString(Path.of("/proc/self/clear_refs"), "5"); // the peak starts anew
    long before = status("VmRSS");
    long cpu = cpuNanos();
    long start = System.nanoTime();
    long result = work.run();
    double seconds = (System.nanoTime() - start) / 1e9;
    double cpuSeconds = (cpuNanos() - cpu) / 1e9;
    System.out.printf(
        Locale.ROOT,
        "%-8s %-26s %8.1f MB %6.2f s (CPU %5.2f s)  peak +%7.1f MB   after +%7.1f MB (anonymous"
            + " %7.1f, file %6.1f)%s%n",
        what,
        file.getFileName(),
        Files.size(file) / 1e6,
        seconds,
        cpuSeconds,
        (status("VmHWM") - before) / 1e3,
        (status("VmRSS") - before) / 1e3,
        status("RssAnon") / 1e3,
        status("RssFile") / 1e3,
        result < 0 ? " ?" : "");
  }

  private static long cpuNanos() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getProcessCpuTime();
  }

  /** In units of 1000 bytes. */
  private static long status(String key) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith(key + ":")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024 / 1000;
      }
    }
    throw new IOException("no " + key + " in /proc/self/status");
  }

  private static long plain(Path file) throws IOException {
    long sum = 0;
    try (FileChannel channel = FileChannel.open(file)) {
      ByteBuffer block = ByteBuffer.allocateDirect(1 << 20);
      while (channel.read(block.clear()) >= 0) {
        sum += block.get(0);
      }
    }
    return Math.abs(sum);
  }

  private static byte[] values(int index, Parameter parameter) {
    int count = Math.toIntExact(parameter.numel());
    ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    SplittableRandom random = new SplittableRandom(index);
    boolean ones =
        parameter.role() == NetworkDescription.Role.VARIANCE
            || parameter.role() == NetworkDescription.Role.SCALE;
    for (int i = 0; i < count; i++) {
      bytes.putFloat(ones ? 1 : (random.nextInt() >> 8) * 0x1p-28f);
    }
    return bytes.array();
  }

  private static void writeSafeTensors(Path file, List<Parameter> parameters) throws IOException {
    StringBuilder header = new StringBuilder("{");
    long at = 0;
    for (Parameter parameter : parameters) {
      long end = at + 4 * parameter.numel();
      header
          .append(header.length() > 1 ? "," : "")
          .append('"')
          .append(parameter.name())
          .append("\":{\"dtype\":\"F32\",\"shape\":")
          .append(Arrays.toString(parameter.shape()).replace(" ", ""))
          .append(",\"data_offsets\":[")
          .append(at)
          .append(',')
          .append(end)
          .append("]}");
      at = end;
    }
    header.append('}');
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
      ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
      out.write(length.putLong(header.length()).array());
      out.write(header.toString().getBytes(StandardCharsets.US_ASCII));
      for (int i = 0; i < parameters.size(); i++) {
        out.write(values(i, parameters.get(i)));
      }
    }
  }

  private static void writeZip(Path file, List<Parameter> parameters) throws IOException {
    try (ZipOutputStream zip =
        new ZipOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
      zip.setMethod(ZipOutputStream.STORED);
      add(zip, "archive/data.pkl", pickle(parameters));
      for (int i = 0; i < parameters.size(); i++) {
        add(zip, "archive/data/" + i, values(i, parameters.get(i)));
      }
      add(zip, "archive/version", "3\n".getBytes(StandardCharsets.US_ASCII));
    }
  }

  private static void add(ZipOutputStream zip, String name, byte[] content) throws IOException {
    CRC32 crc = new CRC32();
    crc.update(content);
    ZipEntry entry = new ZipEntry(name);
    entry.setSize(content.length);
    entry.setCompressedSize(content.length);
    entry.setCrc(crc.getValue());
    zip.putNextEntry(entry);
    zip.write(content);
    zip.closeEntry();
  }

  /** What {@code torch.save(dict)} writes: protocol 2, one storage per tensor. */
  private static byte[] pickle(List<Parameter> parameters) {
    StringBuilder text = new StringBuilder("\u0080\u0002}(");
    for (int i = 0; i < parameters.size(); i++) {
      Parameter parameter = parameters.get(i);
      text.append(string(parameter.name()));
      text.append("ctorch._utils\n_rebuild_tensor_v2\n((");
      text.append(string("storage")).append("ctorch\nFloatStorage\n");
      text.append(string(String.valueOf(i))).append(string("cpu"));
      text.append("I").append(parameter.numel()).append("\ntQI0\n");
      tuple(text, parameter.shape());
      tuple(text, HostTensor.rowMajor(parameter.shape()));
      text.append("\u0089ccollections\nOrderedDict\n)RtR");
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(text.append("u.").toString().getBytes(StandardCharsets.ISO_8859_1));
    return out.toByteArray();
  }

  private static String string(String value) {
    return "U" + (char) value.length() + value;
  }

  private static void tuple(StringBuilder text, long[] values) {
    text.append('(');
    for (long value : values) {
      text.append('I').append(value).append('\n');
    }
    text.append('t');
  }
}
