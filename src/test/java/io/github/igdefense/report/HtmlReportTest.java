package io.github.igdefense.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HtmlReportTest {
  static final String HOSTILE =
      "</title><script>alert(1)</script><img src=x onerror='x()'>\"&{{css}}\u0000\u202e";

  @TempDir Path folder;

  private static List<String> all(String regex, String text) {
    List<String> found = new ArrayList<>();
    Matcher matcher = Pattern.compile(regex).matcher(text);
    while (matcher.find()) {
      found.add(matcher.group(1));
    }
    return found;
  }

  static BufferedImage decode(String uri) throws IOException {
    assertThat(uri).startsWith("data:image/png;base64,");
    return ImageIO.read(new ByteArrayInputStream(Base64.getDecoder().decode(uri.substring(22))));
  }

  @Test
  void holdsEveryNumberOfTheRun() {
    String page = HtmlReport.text(SampleReport.demo());
    String text = page.replaceAll("(?s)<style>.*?</style>", "").replaceAll("<[^>]+>", " ");
    for (ClassifierResult c : SampleReport.demo().classifiers()) {
      assertThat(text)
          .contains(c.title(), Numbers.percent(c.clean()), Numbers.percent(c.worstCase()));
      c.attacks().values().forEach(a -> assertThat(text).contains(Numbers.percent(a)));
      c.transfer().values().forEach(a -> assertThat(text).contains(Numbers.percent(a)));
      c.perClassClean().forEach(a -> assertThat(text).contains(Numbers.percent(a)));
      c.perClassWorst().forEach(a -> assertThat(text).contains(Numbers.percent(a)));
      assertThat(text).contains(Summary.interval(c), Numbers.times(c.inferenceTimeRatio()));
      c.notes().forEach(n -> assertThat(text).contains(n));
    }
    assertThat(text)
        .contains(
            "+8.4",
            "−0.2",
            "1000 images",
            "ε = 0.1",
            "L∞",
            "22 November 2026, 17:05 UTC",
            "4\u202fmin 12\u202fs")
        .contains(
            "scripts/igd demo --out out/demo --threads 2 --seed 0",
            "9b1f".repeat(16),
            "c4e2".repeat(16))
        .contains("the pseudo-label is attacked by transfer", "nothing here is a certificate");
  }

  @Test
  void needsNothingButItself() {
    for (RunReport report :
        List.of(SampleReport.demo(), SampleReport.single(), SampleReport.bare())) {
      String page = HtmlReport.text(report);
      assertThat(page)
          .doesNotContain(
              "http://", "https://", "<script", "@import", "url(", "<iframe", "<object");
      assertThat(all("\\s(?:src|srcset)=\"([^\"]*)\"", page))
          .allMatch(s -> s.startsWith("data:image/png;base64,"));
      assertThat(all("\\shref=\"([^\"]*)\"", page))
          .allMatch(s -> s.startsWith("#") || s.equals("data:,"));
      assertThat(all("href=\"#([^\"]*)\"", page))
          .allMatch(id -> page.contains("id=\"" + id + "\""));
      assertThat(page).contains("default-src 'none'").doesNotContain("{{").doesNotContain("null");
    }
    assertThat(all("\\s(src)=", HtmlReport.text(SampleReport.demo()))).hasSize(6 * 3 + 1);
  }

  @Test
  void everyTextFromOutsideIsEscaped() {
    String page = HtmlReport.text(hostile());
    assertThat(page).doesNotContain("<script", "<img src=x", "\u0000", "\u202e");
    assertThat(page).contains("&lt;script&gt;alert(1)&lt;/script&gt;", "&quot;&amp;{{css}}");
    int texts = page.split("&lt;script&gt;", -1).length - 1;
    assertThat(texts).isGreaterThan(40);
    assertThat(page.split("onerror", -1).length - 1)
        .isEqualTo(page.split("onerror=&#39;x\\(\\)&#39;&gt;", -1).length - 1);
  }

  /** A report in which every text is an attack on the page. */
  static RunReport hostile() {
    String h = HOSTILE;
    Picture picture = new Picture(1, 1, 1, new float[1]);
    return RunReport.builder(h)
        .title(h)
        .commandLine(h)
        .classNames(List.of(h, h + "2"))
        .settings(new Settings(h, .1, h, h, h, 1, .01, 1, 1, Map.of(h, h)))
        .attack(new AttackDescription(h, h, h, Map.of(h, h)))
        .warning(Warning.note(h, h))
        .provenance(
            new Provenance(h, h, h, h, h, h, h, h, h, h, h, 1, 1, h, h, h, h, 1, h, h, h, 1))
        .classifier(
            ClassifierResult.builder(h)
                .title(h)
                .clean(.5)
                .attack(h, .5)
                .transfer(h, .5)
                .worstCase(.5, .4, .6)
                .perClass(new double[] {.5, .4}, new double[] {.5, .4})
                .note(h)
                .smoothing(.1, 1)
                .build())
        .classifier(
            ClassifierResult.builder(h + "2").title(h).clean(.5).attack(h + "2", .5).build())
        .galleryItem(new GalleryItem(0, h, h, h, h, h, h, picture, picture))
        .ranking(new RankingPicture(h, h, 2, 1, List.of(h, h), new double[][] {{1, 2}, {2, 1}}))
        .build();
  }

  @Test
  void picturesArePngsOfTheirSizeWithTheirPixels() throws Exception {
    float[] clean = new float[3 * 2 * 3];
    float[] attacked = clean.clone();
    for (int i = 0; i < clean.length; i++) {
      clean[i] = i / 17f;
      attacked[i] = clean[i];
    }
    attacked[4] += .05f; // red of row 1, column 1
    attacked[6 + 2] -= .1f; // green of row 0, column 2
    RunReport report =
        SampleReport.builder("eval")
            .classifier(SampleReport.base())
            .galleryItem(
                new GalleryItem(
                    7,
                    "Bag",
                    "Bag",
                    "Coat",
                    null,
                    null,
                    "apgd-ce",
                    new Picture(3, 2, 3, clean),
                    new Picture(3, 2, 3, attacked)))
            .build();
    String page = HtmlReport.text(report);
    assertThat(page).contains("their difference ×5");
    List<String> uris = all("<img[^>]* width=\"3\" height=\"2\" src=\"([^\"]*)\"", page);
    assertThat(uris).hasSize(3);
    BufferedImage first = decode(uris.get(0));
    assertThat(new int[] {first.getWidth(), first.getHeight()}).containsExactly(3, 2);
    for (int y = 0; y < 2; y++) {
      for (int x = 0; x < 3; x++) {
        int i = y * 3 + x;
        int expected =
            Math.round(i * 15f) << 16 | Math.round((6 + i) * 15f) << 8 | Math.round((12 + i) * 15f);
        assertThat(first.getRGB(x, y) & 0xffffff).as("pixel %d,%d", x, y).isEqualTo(expected);
      }
    }
    assertThat(decode(uris.get(1)).getRGB(1, 1) >> 16 & 255)
        .isEqualTo(Math.round((4 / 17f + .05f) * 255));
    BufferedImage difference = decode(uris.get(2));
    assertThat(difference.getRGB(0, 0) & 0xffffff).isEqualTo(0x808080);
    assertThat(difference.getRGB(1, 1) & 0xffffff)
        .isEqualTo(Math.round(128 + .05f * 5 * 255) << 16 | 0x8080);
    assertThat(difference.getRGB(2, 0) & 0xffffff)
        .isEqualTo(0x800080 | Math.round(128 - .1f * 5 * 255) << 8);
  }

  @Test
  void greyPicturesAndClippingWork() throws Exception {
    BufferedImage image = decode(Png.of(new Picture(1, 1, 3, new float[] {-1, .5f, 2})));
    assertThat(image.getRGB(0, 0) & 0xffffff).isZero();
    assertThat(image.getRGB(1, 0) & 0xffffff).isEqualTo(0x808080);
    assertThat(image.getRGB(2, 0) & 0xffffff).isEqualTo(0xffffff);
  }

  @Test
  void theDifferenceFactorUsesTheRangeWithoutClipping() {
    for (Object[] c :
        new Object[][] {
          {8 / 255f, 15}, {.1f, 5}, {4 / 255f, 31}, {.5f, 1}, {.9f, 1}, {0f, 1}, {1e-5f, 100}
        }) {
      Picture clean = new Picture(1, 1, 1, new float[] {0});
      Picture attacked = new Picture(1, 1, 1, new float[] {(float) c[0]});
      GalleryItem item = new GalleryItem(0, "a", "a", "a", "a", "a", "x", clean, attacked);
      assertThat(Gallery.differenceFactor(List.of(item)))
          .as("largest change %s", c[0])
          .isEqualTo(c[1]);
    }
  }

  @Test
  void theHeatMapGroupsUnitsByClassAndMarksTheKeptOnes() throws Exception {
    // Class a: unit 2 strongest, then 0; class b: unit 1 strongest, then 3.
    double[][] importance = {{.5, 0}, {0, 4}, {1, 0}, {0, 2}};
    String page =
        new HeatMap(new RankingPicture("loir", "layer4", 4, 1, List.of("a", "b"), importance))
            .figure()
            .toString();
    BufferedImage light = decode(all("\\ssrc=\"([^\"]*)\"", page).get(0));
    BufferedImage dark = decode(all("\\ssrcset=\"([^\"]*)\"", page).get(0));
    int unit = light.getWidth() / 4;
    assertThat(light.getHeight()).isEqualTo(2 * 22);
    assertThat(dark.getWidth()).isEqualTo(light.getWidth());
    int low = 0xeceae4;
    int middle = 0x6fa8b8;
    int high = 0x0b3c52;
    int[][] expected = {
      {high, middle, low, low}, {low, low, high, middle}
    }; // order of units: 2, 0, 1, 3
    boolean[][] kept = {{true, false, false, false}, {false, false, true, false}};
    for (int c = 0; c < 2; c++) {
      for (int x = 0; x < 4; x++) {
        assertThat(light.getRGB(x * unit + unit / 2, c * 22 + 7) & 0xffffff)
            .as("class %d, column %d", c, x)
            .isEqualTo(expected[c][x]);
        assertThat(light.getRGB(x * unit + unit / 2, c * 22 + 15) & 0xffffff)
            .isEqualTo(kept[c][x] ? 0xb4451f : 0xfbfaf7);
        assertThat(light.getRGB(x * unit + unit / 2, c * 22 + 20) & 0xffffff).isEqualTo(0xfbfaf7);
      }
    }
    assertThat(page)
        .contains("Two classes share on average 0.0\u202f%", "at random would share 25.0\u202f%");
  }

  @Test
  void largeAndFlatRankingsCanBeDrawn() throws Exception {
    RankingPicture imageNet =
        new RankingPicture(
            "cdir",
            "layer4",
            2048,
            750,
            java.util.Collections.nCopies(1000, "class"),
            new double[2048][1000]);
    String page = new HeatMap(imageNet).figure().toString();
    BufferedImage image = decode(all("\\ssrc=\"([^\"]*)\"", page).get(0));
    assertThat(new int[] {image.getWidth(), image.getHeight()}).containsExactly(2048, 1000);
    assertThat(all("(<span>)class", page)).hasSizeLessThan(30);
  }

  @Test
  void manyClassesAreFolded() {
    List<String> names =
        java.util.stream.IntStream.range(0, 100).mapToObj(i -> "class " + i).toList();
    ClassifierResult base =
        ClassifierResult.builder("base")
            .clean(.5)
            .perClass(new double[100], new double[100])
            .build();
    String page =
        HtmlReport.text(SampleReport.builder("eval").classNames(names).classifier(base).build());
    assertThat(page).contains("<details>", "All 100 classes", "class 99");
    assertThat(HtmlReport.text(SampleReport.demo())).doesNotContain("<details>");
  }

  @Test
  void aReportReadBackWithoutPicturesIsStillAPage() {
    Path file = folder.resolve("result.json");
    ResultJson.write(file, SampleReport.demo());
    Path page = folder.resolve("report.html");
    HtmlReport.write(page, ResultJson.read(file));
    assertThat(page)
        .content()
        .contains("63.4", "Pseudo-label", "<!doctype html>")
        .doesNotContain("<img");
    assertThat(folder.toFile().list()).containsExactlyInAnyOrder("result.json", "report.html");
  }

  @Test
  void theFileIsUtf8AndEndsWithTheDocument() throws Exception {
    Path page = folder.resolve("deep/er/report.html");
    HtmlReport.write(page, SampleReport.demo());
    assertThat(Files.readString(page))
        .isEqualTo(HtmlReport.text(SampleReport.demo()))
        .endsWith("</html>\n");
  }

  @Test
  void slotsAreFilledOnceAndAllOfThem() {
    assertThat(Html.fill("{{a}}-{{b}}", Map.of("a", "{{b}}$1", "b", "x"))).isEqualTo("{{b}}$1-x");
    assertThatThrownBy(() -> Html.fill("{{a}}", Map.of()))
        .isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> Html.fill("", Map.of("a", "")))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void partsThatDoNotFitAreRefused() {
    assertThatThrownBy(() -> ClassifierResult.builder("b").clean(83.5).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("b: expected clean as a fraction in [0,1], got 83.5");
    assertThatThrownBy(() -> ClassifierResult.builder("b").build())
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Picture(2, 1, 1, new float[2]))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Picture(3, 2, 2, new float[11]))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new RankingPicture("loir", "l", 3, 1, List.of("a"), new double[2][1]))
        .hasMessage("expected importance of 3 units, got 2");
    assertThatThrownBy(() -> SampleReport.builder("eval").build())
        .hasMessageContaining("at least one classifier");
    assertThatThrownBy(
            () ->
                SampleReport.builder("eval")
                    .classifier(SampleReport.base())
                    .classifier(SampleReport.base())
                    .build())
        .hasMessageContaining("two classifiers are named base");
    assertThatThrownBy(
            () ->
                SampleReport.builder("eval")
                    .classNames(List.of("a"))
                    .classifier(SampleReport.base())
                    .build())
        .hasMessageContaining("expected accuracies of 1 classes, got 10 and 10");
  }
}
