package io.github.igdefense.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.URL;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;

/**
 * What we call in libtorch's CUDA build by its mangled name is there. With -Pcuda; needs no driver,
 * as the libraries are read and not loaded.
 */
class TorchSymbolsTest {
  private static final Path TABLE = Path.of("native/jni/igd_cuda_table.h");

  @Test
  void everyNameIsExported() throws IOException {
    assumeTrue(
        CudaRuntime.gpuLibtorch(), "no CUDA build of libtorch on the class path (-Pcuda has it)");
    List<String> wanted = new ArrayList<>();
    Matcher names = Pattern.compile("\"(_Z\\w+)\"").matcher(Files.readString(TABLE));
    while (names.find()) {
      wanted.add(names.group(1));
    }
    assertThat(wanted).hasSize(7);
    Set<String> there = new HashSet<>();
    there.addAll(names("c10_cuda", "4cuda20getCurrentCUDAStream", "4cuda10CUDAStream6stream"));
    there.addAll(names("torch_cuda", "4cuda9CUDAGraph"));
    assertThat(there).containsAll(wanted);
    assertThat(there).doesNotContain("_ZN2at4cuda9CUDAGraph4noneEv");
  }

  /** The names in a library that hold one of some texts. */
  private static Set<String> names(String library, String... parts) throws IOException {
    URL resource =
        TorchSymbolsTest.class.getResource(
            NativeRuntime.GPU_LIBTORCH.replace("libtorch_cpu", "lib" + library));
    Set<String> found = new HashSet<>();
    try (FileChannel file = FileChannel.open(Loader.cacheResource(resource).toPath())) {
      MappedByteBuffer bytes = file.map(FileChannel.MapMode.READ_ONLY, 0, file.size());
      for (int at = 0; at + 3 < bytes.limit(); at++) {
        // Mangled names of namespaces: _ZN and _ZNK.
        if (bytes.get(at) == '_' && bytes.get(at + 1) == 'Z' && bytes.get(at + 2) == 'N') {
          int end = at;
          while (end < bytes.limit() && bytes.get(end) != 0) {
            end++;
          }
          byte[] text = new byte[Math.min(end - at, 4096)];
          bytes.get(at, text);
          String name = new String(text, StandardCharsets.ISO_8859_1);
          for (String part : parts) {
            if (name.contains(part)) {
              found.add(name);
            }
          }
          at = end;
        }
      }
    }
    return found;
  }
}
