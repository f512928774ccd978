package io.github.igdefense.defense;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.FuzzContract;

/**
 * The reader of bundles takes any bytes; see {@code scripts/fuzz.sh}. The seeds are a bundle of two
 * tiny tensors and its manifest, which is also read without the hashes that stop most mutations.
 */
class BundleFuzzTest {
  @FuzzTest(maxDuration = "")
  void bundle(byte[] input) {
    FuzzContract.check(() -> Bundle.read(FuzzContract.file(input)));
  }

  @FuzzTest(maxDuration = "")
  void manifest(byte[] input) {
    FuzzContract.check(
        () -> {
          BundleManifest manifest = BundleFiles.manifest(Bytes.of(input), "input");
          BundleFiles.check(manifest, "input");
          BundleFiles.json(manifest);
        });
  }
}
