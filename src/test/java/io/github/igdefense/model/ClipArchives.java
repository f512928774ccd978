package io.github.igdefense.model;

import io.github.igdefense.data.GoldenFiles;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/** TorchScript archives made for tests. */
public final class ClipArchives {
  private ClipArchives() {}

  /** An archive that is no CLIP model. */
  static Path other() {
    return GoldenFiles.golden("../torchscript/small.pt");
  }

  /**
   * A copy of a CLIP archive as if it had been traced on the first GPU in half precision: devices
   * and types in its code, and the place of its stored tensors. The weights keep their values.
   */
  static Path tracedOnGpu(Path archive, Path target) {
    try (ZipFile zip = new ZipFile(archive.toFile());
        ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(target))) {
      for (ZipEntry entry : Collections.list(zip.entries())) {
        byte[] content = zip.getInputStream(entry).readAllBytes();
        if (entry.getName().endsWith(".py")) {
          content =
              new String(content, StandardCharsets.UTF_8)
                  .replace("torch.device(\"cpu\"), 6)", "torch.device(\"cuda:0\"), 5)")
                  .replace("torch.device(\"cpu\")", "torch.device(\"cuda:0\")")
                  .replaceAll("(torch\\.to\\(\\w+), 6\\)", "$1, 5)")
                  .replace("dtype=6", "dtype=5")
                  .getBytes(StandardCharsets.UTF_8);
        } else if (entry.getName().endsWith(".pkl")) {
          content = onGpu(content);
        }
        out.putNextEntry(new ZipEntry(entry.getName()));
        out.write(content);
        out.closeEntry();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return target;
  }

  private static byte[] onGpu(byte[] pickle) {
    String text = new String(pickle, StandardCharsets.ISO_8859_1);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(
        text.replace("X\u0003\0\0\0cpu", "X\u0006\0\0\0cuda:0")
            .getBytes(StandardCharsets.ISO_8859_1));
    return out.toByteArray();
  }
}
