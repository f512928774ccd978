package io.github.igdefense.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.tensor.CudaLibraries.Library;
import io.github.igdefense.tensor.CudaLibraries.Search;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Libraries are found, or reported with what to do, without ever being loaded. */
class CudaLibrariesTest {
  private static final Path OURS =
      Path.of("target/classes/io/github/igdefense/kernels/linux-x86_64");

  @TempDir Path folder;
  private Search search;

  @BeforeEach
  void lookOnlyHere() {
    search = new Search(List.of(folder), List.of());
  }

  private Library find(String name) {
    return search.library(name, "the thing");
  }

  @Test
  void everyWantedLibraryIsReportedOnce() {
    List<Library> found = CudaLibraries.find(new Search(List.of(), List.of()));
    assertThat(found).extracting(Library::name).doesNotHaveDuplicates();
    assertThat(found)
        .extracting(Library::name)
        .contains(
            "libcuda.so.1",
            "libcudart.so.13",
            "libcublas.so.13",
            "libcublasLt.so.13",
            "libcudnn.so.9",
            "libcufft.so.12",
            "libcusparse.so.12",
            "libcusolver.so.12",
            "libcurand.so.10",
            "libcufile.so.0",
            "libcupti.so.13",
            "libnccl.so.2");
    assertThat(found).allSatisfy(library -> assertThat(library.install()).isNotBlank());
  }

  @Test
  void aLibraryTellsItsVersionByItsFile() throws IOException {
    Files.copy(OURS.resolve("libjniigd_env.so"), folder.resolve("libcudnn.so.9.19.0"));
    Files.createSymbolicLink(folder.resolve("libcudnn.so.9"), Path.of("libcudnn.so.9.19.0"));
    Library library = find("libcudnn.so.9");
    assertThat(library.usable()).isTrue();
    assertThat(library.version()).isEqualTo("9.19.0");
    assertThat(library.path()).endsWith("libcudnn.so.9.19.0");
  }

  @Test
  void aMissingLibraryIsNamedWithItsRemedy() {
    Library library = find("libnothing.so.77");
    assertThat(library.usable()).isFalse();
    assertThat(library.path()).isNull();
    assertThat(CudaLibraries.missing(List.of(library)))
        .isEqualTo("missing libnothing.so.77: install the thing");
    assertThat(CudaLibraries.missing(List.of())).isNull();
  }

  @Test
  void aLibraryWithoutWhatItNeedsIsNotUsable() throws IOException {
    Files.copy(OURS.resolve("libjniIgdKernels.so"), folder.resolve("libcusolver.so.12"));
    Library library = find("libcusolver.so.12");
    assertThat(library.usable()).isFalse();
    assertThat(library.problem()).contains("libigd_kernels.so");
    // Beside it, where its RUNPATH points, what it needs is found.
    Files.copy(OURS.resolve("libigd_kernels.so"), folder.resolve("libigd_kernels.so"));
    Search elsewhere = new Search(List.of(), List.of(folder));
    assertThat(String.valueOf(elsewhere.library("libcusolver.so.12", "it").problem()))
        .doesNotContain("libigd_kernels.so");
  }

  @Test
  void brokenFilesAreReportedNotLoaded() throws IOException {
    Path file = folder.resolve("libcufft.so.12");
    Files.writeString(file, "this is a stub of text ".repeat(10));
    assertThat(find("libcufft.so.12").problem()).contains("ELF");
    byte[] good = Files.readAllBytes(OURS.resolve("libjniigd_env.so"));
    byte[] arm = good.clone();
    arm[18] = (byte) 183;
    Files.write(file, arm);
    assertThat(find("libcufft.so.12").problem()).contains("64-bit x86");
    Random random = new Random(1);
    for (int i = 0; i < 500; i++) {
      byte[] damaged = Arrays.copyOf(good, random.nextInt(good.length));
      for (int j = 0; j < 8 && damaged.length > 0; j++) {
        damaged[random.nextInt(Math.min(damaged.length, 2048))] = (byte) random.nextInt();
      }
      Files.write(file, damaged);
      Library library = find("libcufft.so.12");
      assertThat(library.usable() || library.problem() != null).isTrue();
    }
  }

  @Test
  void whatTheLinkerReadsIsReadRight() throws IOException {
    ElfFile elf = ElfFile.read(OURS.resolve("libjniIgdKernels.so"));
    assertThat(elf.needed()).contains("libigd_kernels.so", "libc.so.6");
    assertThat(elf.runPath()).containsExactly(OURS.toRealPath());
    assertThatThrownBy(() -> ElfFile.read(folder)).isInstanceOf(IOException.class);
  }
}
