package io.github.igdefense.model;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Token ids against those of the published tokenizer. */
class ClipTokenizerTest {
  /** The published vocabulary with only the merges that the golden texts use, at their places. */
  static Path vocabulary() {
    return golden("../clip/vocabulary.txt.gz");
  }

  private static final Npz GOLDEN = Npz.open(golden("tokenizer.npz"));

  @TempDir Path folder;

  @Test
  void idsEqualTheReference() throws IOException {
    ClipTokenizer tokenizer = ClipTokenizer.open(vocabulary());
    assertThat(tokenizer.size()).isEqualTo(49408);
    List<String> texts = new ArrayList<>();
    for (String line : Files.readString(golden("tokenizer_texts.txt")).split("\n", -1)) {
      texts.add(line.replace("\\t", "\t"));
    }
    long[] expected = GOLDEN.get("ids").asLong();
    int rows = (int) GOLDEN.get("ids").shape()[0];
    long[] actual = tokenizer.encode(texts.subList(0, rows), 77);
    for (int row = 0; row < rows; row++) {
      assertThat(Arrays.copyOfRange(actual, row * 77, row * 77 + 77))
          .as("'%s'", texts.get(row))
          .isEqualTo(Arrays.copyOfRange(expected, row * 77, row * 77 + 77));
    }
  }

  @Test
  void longTextsAreRefusedNotCut() {
    ClipTokenizer tokenizer = ClipTokenizer.open(vocabulary());
    String words = String.join(" ", Collections.nCopies(100, "word"));
    // The reference cuts them: start, 75 words, end.
    long[] cut = GOLDEN.get("long_truncated").asLong();
    List<Integer> tokens = tokenizer.tokens(words);
    assertThat(tokens).hasSize(100).allMatch(token -> token == cut[1]);
    assertThat(tokenizer.encode(List.of(words.substring(0, 75 * 5 - 1)), 77)).isEqualTo(cut);
    assertThatThrownBy(() -> tokenizer.encode(List.of("cat", words), 77))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("at most 75 tokens, got 100")
        .hasMessageContaining("word word");
  }

  @Test
  void htmlEntitiesBecomeCharacters() {
    ClipTokenizer tokenizer = ClipTokenizer.open(vocabulary());
    assertThat(tokenizer.tokens("salt &#38; pepper"))
        .isEqualTo(tokenizer.tokens("salt & pepper"))
        .isEqualTo(tokenizer.tokens("salt &amp;amp; pepper"))
        .isEqualTo(tokenizer.tokens(" Salt\n&#x26;\tPEPPER "));
  }

  @Test
  void otherFilesAreRefused() throws IOException {
    Path file = folder.resolve("v.txt");
    assertThatThrownBy(() -> ClipTokenizer.open(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("cannot read it");
    Files.writeString(file, "header\na b\nc d\n");
    assertThatThrownBy(() -> ClipTokenizer.open(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("it has 2 merges, not 48894");
    Files.writeString(file, "header\na b\none\n");
    assertThatThrownBy(() -> ClipTokenizer.open(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("line 3");
  }
}
