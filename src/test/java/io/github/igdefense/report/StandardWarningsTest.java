package io.github.igdefense.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class StandardWarningsTest {
  private static List<String> codes(RunReport report) {
    return report.withStandardWarnings().warnings().stream().map(Warning::code).toList();
  }

  private static ClassifierResult.Builder sound(String name) {
    return ClassifierResult.builder(name).clean(.8).attack("a", .6).worstCase(.6, .58, .62);
  }

  private static RunReport.Builder run() {
    return SampleReport.builder("eval").classNames(List.of());
  }

  @Test
  void aSoundResultOfOneClassifierNeedsNone() {
    assertThat(codes(run().classifier(sound("base").build()).build())).isEmpty();
  }

  @Test
  void aWorstCaseAboveAnyOfItsColumnsIsAProblem() {
    ClassifierResult base = sound("base").build();
    for (ClassifierResult wrong :
        List.of(
            sound("d").transfer("a", .7).clean(.59).build(),
            sound("d").transfer("a", .7).attack("b", .599).build(),
            sound("d").transfer("a", .599).build())) {
      RunReport report = run().classifier(base).classifier(wrong).build();
      assertThat(codes(report)).contains("worst_case_exceeds_column");
      assertThat(report.withStandardWarnings().warnings().get(0).level())
          .isEqualTo(Warning.Level.PROBLEM);
    }
    ClassifierResult equal = sound("d").transfer("a", .6).build();
    assertThat(codes(run().classifier(base).classifier(equal).build()))
        .doesNotContain("worst_case_exceeds_column");
  }

  @Test
  void directAttacksFarAboveTheWorstCaseMislead() {
    ClassifierResult base = sound("base").build();
    ClassifierResult far =
        ClassifierResult.builder("d")
            .clean(.8)
            .attack("a", .7)
            .transfer("a", .5)
            .worstCase(.5, .48, .52)
            .build();
    assertThat(codes(run().classifier(base).classifier(far).build()))
        .containsExactly("direct_attacks_mislead");
    ClassifierResult near =
        ClassifierResult.builder("d")
            .clean(.8)
            .attack("a", .52)
            .transfer("a", .5)
            .worstCase(.5, .48, .52)
            .build();
    assertThat(codes(run().classifier(base).classifier(near).build())).isEmpty();
  }

  @Test
  void aDefenseWithoutTransferIsNamed() {
    RunReport report =
        run()
            .classifier(sound("base").build())
            .classifier(sound("d").title("The defense").worstCase(.5, .4, .5).build())
            .build();
    assertThat(codes(report)).containsExactly("no_transfer");
    assertThat(report.withStandardWarnings().warnings().get(0).text()).contains("The defense");
  }

  @Test
  void overlappingIntervalsShowNoDifference() {
    ClassifierResult base = sound("base").build();
    ClassifierResult touching = sound("d").transfer("a", .6).worstCase(.6, .62, .66).build();
    assertThat(codes(run().classifier(base).classifier(touching).build()))
        .containsExactly("intervals_overlap");
    ClassifierResult apart = sound("d").transfer("a", .6).worstCase(.6, .6201, .66).build();
    assertThat(codes(run().classifier(base).classifier(apart).build())).isEmpty();
    String page = HtmlReport.text(run().classifier(base).classifier(touching).build());
    assertThat(page).contains("no more than the sampling of images explains");
    assertThat(HtmlReport.text(run().classifier(base).classifier(apart).build()))
        .contains(", more than the sampling of images explains");
  }

  @Test
  void fewImagesAreAScreening() {
    ClassifierResult base = sound("base").build();
    assertThat(codes(run().provenance(SampleReport.provenance(499, 499)).classifier(base).build()))
        .containsExactly("screening");
    assertThat(codes(run().provenance(SampleReport.provenance(500, 500)).classifier(base).build()))
        .isEmpty();
    assertThat(codes(run().provenance(SampleReport.provenance(600, 500)).classifier(base).build()))
        .containsExactly("fewer_images");
  }

  @Test
  void oneDrawOfARandomisedClassifierIsNoVerdict() {
    ClassifierResult smoothed = sound("base").smoothing(.02, 1).build();
    assertThat(codes(run().classifier(smoothed).build())).isEmpty();
    assertThat(
            codes(run().settings(Settings.threat("Linf", .1, null)).classifier(smoothed).build()))
        .containsExactly("single_draw");
  }

  @Test
  void aRankingWithTheSameUnitsForAllClassesIsDegenerate() {
    double[][] importance = new double[20][3];
    for (int u = 0; u < 20; u++) {
      importance[u] = new double[] {u, u, u};
    }
    RankingPicture same =
        new RankingPicture("loir", "layer4", 20, 5, List.of("a", "b", "c"), importance);
    ClassifierResult base = sound("base").build();
    assertThat(codes(run().classifier(base).ranking(same).build()))
        .containsExactly("degenerate_ranking");
    assertThat(codes(run().classifier(base).ranking(SampleReport.ranking(128, 25)).build()))
        .isEmpty();
  }

  @Test
  void addingThemTwiceChangesNothing() {
    RunReport once = SampleReport.demo().withStandardWarnings();
    assertThat(once.warnings()).hasSizeGreaterThan(SampleReport.demo().warnings().size());
    assertThat(once.withStandardWarnings()).isEqualTo(once);
  }

  @Test
  void topUnitsBreakTiesTowardsTheLowerUnit() {
    double[][] importance = {{1, 0}, {2, 0}, {1, 0}, {0, 5}};
    TopUnits top =
        TopUnits.of(new RankingPicture("loir", "l", 4, 2, List.of("a", "b"), importance));
    assertThat(
            new boolean[] {
              top.contains(0, 0), top.contains(0, 1), top.contains(0, 2), top.contains(0, 3)
            })
        .containsExactly(true, true, false, false);
    assertThat(
            new boolean[] {
              top.contains(1, 0), top.contains(1, 1), top.contains(1, 2), top.contains(1, 3)
            })
        .containsExactly(true, false, false, true);
    assertThat(top.meanShared()).isEqualTo(.5);
  }
}
