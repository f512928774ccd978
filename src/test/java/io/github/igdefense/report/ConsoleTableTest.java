package io.github.igdefense.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConsoleTableTest {
  @Test
  void showsEveryMeasureWithTheWorstCaseBelowTheAttacks() {
    String table = ConsoleTable.text(SampleReport.demo());
    assertThat(table.lines().limit(13))
        .containsExactly(
            "IG-Defense on Fashion-MNIST: accuracy in % over 1000 images, L∞, ε = 0.1",
            "",
            "                       Base model    IG-Defense  IG-Defense + smoothing",
            "───────────────────────────────────────────────────────────────────────",
            "clean                        83.5  83.1  (−0.4)            82.2  (−1.3)",
            "APGD-CE                      65.1  70.4  (+5.3)            73.1  (+8.0)",
            "APGD-T (DLR)                 63.4  68.9  (+5.5)            71.8  (+8.4)",
            "transfer APGD-CE                –  64.7                    65.8",
            "transfer APGD-T (DLR)           –  63.3                    64.6",
            "───────────────────────────────────────────────────────────────────────",
            "worst case                   63.1  62.9  (−0.2)            63.4  (+0.3)",
            "  95 % interval         60.1–66.0     59.9–65.8               60.4–66.3",
            "inference time              1.00×         1.04×                   2.01×");
    assertThat(table).contains("caution: Without smoothing").doesNotContain("\u202f");
  }

  @Test
  void showsTheStagesOfAutoAttackAndCallsScreeningScreening() {
    String table = ConsoleTable.text(SampleReport.cascade());
    assertThat(table.lines().skip(4).limit(6).map(line -> line.replaceAll(" {2,}", "  ").strip()))
        .containsExactly(
            "clean  83.5",
            "after APGD-CE  65.1",
            "after Square  61.2",
            "autoattack  61.2",
            "─".repeat(table.lines().toList().get(3).length()),
            "worst case (screening)  61.0");
    assertThat(table).contains("screening, not a robustness claim");
    assertThat(HtmlReport.text(SampleReport.cascade()))
        .contains("Worst case (screening)", "after Square", "not a robustness claim");
    assertThat(ConsoleTable.text(SampleReport.single())).contains("AutoAttack").contains("not run");
  }

  @Test
  void fallsBackToAsciiWhereTheOutputCannotShowMore() {
    String table = ConsoleTable.text(SampleReport.demo(), StandardCharsets.US_ASCII);
    assertThat(table.chars()).allMatch(c -> c == '\n' || c >= 0x20 && c < 0x7f);
    assertThat(table)
        .contains("Linf, eps = 0.1", "(-0.2)", "60.1-66.0", "1.04x")
        .doesNotContain("?");
    assertThat(ConsoleTable.text(SampleReport.demo(), StandardCharsets.UTF_8))
        .isEqualTo(ConsoleTable.text(SampleReport.demo()));
  }

  @Test
  void alignsWideAndCombiningCharactersAndDropsControls() {
    ClassifierResult.Builder base = ClassifierResult.builder("a").title("モデル").clean(.5);
    ClassifierResult other =
        ClassifierResult.builder("b")
            .title("re\u0301seau \u001b[31m" + "x".repeat(60))
            .clean(.25)
            .build();
    String table =
        ConsoleTable.text(
            SampleReport.builder("eval").classifier(base.build()).classifier(other).build());
    assertThat(table).doesNotContain("\u001b").contains("…");
    List<String> lines = table.lines().toList();
    assertThat(Text.width("モデル")).isEqualTo(6);
    assertThat(Text.width("re\u0301seau")).isEqualTo(6);
    assertThat(Text.width(lines.get(2))).isEqualTo(Text.width(lines.get(3)));
    assertThat(Text.width(lines.get(4).substring(0, lines.get(4).indexOf("50.0") + 4)))
        .isEqualTo(Text.width(lines.get(2).substring(0, lines.get(2).indexOf("モデル") + 3)));
  }
}
