package io.github.igdefense.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.igdefense.evaluation.EvaluationResult;
import io.github.igdefense.evaluation.Sweep;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Pages, JSON and tables of studies. */
class StudyPageTest {
  @Test
  void pagesHoldWhatAReaderNeeds() {
    for (StudyReport report : SampleStudies.all()) {
      String page = StudyPage.text(report);
      assertThat(page)
          .as(report.kind())
          .contains("What these numbers do not prove", "Provenance", "To repeat it")
          .contains("scripts/igd " + report.kind())
          .doesNotContain("NaN", "null", "<script", "http://", "https://", "{{");
      assertThat(report.limits()).as(report.kind()).isNotEmpty();
      assertThat(report.summary()).as(report.kind()).isNotEmpty();
      assertThat(report.words()).as(report.kind()).isNotEmpty();
    }
  }

  @Test
  void theAnalysisSaysSignsAndIntervals() {
    String page = StudyPage.text(SampleStudies.analysis());
    assertThat(page)
        .contains("−33.3\u202f%", "+32.6\u202f%", "down and up, as the paper found.")
        .contains("Successful attacks, 170 images", "Failed attacks, 241 images")
        .contains("Other classes", "Remaining classes");
    // Bars to the left of the zero line for falls, to the right for rises.
    Matcher zero = Pattern.compile("class=\"zero\" x1=\"([0-9.]+)%").matcher(page);
    assertThat(zero.find()).isTrue();
    double middle = Double.parseDouble(zero.group(1));
    Matcher down = Pattern.compile("class=\"down\" x=\"([0-9.]+)%\"").matcher(page);
    Matcher up = Pattern.compile("class=\"up\" x=\"([0-9.]+)%\"").matcher(page);
    assertThat(down.find()).isTrue();
    assertThat(up.find()).isTrue();
    assertThat(Double.parseDouble(down.group(1))).isLessThan(middle);
    assertThat(Double.parseDouble(up.group(1))).isEqualTo(middle);
  }

  @Test
  void jsonHoldsTheNumbersUnrounded() throws Exception {
    JsonNode sweep = new ObjectMapper().readTree(StudyJson.text(SampleStudies.sweep()));
    assertThat(sweep.path("schema_version").asInt()).isEqualTo(StudyReport.SCHEMA_VERSION);
    assertThat(sweep.path("kind").asText()).isEqualTo("study sweep");
    assertThat(sweep.at("/data/over").asText()).isEqualTo("keep");
    assertThat(sweep.at("/data/points")).hasSize(5);
    assertThat(sweep.at("/data/points/2/defended/worst_case/accuracy").asDouble()).isEqualTo(.5301);
    assertThat(sweep.at("/data/points/2/base/attacks/apgd-ce/accuracy").asDouble())
        .isEqualTo(.5054);
    assertThat(sweep.has("sections")).isFalse();
    JsonNode analysis = new ObjectMapper().readTree(StudyJson.line(SampleStudies.analysis()));
    assertThat(analysis.at("/data/analysis/successful/changes/0/group").asText())
        .isEqualTo("true_class");
    assertThat(analysis.at("/data/analysis/failed/changes/2/percent").isNull()).isTrue();
    JsonNode warnings = analysis.path("warnings");
    assertThat(warnings.isArray()).isTrue();
  }

  @Test
  void jsonFitsTheDocumentedSchema() throws Exception {
    ObjectMapper mapper = new ObjectMapper();
    JsonNode schema = mapper.readTree(Path.of("docs/study-schema.json").toFile());
    for (StudyReport report : SampleStudies.all()) {
      List<String> violations = new ArrayList<>();
      String text = StudyJson.text(report);
      // The form of data depends on the kind; the other tests look into it.
      ObjectNode json = (ObjectNode) mapper.readTree(text);
      assertThat(json.path("data").isObject()).isTrue();
      json.set("data", mapper.createObjectNode());
      ResultJsonTest.check(schema, json, "$", violations);
      assertThat(violations).as(report.kind()).isEmpty();
      json.put("kind", report.kind().replace("study", "study of"));
      ResultJsonTest.check(schema, json, "$", violations);
      assertThat(violations.isEmpty()).isEqualTo(report.kind().equals("analyze"));
    }
  }

  @Test
  void aSweepOverTheAttackNamesNoBestValue() {
    EvaluationResult base = SampleStudies.result("rn18", .8, .5, null);
    List<Sweep.Point> points =
        List.of(
            new Sweep.Point("2/255", base, SampleStudies.result("d", .8, .7, .6)),
            new Sweep.Point("8/255", base, SampleStudies.result("d", .8, .5, .4)));
    StudyReport.Builder eps = SampleStudies.builder("study sweep");
    StudyReports.sweep(eps, Sweep.Over.EPS, points);
    assertThat(eps.build().summary()).singleElement().asString().contains("from 60.0", "to 40.0");
    StudyReport.Builder keep = SampleStudies.builder("study sweep");
    StudyReports.sweep(keep, Sweep.Over.KEEP, points);
    assertThat(keep.build().summary()).singleElement().asString().contains("highest, 60.0");
  }

  @Test
  void fewImagesAreWarnedOfOnce() {
    StudyReport few =
        SampleStudies.builder("x")
            .provenance(Provenance.builder().data("d", "e", 20, 20).build())
            .build();
    assertThat(few.withStandardWarnings().withStandardWarnings().warnings())
        .extracting(Warning::code)
        .containsExactly("screening");
    assertThat(StudyTable.text(few)).contains("Only 20 images");
  }

  @Test
  void terminalTablesAlign() {
    List<String> lines = StudyTable.text(SampleStudies.keep()).lines().toList();
    int head = lines.indexOf(lines.stream().filter(l -> l.startsWith("k  ")).findFirst().get());
    assertThat(lines.subList(head, head + 6)).allMatch(l -> l.length() == lines.get(head).length());
  }

  @Test
  void textIsEscapedAndMisfitsAreRefused() {
    String page = StudyPage.text(SampleStudies.hostile("<script>alert(1)</script>{{css}}"));
    assertThat(page).doesNotContain("<script");
    assertThatThrownBy(() -> new Block.Table("c", List.of("a", "b"), List.of(List.of("only one"))))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(
            () ->
                new Block.Curves(
                    "c",
                    "x",
                    List.of("1", "2"),
                    List.of(new Block.Series("s", List.of(.1), null, null))))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
