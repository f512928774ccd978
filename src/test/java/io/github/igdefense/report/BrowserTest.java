package io.github.igdefense.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.CleanupMode;
import org.junit.jupiter.api.io.TempDir;

/** The page in a real browser, Chromium without a window. */
class BrowserTest {
  private static final List<String> PLACES =
      List.of("/usr/bin/chromium", "/usr/bin/chromium-browser");

  /** Runs inside the test's copy of the page and tells the wrapper what it measured. */
  private static final String PROBE =
      """
<script>
const errors = [];
addEventListener('error', e => errors.push(e.message || 'failed to load ' + e.target.outerHTML), true);
addEventListener('securitypolicyviolation', e => errors.push(e.violatedDirective));
addEventListener('load', () => {
  const root = document.documentElement;
  const scrolls = e => e.closest('.scroll') || e.closest('svg') || e.closest('.hidden');
  parent.postMessage({
    width: innerWidth, scrollWidth: root.scrollWidth, clientWidth: root.clientWidth,
    outside: [...document.body.querySelectorAll('*')]
      .filter(e => !scrolls(e) && e.getBoundingClientRect().right > root.clientWidth + .5)
      .map(e => e.outerHTML.slice(0, 90)),
    broken: [...document.images].filter(i => i.naturalWidth === 0).length,
    images: document.images.length, errors, text: document.body.innerText,
    paper: getComputedStyle(document.body).backgroundColor }, '*');
});
</script>
""";

  private static final String WRAPPER =
      """
<!doctype html><meta charset="utf-8"><body><script>
const seen = [];
addEventListener('message', e => {
  seen.push(e.data);
  if (seen.length === 2) {
    const bytes = new TextEncoder().encode(JSON.stringify(seen));
    document.title = 'DONE' + btoa(Array.from(bytes, b => String.fromCharCode(b)).join('')) + 'END';
  }
});
</script>
<iframe src="copy.html" style="width:1280px;height:900px;border:0"></iframe>
<iframe src="copy.html" style="width:400px;height:900px;border:0"></iframe>
""";

  @TempDir(cleanup = CleanupMode.ALWAYS)
  Path folder;

  private String chromium;

  @BeforeEach
  void find() {
    Optional<String> found =
        PLACES.stream().filter(p -> Files.isExecutable(Path.of(p))).findFirst();
    assumeTrue(
        found.isPresent(), "skipped: no Chromium at " + PLACES + "; apt-get install chromium");
    chromium = found.get();
  }

