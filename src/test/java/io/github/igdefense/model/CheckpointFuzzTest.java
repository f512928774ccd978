package io.github.igdefense.model;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.FuzzContract;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.PickleReader;
import java.nio.file.Path;

/**
 * Readers of checkpoints take any bytes. In the normal test run over the seeds in {@code
 * CheckpointFuzzTestInputs}; {@code scripts/fuzz.sh} runs millions of mutated inputs.
 */
class CheckpointFuzzTest {
  private static final Path FILE = Path.of("input.pt");

  /** The pickle inside a file, without the container in the way. */
  @FuzzTest(maxDuration = "")
  void pickle(byte[] input) {
    TorchImports imports =
        new TorchImports(
            "input.pkl",
            (key, size) -> {
              if (size > 1 << 16) {
                throw new InputException("expected small storages, got " + size);
              }
              return Bytes.of(new byte[size.intValue()]);
            });
    FuzzContract.check(
        () -> new PickleReader(Bytes.of(input), 0, "input.pkl", imports, 4_000_000).read());
  }

  @FuzzTest(maxDuration = "")
  void zip(byte[] input) {
    FuzzContract.check(() -> readAll(input));
  }

  @FuzzTest(maxDuration = "")
  void legacy(byte[] input) {
    FuzzContract.check(() -> readAll(input));
  }

  @FuzzTest(maxDuration = "")
  void safetensors(byte[] input) {
    FuzzContract.check(() -> readAll(input));
  }

  private static void readAll(byte[] input) {
    StateDict state = CheckpointReader.read(FILE, Bytes.of(input), null).state();
    for (HostTensor tensor : state) {
      if (tensor.numel() <= 1 << 20) {
        tensor.toDoubles();
        tensor.toFloats();
        tensor.bytes();
      }
    }
    state.normalization();
  }
}
