package io.github.igdefense.model;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.function.UnaryOperator;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Archives that Python's torch exported compute what Python computed. */
class TorchScriptArchiveTest {
  static Path sample(String name) {
    return golden("../torchscript/" + name);
  }

  private static final Npz EXPECTED = Npz.open(sample("small_expected.npz"));

  @Test
  void methodsGiveTheValuesOfPython() {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false);
        TorchScriptArchive archive = TorchScriptArchive.open(sample("small.pt"))) {
      assertThat(archive.methods()).contains("prefix", "suffix", "forward");
      assertThat(archive.hasMethod("pair")).isFalse();
      archive.to(Dtype.FLOAT64);
      Tensor x = Tensors.of(EXPECTED.get("x").asDouble(), EXPECTED.get("x").shape());
      Tensor activation = archive.call("prefix", x);
      assertThat(Tensors.shape(activation)).isEqualTo(EXPECTED.get("activation").shape());
      assertThat(distance(activation, "activation")).isLessThan(1e-12);
      assertThat(distance(archive.call("suffix", activation), "logits")).isLessThan(1e-12);
      assertThat(archive.call("forward", x).equal(archive.call("suffix", activation))).isTrue();
    }
  }

  @Test
  void gradientsReachTheInputAndOnlyTheInput() {
    try (PointerScope scope = new PointerScope();
        TorchScriptArchive archive = TorchScriptArchive.open(sample("small.pt"))) {
      archive.to(Dtype.FLOAT64);
      Tensor x = Tensors.of(EXPECTED.get("x").asDouble(), EXPECTED.get("x").shape());
      long[] y = EXPECTED.get("y").asLong();
      for (int repeat = 0; repeat < 3; repeat++) { // the interpreter optimises after the first runs
        Tensor gradient =
            Gradients.of(
                    x,
                    images -> archive.call("forward", images),
                    logits ->
                        torch
                            .log_softmax(logits, 1)
                            .gather(1, Tensors.of(y, y.length, 1))
                            .neg()
                            .squeeze(1))
                .gradient();
        assertThat(distance(gradient, "gradient")).isLessThan(1e-12);
      }
      try (AutoGradMode on = new AutoGradMode(true)) {
        assertThat(archive.call("forward", x).requires_grad()).isFalse();
      }
    }
  }

  private static double distance(Tensor tensor, String name) {
    double[] expected = EXPECTED.get(name).asDouble();
    double[] values = Tensors.toDoubles(tensor);
    assertThat(values.length).isEqualTo(expected.length);
    double most = 0;
    for (int i = 0; i < values.length; i++) {
      most = Math.max(most, Math.abs(values[i] - expected[i]));
    }
    return most;
  }

  @Test
  void resultsOutliveTheCallAndTheArchive() {
    try (PointerScope scope = new PointerScope()) {
      Tensor logits;
      try (TorchScriptArchive archive = TorchScriptArchive.open(sample("small.pt"))) {
        Tensor x = torch.zeros(2, 3, 16, 16);
        logits = archive.call("forward", x);
      }
      float[] before = Tensors.toFloats(logits);
      Tensor other = torch.ones(4096);
      assertThat(Tensors.toFloats(logits)).isEqualTo(before).hasSize(10);
      assertThat(other.numel()).isEqualTo(4096);
    }
  }

  @Test
  void otherMethodsResultsAndInputsAreErrors() {
    try (PointerScope scope = new PointerScope();
        TorchScriptArchive archive = TorchScriptArchive.open(sample("flat.pt"))) {
      Tensor x = torch.zeros(2, 1, 4, 4);
      assertThatThrownBy(() -> archive.call("logits", x))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("'logits'")
          .hasMessageContaining("prefix")
          .hasMessageContaining("flat.pt");
      assertThatThrownBy(() -> archive.call("pair", x))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("Tuple");
      assertThatThrownBy(() -> archive.call("prefix", torch.zeros(2, 3, 4, 4)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("[2, 3, 4, 4]")
          .hasMessageContaining("48");
      archive.close();
      archive.close();
      assertThatThrownBy(() -> archive.call("prefix", x)).isInstanceOf(IllegalStateException.class);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"a1n.pt", "a1n_legacy.pt", "images32.npz", "truncated.pt"})
  void otherFilesAreNamed(String name) {
    assertThatThrownBy(() -> TorchScriptArchive.open(golden(name)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(name);
  }

  @Test
  void damagedArchivesAreRefused(@TempDir Path directory) throws Exception {
    byte[] original = Files.readAllBytes(sample("small.pt"));
    Path cut = directory.resolve("cut.pt");
    Files.write(cut, Arrays.copyOf(original, original.length / 2));
    assertThatThrownBy(() -> TorchScriptArchive.open(cut)).isInstanceOf(InputException.class);
    byte[] flipped = original.clone();
    flipped[original.length / 3] ^= 1;
    Path flip = directory.resolve("flip.pt");
    Files.write(flip, flipped);
    assertThatThrownBy(() -> TorchScriptArchive.open(flip))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("flip.pt");
    Path code = directory.resolve("code.pt");
    rewrite(sample("small.pt"), code, text -> text.replace("def ", "daf "));
    assertThatThrownBy(() -> TorchScriptArchive.open(code))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("code.pt");
    rewrite(sample("small.pt"), code, text -> text);
    TorchScriptArchive.open(code).close();
    assertThatThrownBy(() -> TorchScriptArchive.open(directory.resolve("none.pt")))
        .isInstanceOf(InputException.class);
  }

  private static void rewrite(Path from, Path to, UnaryOperator<String> code) throws Exception {
    try (ZipFile zip = new ZipFile(from.toFile());
        ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(to))) {
      for (ZipEntry entry : Collections.list(zip.entries())) {
        byte[] content = zip.getInputStream(entry).readAllBytes();
        if (entry.getName().endsWith(".py")) {
          content = code.apply(new String(content, StandardCharsets.UTF_8)).getBytes("UTF-8");
        }
        out.putNextEntry(new ZipEntry(entry.getName()));
        out.write(content);
        out.closeEntry();
      }
    }
  }
}
