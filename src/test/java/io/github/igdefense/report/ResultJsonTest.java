package io.github.igdefense.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.igdefense.data.InputException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ResultJsonTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  @TempDir Path folder;

  static Stream<RunReport> reports() {
    return Stream.of(
        SampleReport.demo(), SampleReport.single(), SampleReport.cascade(), SampleReport.bare());
  }

  @ParameterizedTest(name = "{index}")
  @MethodSource("reports")
  void readingGivesBackWhatWasWrittenButForPictures(RunReport report) {
    Path file = folder.resolve("sub/result.json");
    ResultJson.write(file, report);
    assertThat(ResultJson.read(file))
        .isEqualTo(SampleReport.withoutPictures(report.withStandardWarnings()));
    assertThat(ResultJson.text(ResultJson.read(file))).isEqualTo(ResultJson.text(report));
  }

  @ParameterizedTest(name = "{index}")
  @MethodSource("reports")
  void everyKeyIsDocumentedAndEveryDocumentedKeyIsThere(RunReport report) throws Exception {
    JsonNode schema = MAPPER.readTree(Path.of("docs/result-schema.json").toFile());
    List<String> violations = new ArrayList<>();
    check(schema, MAPPER.readTree(ResultJson.text(report)), "$", violations);
    assertThat(violations).isEmpty();
  }

  @Test
  void theSchemaCheckNoticesWhatDoesNotFit() throws Exception {
    JsonNode schema = MAPPER.readTree(Path.of("docs/result-schema.json").toFile());
    String text = ResultJson.line(SampleReport.demo());
    for (String[] change :
        new String[][] {
          {"\"keep\":", "\"kept\":"},
          {"\"seconds\":252.4", "\"seconds\":\"252.4\""},
          {"\"worst_case\":0.629", "\"worst_case\":62.9"},
          {"\"level\":\"note\"", "\"level\":\"hint\""}
        }) {
      List<String> violations = new ArrayList<>();
      assertThat(text).contains(change[0]);
      check(schema, MAPPER.readTree(text.replace(change[0], change[1])), "$", violations);
      assertThat(violations).as(change[1]).isNotEmpty();
    }
  }

  /** The parts of JSON Schema that the documented one uses. */
  private static void check(JsonNode schema, JsonNode value, String at, List<String> violations) {
    List<String> types = new ArrayList<>();
    JsonNode type = schema.get("type");
    (type.isArray() ? type : List.of(type)).forEach(t -> types.add(t.asText()));
    String actual =
        switch (value.getNodeType()) {
          case OBJECT -> "object";
          case ARRAY -> "array";
          case STRING -> "string";
          case NULL -> "null";
          case NUMBER ->
              value.isIntegralNumber() && types.contains("integer") ? "integer" : "number";
          default -> value.getNodeType().name();
        };
    if (!types.contains(actual)) {
      violations.add(at + ": " + actual + " is none of " + types);
    }
    if (value.isNumber()
        && (schema.has("minimum") && value.asDouble() < schema.get("minimum").asDouble()
            || schema.has("maximum") && value.asDouble() > schema.get("maximum").asDouble())) {
      violations.add(at + ": " + value + " is out of range");
    }
    if (schema.has("const") && !schema.get("const").equals(value)) {
      violations.add(at + ": " + value + " is not " + schema.get("const"));
    }
    if (schema.has("enum") && !Set.copyOf(elements(schema.get("enum"))).contains(value)) {
      violations.add(at + ": " + value + " is none of " + schema.get("enum"));
    }
    if (value.isArray()) {
      elements(value).forEach(e -> check(schema.get("items"), e, at + "[]", violations));
    }
    if (value.isObject() && schema.has("properties")) {
      List<String> documented = names(schema.get("properties"));
      assertThat(elements(schema.get("required")).stream().map(JsonNode::asText))
          .isEqualTo(documented);
      if (!names(value).equals(documented)) {
        violations.add(at + ": keys " + names(value) + " instead of " + documented);
        return;
      }
      documented.forEach(
          k -> check(schema.get("properties").get(k), value.get(k), at + "." + k, violations));
    } else if (value.isObject()) {
      names(value)
          .forEach(
              k ->
                  check(
                      schema.get("additionalProperties"), value.get(k), at + "." + k, violations));
    }
  }

  private static List<String> names(JsonNode object) {
    List<String> names = new ArrayList<>();
    object.fieldNames().forEachRemaining(names::add);
    return names;
  }

  private static List<JsonNode> elements(JsonNode array) {
    List<JsonNode> elements = new ArrayList<>();
    array.forEach(elements::add);
    return elements;
  }

  @Test
  void theTopHoldsTheEvaluatedClassifier() throws Exception {
    JsonNode json = MAPPER.readTree(ResultJson.line(SampleReport.demo()));
    assertThat(json.get("evaluated").asText()).isEqualTo("ig-defense-smoothed");
    assertThat(json.get("clean").doubleValue()).isEqualTo(.822);
    assertThat(json.get("attacks").get("apgd-t").doubleValue()).isEqualTo(.718);
    assertThat(json.get("transfer").get("apgd-ce").doubleValue()).isEqualTo(.658);
    assertThat(json.get("worst_case").doubleValue()).isEqualTo(.634);
    assertThat(json.get("classifiers")).hasSize(3);
    assertThat(json.get("classifiers").get(2).get("worst_case")).isEqualTo(json.get("worst_case"));
  }

  @Test
  void unknownNumbersAreNullAndNeverNaN() throws Exception {
    ClassifierResult classifier =
        ClassifierResult.builder("base")
            .clean(.5)
            .worstCase(.25, Double.NaN, Double.NaN)
            .inferenceTimeRatio(Double.NaN)
            .perClass(new double[] {.5, Double.NaN}, null)
            .build();
    RunReport report =
        SampleReport.builder("eval").classNames(List.of("a", "b")).classifier(classifier).build();
    String text = ResultJson.line(report);
    assertThat(text).doesNotContain("NaN");
    JsonNode json = MAPPER.readTree(text).get("classifiers").get(0);
    assertThat(json.get("worst_case_low").isNull()).isTrue();
    assertThat(json.get("inference_time_ratio").isNull()).isTrue();
    assertThat(json.get("per_class_clean").get(1).isNull()).isTrue();
    assertThat(HtmlReport.text(report)).doesNotContain("NaN").doesNotContain("null");
    assertThat(ConsoleTable.text(report)).doesNotContain("NaN").doesNotContain("null");
  }

  @Test
  void keysOfLaterMinorVersionsAreIgnored() throws Exception {
    Path file = folder.resolve("result.json");
    String text = ResultJson.text(SampleReport.demo());
    Files.writeString(file, text.replaceFirst("\\{", "{ \"something_new\": [1],"));
    assertThat(ResultJson.text(ResultJson.read(file))).isEqualTo(text);
  }

  @Test
  void whatIsNoResultIsRefusedWithAReason() throws Exception {
    String text = ResultJson.text(SampleReport.demo());
    Map<String, String> cases =
        Map.of(
            "",
            "schema_version 1",
            "[1, 2]",
            "schema_version 1",
            "{",
            "is not a result.json",
            "{\"schema_version\": 1}",
            "is not a result.json",
            text.replace("\"schema_version\" : 1", "\"schema_version\" : 2"),
            "got 2",
            text.replace("\"clean\" : 0.835", "\"clean\" : 83.5"),
            "fraction in [0,1]",
            text.replace("\"evaluated\" : \"ig-defense-smoothed\"", "\"evaluated\" : \"x\""),
            "got base and x",
            text.replace("\"seed\" : 0", "\"seed\" : 0, \"seed\" : 1"),
            "is not a result.json",
            text + "x",
            "is not a result.json");
    for (Map.Entry<String, String> entry : cases.entrySet()) {
      Path file = folder.resolve("bad.json");
      Files.writeString(file, entry.getKey());
      assertThatThrownBy(() -> ResultJson.read(file))
          .isInstanceOf(InputException.class)
          .hasMessageContaining(entry.getValue())
          .hasMessageContaining("bad.json");
    }
    assertThatThrownBy(() -> ResultJson.read(folder.resolve("none.json")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("no such file");
  }

  @Test
  void aFailedWriteLeavesNothingBehind() throws Exception {
    Path blocker = Files.writeString(folder.resolve("file"), "x");
    assertThatThrownBy(() -> ResultJson.write(blocker.resolve("result.json"), SampleReport.demo()))
        .isInstanceOf(UncheckedIOException.class);
    assertThatThrownBy(() -> HtmlReport.write(blocker.resolve("report.html"), SampleReport.demo()))
        .isInstanceOf(UncheckedIOException.class);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(blocker);
    }
  }
}
