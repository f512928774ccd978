package io.github.igdefense.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Archives, sound and hostile. */
class TarArchiveTest {
  private static final byte[] CONTENT = {1, 2, 3};

  private static Map<String, byte[]> read(byte[] archive) {
    return TarArchive.read(Bytes.of(archive), "x.tar", Set.of("a", "b"), found -> false);
  }

  private static byte[] tar(Object... parts) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (Object part : parts) {
      if (part instanceof String name) {
        Tars.entry(out, name, CONTENT);
      } else {
        out.write((byte[]) part);
      }
    }
    out.write(new byte[1024]);
    return out.toByteArray();
  }

  private static byte[] gzip(byte[] content) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (OutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(content);
    }
    return out.toByteArray();
  }

  private static void refused(byte[] archive, String... parts) {
    assertThatThrownBy(() -> read(archive))
        .isInstanceOf(InputException.class)
        .message()
        .contains("x.tar")
        .contains(parts);
  }

  @Test
  void wantedFilesAreFoundWhereverTheyLie() throws IOException {
    byte[] archive = tar(Tars.header("d/", 0, '5'), "d/other", "d/e/b", "./a");
    for (byte[] form : new byte[][] {archive, gzip(archive)}) {
      assertThat(read(form)).containsOnlyKeys("a", "b").containsEntry("a", CONTENT);
    }
    byte[] early = tar("a", new byte[] {1});
    assertThat(TarArchive.read(Bytes.of(early), "x", Set.of("a"), found -> found.contains("a")))
        .containsOnlyKeys("a");
  }

  @ParameterizedTest
  @ValueSource(strings = {"../a", "d/../../a", "/a", "d\\a", ".."})
  void namesThatLeaveTheDirectoryAreRefused(String name) throws IOException {
    refused(tar(name), "leaves", "nothing was extracted");
  }

  @Test
  void duplicatesLinksAndDamageAreRefused() throws IOException {
    refused(tar("a", "d/a"), "twice");
    // A symbolic link or directory is no file of that name.
    assertThat(read(tar(Tars.header("a", 0, '2'), Tars.header("b", 0, '5')))).isEmpty();
    byte[] sound = tar("d/other", "a");
    refused(Arrays.copyOf(sound, 1500), "cut off");
    refused(Arrays.copyOf(sound, 1100), "damaged or cut off");
    refused(Arrays.copyOf(gzip(sound), 60), "x.tar");
    refused(new byte[0], "another file");
    refused("<html>quota</html>".getBytes(java.nio.charset.StandardCharsets.UTF_8), "another file");
    byte[] wrong = sound.clone();
    wrong[130] ^= 1;
    refused(wrong, "another file");
  }

  @Test
  void declaredSizesReserveNothing() throws IOException {
    refused(tar(Tars.header("a", (1L << 28) + 1, '0')), "256 MiB");
    refused(tar(Tars.header("a", 1L << 28, '0')), "cut off");
    refused(tar(Tars.header("a", 077777777777L, '0')), "256 MiB");
    byte[] base256 = Tars.header("a", 1, '0');
    base256[124] = (byte) 0x80;
    refused(tar(base256), "another file");
  }

  /** A gigabyte of zeros in a megabyte of gzip: read on the fly, and only so far. */
  @Test
  void gzipBombsEnd() throws IOException {
    ByteArrayOutputStream one = new ByteArrayOutputStream();
    byte[] zeros = new byte[1 << 20];
    try (OutputStream gzip = new GZIPOutputStream(one)) {
      gzip.write(Tars.header("other", 1L << 28, '0'));
      for (int i = 0; i < 256; i++) {
        gzip.write(zeros);
      }
    }
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (int entry = 0; entry < 5; entry++) {
      all.write(one.toByteArray()); // gzip files one after the other are one
    }
    assertThat(all.size()).isLessThan(2 << 20);
    refused(all.toByteArray(), "1 GiB in all");
  }

  @Test
  void mutatedArchivesAreReadOrRefused() throws Exception {
    byte[] plain = tar("d/a", "d/other", "b");
    Random random = new Random(21);
    for (byte[] original : new byte[][] {plain, gzip(plain)}) {
      for (int i = 0; i < 5000; i++) {
        byte[] content = GoldenFiles.mutate(original, random);
        NpyTest.check(() -> read(content), i);
      }
    }
  }
}