  private String run(List<String> options, Path page) throws Exception {
    List<String> command = new ArrayList<>();
    command.addAll(
        List.of(
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"));
    command.addAll(
        List.of("--no-first-run", "--enable-logging=stderr", "--virtual-time-budget=10000"));
    command.add("--user-data-dir=" + folder.resolve("profile"));
    command.addAll(options);
    command.addAll(List.of("--dump-dom", page.toUri().toString()));
    Path out = folder.resolve("out.txt");
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(out.toFile())
            .redirectError(folder.resolve("err.txt").toFile())
            .start();
    try {
      assertThat(process.waitFor(120, TimeUnit.SECONDS))
          .as("Chromium ends within two minutes")
          .isTrue();
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly().waitFor();
    }
    String errors = Files.readString(folder.resolve("err.txt"));
    assertThat(errors.lines().filter(line -> line.contains("CONSOLE")))
        .as("console messages")
        .isEmpty();
    return Files.readString(out);
  }

  /** What the page looks like at 1280 and at 400 px, in this order. */
  private List<JsonNode> measure(String page, String... options) throws Exception {
    String policy = "<meta http-equiv=\"Content-Security-Policy\"";
    assertThat(page).contains(policy, "</head>");
    String copy =
        page.replaceFirst(policy + "[^>]*>", "")
            .replaceFirst("</head>", Matcher.quoteReplacement(PROBE + "</head>"));
    Files.writeString(folder.resolve("copy.html"), copy);
    Path wrapper = Files.writeString(folder.resolve("wrapper.html"), WRAPPER);
    String dom = run(List.of(options), wrapper);
    Matcher done = Pattern.compile("DONE([A-Za-z0-9+/=]+)END").matcher(dom);
    assertThat(done.find()).as("both frames answered: %s", dom).isTrue();
    String json = new String(Base64.getDecoder().decode(done.group(1)), StandardCharsets.UTF_8);
    List<JsonNode> frames = new ArrayList<>();
    new ObjectMapper().readTree(json).forEach(frames::add);
    frames.sort((a, b) -> b.get("width").asInt() - a.get("width").asInt());
    assertThat(frames).extracting(f -> f.get("width").asInt()).containsExactly(1280, 400);
    return frames;
  }

  @Test
  void fitsWideAndNarrowScreensWithoutErrorsAndShowsTheKeyNumbers() throws Exception {
    for (RunReport report : List.of(SampleReport.demo(), SampleReport.single())) {
      for (JsonNode frame : measure(HtmlReport.text(report))) {
        String at = report.kind() + " at " + frame.get("width") + " px";
        assertThat(frame.get("errors")).as("errors, %s", at).isEmpty();
        assertThat(frame.get("outside")).as("outside the page, %s", at).isEmpty();
        assertThat(frame.get("scrollWidth").asInt())
            .as(at)
            .isLessThanOrEqualTo(frame.get("clientWidth").asInt());
        assertThat(frame.get("broken").asInt()).as("broken images, %s", at).isZero();
        assertThat(frame.get("text").asText())
            .contains("What these numbers do not prove", "63.1", "60.1–66.0");
        if (report.kind().equals("demo")) {
          assertThat(frame.get("images").asInt()).isEqualTo(6 * 3 + 1);
          assertThat(frame.get("text").asText())
              .contains(
                  "IG-Defense on Fashion-MNIST",
                  "Worst case",
                  "63.4",
                  "60.4–66.3",
                  "71.8",
                  "82.2",
                  "2.01×")
              .contains("the pseudo-label is attacked by transfer");
        }
      }
    }
  }

  @Test
  void studiesFitWideAndNarrowScreensToo() throws Exception {
    List<StudyReport> pages = new ArrayList<>(SampleStudies.all());
    pages.add(SampleStudies.hostile("<b onclick=alert(1)>\u202e'\""));
    pages.add(SampleStudies.hostile("x".repeat(300)));
    for (StudyReport report : pages) {
      for (JsonNode frame : measure(StudyPage.text(report))) {
        String at = report.kind() + " at " + frame.get("width") + " px";
        assertThat(frame.get("errors")).as("errors, %s", at).isEmpty();
        assertThat(frame.get("outside")).as("outside the page, %s", at).isEmpty();
        assertThat(frame.get("scrollWidth").asInt())
            .as(at)
            .isLessThanOrEqualTo(frame.get("clientWidth").asInt());
        String text = frame.get("text").asText();
        assertThat(text).as(at).contains("What these numbers do not prove");
        switch (report.kind()) {
          case "analyze" -> assertThat(text).contains("\u221233.3", "+32.6", "Unimportant");
          case "study sweep" -> assertThat(text).contains("53.3", "50.5", "IG-Defense, clean");
          case "study ablation" -> assertThat(text).contains("57.9", "LO-IR", "56.1");
          case "study keep" -> assertThat(text).contains("k = 48 keeps the accuracy", "81.8");
          case "study classes" -> assertThat(text).contains("Ankle boot", "worst on");
          default -> {}
        }
      }
    }
  }

  @Test
  void survivesHostileAndVeryLongNames() throws Exception {
    String longName = "x".repeat(400);
    RunReport long_ =
        SampleReport.builder("eval")
            .title(longName)
            .classNames(List.of(longName, "b"))
            .commandLine("igd eval " + longName)
            .settings(
                new Settings(
                    "Linf",
                    .1,
                    longName,
                    "loir",
                    longName,
                    1,
                    .01,
                    1,
                    1,
                    java.util.Map.of(longName, longName)))
            .attack(
                new AttackDescription(
                    "apgd-ce", longName, longName, java.util.Map.of(longName, longName)))
            .warning(Warning.problem("x", longName))
            .classifier(
                ClassifierResult.builder("base")
                    .title(longName)
                    .clean(.5)
                    .attack("apgd-ce", .5)
                    .worstCase(.5, .4, .6)
                    .perClass(new double[] {1, 0}, new double[] {1, 0})
                    .note(longName)
                    .build())
            .galleryItem(
                new GalleryItem(
                    0,
                    longName,
                    longName,
                    longName,
                    longName,
                    longName,
                    "apgd-ce",
                    new Picture(1, 1, 1, new float[1]),
                    new Picture(1, 1, 1, new float[1])))
            .ranking(
                new RankingPicture(
                    "loir", longName, 2, 1, List.of(longName, "b"), new double[2][2]))
            .build();
    for (RunReport report : List.of(HtmlReportTest.hostile(), long_)) {
      for (JsonNode frame : measure(HtmlReport.text(report))) {
        assertThat(frame.get("errors")).isEmpty();
        assertThat(frame.get("outside")).isEmpty();
        assertThat(frame.get("scrollWidth").asInt())
            .isLessThanOrEqualTo(frame.get("clientWidth").asInt());
      }
    }
  }

  @Test
  void followsDarkMode() throws Exception {
    String page = HtmlReport.text(SampleReport.bare());
    assertThat(measure(page))
        .extracting(f -> f.get("paper").asText())
        .containsOnly("rgb(251, 250, 247)");
    assertThat(measure(page, "--blink-settings=preferredColorScheme=0"))
        .extracting(f -> f.get("paper").asText())
        .containsOnly("rgb(20, 23, 26)");
  }

  @Test
  void thePageItselfLoadsUnderItsOwnPolicy() throws Exception {
    Path page = folder.resolve("report.html");
    HtmlReport.write(page, SampleReport.demo());
    assertThat(run(List.of(), page)).contains("IG-Defense on Fashion-MNIST", "</html>");
  }

  @Test
  void theMeasurementNoticesOverflowAndErrors() throws Exception {
    String page = HtmlReport.text(SampleReport.bare());
    String wide =
        page.replace(
            "<main>",
            "<main><div style=\"width:700px\">w</div><img src=\"data:image/png;base64,AAAA\">");
    List<JsonNode> frames = measure(wide);
    assertThat(frames.get(0).get("outside")).isEmpty();
    assertThat(frames.get(1).get("outside")).isNotEmpty();
    assertThat(frames.get(1).get("scrollWidth").asInt()).isGreaterThan(400);
    assertThat(Stream.of(0, 1).map(i -> frames.get(i).get("broken").asInt())).containsExactly(1, 1);
    assertThat(frames.get(0).get("errors")).isNotEmpty();
  }
}
