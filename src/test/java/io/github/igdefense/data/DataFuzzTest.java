package io.github.igdefense.data;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.igdefense.data.ImageSets.Split;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Readers of data take any bytes. In the normal test run over the seeds in {@code
 * DataFuzzTestInputs}; {@code scripts/fuzz.sh} runs millions of mutated inputs.
 */
class DataFuzzTest {
  @FuzzTest(maxDuration = "")
  void npy(byte[] input) {
    FuzzContract.check(() -> Npy.parse(Bytes.of(input), "input.npy").asDouble());
  }

  @FuzzTest(maxDuration = "")
  void npz(byte[] input) {
    Path file = FuzzContract.file(input);
    FuzzContract.check(
        () -> {
          Npz npz = Npz.open(file);
          npz.names().forEach(name -> npz.get(name).asDouble());
          if (npz.containsText("provenance.json")) {
            npz.text("provenance.json");
          }
        });
  }

  @FuzzTest(maxDuration = "")
  void idx(byte[] input) {
    FuzzContract.check(() -> Idx.read(Bytes.of(input), "images", 3));
    FuzzContract.check(() -> Idx.read(Bytes.of(input), "labels", 1));
  }

  /** The first byte says which data set and whether to fill up the last record. */
  @FuzzTest(maxDuration = "")
  void cifarBinary(byte[] input) {
    int flags = input.length == 0 ? 0 : input[0];
    int classes = (flags & 1) == 0 ? 10 : 100;
    int record = 3072 + (classes == 10 ? 1 : 2);
    int length = Math.max(0, input.length - 1);
    int padded = (flags & 2) == 0 ? length : (length + record - 1) / record * record;
    byte[] content =
        Arrays.copyOf(Arrays.copyOfRange(input, input.length - length, input.length), padded);
    Path directory = FuzzContract.directory();
    try {
      Files.write(directory.resolve(classes == 10 ? "test_batch.bin" : "test.bin"), content);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    FuzzContract.check(
        () -> readAll(CifarImages.open("cifar", directory, Split.TEST, classes, false)));
  }

  @FuzzTest(maxDuration = "")
  void cifarArchive(byte[] input) {
    Path file = FuzzContract.file(input);
    FuzzContract.check(() -> readAll(CifarImages.open("cifar", file, Split.TEST, 10, false)));
  }

  /** A batch of the Python version. */
  @FuzzTest(maxDuration = "")
  void cifarPickle(byte[] input) {
    Bytes bytes = Bytes.of(input);
    FuzzContract.check(() -> CifarPickle.read(bytes, "data_batch_1", 10, false));
    FuzzContract.check(() -> CifarPickle.read(bytes, "train", 100, false));
    FuzzContract.check(() -> CifarPickle.classNames(bytes, Path.of("meta"), 100, true));
  }

  private static void readAll(ImageSet images) {
    float[] image = new float[images.channels() * images.height() * images.width()];
    for (int i = 0; i < images.size(); i++) {
      images.read(i, image, 0);
    }
  }

  /** JPEG and PNG, as in class folders. */
  @FuzzTest(maxDuration = "")
  void image(byte[] input) {
    Path file = FuzzContract.file(input);
    FuzzContract.check(() -> ImageFiles.size(file));
    FuzzContract.check(() -> ImageFiles.decode(file));
    ImageFiles.endsWell(file);
  }
}
