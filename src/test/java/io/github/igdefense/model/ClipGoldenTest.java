package io.github.igdefense.model;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.Bytes;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.data.ZipArchive;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Path;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** CLIP archives against features computed by the published code. */
class ClipGoldenTest {
  private static final Npz GOLDEN = Npz.open(golden("clip_tiny.npz"));

  @TempDir Path folder;

  private static Tensor tensor(String name) {
    NpyArray array = GOLDEN.get(name);
    return name.equals("tokens")
        ? Tensors.of(array.asLong(), array.shape())
        : Tensors.of(array.asDouble(), array.shape());
  }

  private static void assertFeatures(Path file, Dtype dtype, String suffix, double tolerance) {
    try (PointerScope scope = new PointerScope();
        ClipModel model = ClipModel.open(file, dtype)) {
      assertThat(model.imageSize()).isEqualTo(32);
      assertThat(model.contextLength()).isEqualTo(77);
      assertClose(
          model.encodeImages(tensor("images")), "image_features_" + suffix, dtype, tolerance);
      assertClose(model.encodeTexts(tensor("tokens")), "text_features_" + suffix, dtype, tolerance);
    }
  }

  private static void assertClose(Tensor actual, String name, Dtype dtype, double tolerance) {
    assertThat(actual.scalar_type().intern()).isEqualTo(dtype.scalarType());
    double[] expected = GOLDEN.get(name).asDouble();
    double[] values = Tensors.toDoubles(actual);
    assertThat(values).hasSameSizeAs(expected);
    for (int i = 0; i < values.length; i++) {
      assertThat(values[i]).as("%s[%d]", name, i).isCloseTo(expected[i], within(tolerance));
    }
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32,f32,1e-4", "FLOAT64,f64,1e-9"})
  void featuresEqualTheReference(Dtype dtype, String suffix, double tolerance) {
    assertFeatures(golden("clip_tiny.pt"), dtype, suffix, tolerance);
  }

  /** As OpenAI's files: traced on a GPU in half precision, weights stored for it. */
  @ParameterizedTest
  @CsvSource({"FLOAT32,f32,1e-4", "FLOAT64,f64,1e-9"})
  void archivesTracedOnAGpuInHalfPrecisionRunHere(Dtype dtype, String suffix, double tolerance) {
    Path traced = ClipArchives.tracedOnGpu(golden("clip_tiny.pt"), folder.resolve("cuda.pt"));
    ZipArchive zip = ZipArchive.of(Bytes.ofFile(traced), "cuda.pt");
    Bytes code = zip.read("clip_tiny/code/__torch__/clip/model.py");
    assertThat(new String(code.get(0, (int) code.length())))
        .contains("torch.device(\"cuda:0\"), 5)")
        .doesNotContain("torch.device(\"cpu\")")
        .contains("dtype=5");
    assertFeatures(traced, dtype, suffix, tolerance);
  }

  @Test
  void codeIsRewrittenOnlyWhereItNamesTypesAndDevices() {
    String code =
        """
        x = torch.to(torch.add(a, torch.to(b, 5), alpha=5), torch.device("cuda:0"), 5, False, 6)
        y = torch.to(c, torch.device("cuda"), 4)
        z = torch.transpose(x, 5, 6)
        w = torch.zeros([5, 1], dtype=5, layout=None, device=torch.device("cuda:1"))
        v = torch.arange(5, dtype=4)
        """;
    assertThat(ScriptCode.code(code, Dtype.FLOAT32))
        .isEqualTo(
            """
            x = torch.to(torch.add(a, torch.to(b, 6), alpha=5), torch.device("cpu"), 6, False, 6)
            y = torch.to(c, torch.device("cpu"), 4)
            z = torch.transpose(x, 5, 6)
            w = torch.zeros([5, 1], dtype=6, layout=None, device=torch.device("cpu"))
            v = torch.arange(5, dtype=4)
            """);
    assertThat(ScriptCode.code("torch.to(x, 6)", Dtype.FLOAT64)).isEqualTo("torch.to(x, 7)");
  }

  @Test
  void archivesWithoutTheMethodsAreRefused() {
    assertThatThrownBy(() -> ClipModel.open(ClipArchives.other(), Dtype.FLOAT32))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("encode_image and encode_text")
        .hasMessageContaining("it has [");
    assertThatThrownBy(() -> ClipModel.open(golden("a1n.pt"), Dtype.FLOAT32))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected a TorchScript archive");
  }

  @Test
  void wrongImagesAndTokensAreRefused() {
    try (PointerScope scope = new PointerScope();
        ClipModel model = ClipModel.open(golden("clip_tiny.pt"), Dtype.FLOAT32)) {
      assertThatThrownBy(() -> model.encodeImages(tensor("images").narrow(3, 0, 16)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("[N,3,32,32]");
      assertThatThrownBy(() -> model.encodeTexts(tensor("tokens").narrow(1, 0, 10)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("[K,77]");
      assertThatThrownBy(() -> model.encodeTexts(Tensors.of(new long[77], 1, 77).sub_(scalarOne())))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("got -1");
    }
  }

  private static org.bytedeco.pytorch.Scalar scalarOne() {
    return new org.bytedeco.pytorch.Scalar(1);
  }
}
