package io.github.igdefense.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFilesTest {
  @TempDir Path directory;

  @Test
  void replacesTheWholeFile() throws Exception {
    Path file = directory.resolve("sub/deeper/result.json");
    AtomicFiles.writeText(file, "a longer first content");
    AtomicFiles.writeText(file, "second");
    assertThat(file).hasContent("second");
    AtomicFiles.write(
        file,
        out -> {
          try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(1);
          }
        });
    assertThat(Files.size(file)).isGreaterThan(18);
    assertThat(file.getParent().toFile().list()).containsExactly("result.json");
  }

  @Test
  void failureLeavesTheOldContentAndNoRest() {
    Path file = directory.resolve("result.json");
    AtomicFiles.writeText(file, "old");
    assertThatThrownBy(
            () ->
                AtomicFiles.write(
                    file,
                    out -> {
                      out.write(new byte[1 << 18]);
                      throw new IOException("No space left on device");
                    }))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining("No space left on device")
        .hasMessageContaining("nothing was changed");
    assertThatThrownBy(
            () ->
                AtomicFiles.write(
                    file,
                    out -> {
                      throw new InputException("mine");
                    }))
        .isInstanceOf(InputException.class)
        .hasMessage("mine");
    assertThat(file).hasContent("old");
    assertThat(directory.toFile().list()).containsExactly("result.json");
    assertThatThrownBy(() -> AtomicFiles.writeText(directory, "x"))
        .isInstanceOf(UncheckedIOException.class);
  }

  @Test
  void placeThatCannotBeMadeIsReported() throws Exception {
    Path blocked = directory.resolve("file");
    Files.writeString(blocked, "");
    assertThatThrownBy(() -> AtomicFiles.writeText(blocked.resolve("below.json"), "x"))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining("below.json");
  }

  @Test
  void leftoversOfKilledProcessesAreDeletedAndNothingElse() throws Exception {
    Path target = directory.resolve("state.npz");
    Files.writeString(target, "whole");
    Files.writeString(directory.resolve(".state.npz.0a1b2c3d.tmp"), "half");
    Files.createDirectories(directory.resolve(".state.npz.9f.tmp").resolve("deep"));
    Files.writeString(directory.resolve(".other.npz.0a1b2c3d.tmp"), "another's");
    AtomicFiles.deleteLeftovers(target);
    try (Stream<Path> left = Files.list(directory)) {
      assertThat(left.map(path -> path.getFileName().toString()))
          .containsExactlyInAnyOrder("state.npz", ".other.npz.0a1b2c3d.tmp");
    }
  }
}
