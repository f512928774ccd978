package io.github.igdefense.report;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** A report of invented but plausible numbers, for tests and for looking at the page. */
final class SampleReport {
  static final List<String> CLASSES =
      List.of(
          "T-shirt",
          "Trouser",
          "Pullover",
          "Dress",
          "Coat",
          "Sandal",
          "Shirt",
          "Sneaker",
          "Bag",
          "Ankle boot");

  private static final double[] CLEAN = {.80, .96, .73, .85, .78, .93, .49, .92, .95, .94};
  private static final double[] WORST = {.55, .90, .41, .66, .42, .80, .08, .78, .86, .85};

  private SampleReport() {}

  /**
   * Writes {@code sample.html} and {@code result.json} into the folder given (default {@code
   * target/sample}).
   */
  public static void main(String[] args) {
    Path folder = Path.of(args.length > 0 ? args[0] : "target/sample");
    HtmlReport.write(folder.resolve("sample.html"), demo());
    HtmlReport.write(folder.resolve("single.html"), single());
    ResultJson.write(folder.resolve("result.json"), demo());
    System.out.print(ConsoleTable.text(demo()));
  }

  /** What {@code igd demo} could find. */
  static RunReport demo() {
    return builder("demo")
        .title("IG-Defense on Fashion-MNIST")
        .commandLine("scripts/igd demo --out out/demo --threads 2 --seed 0")
        .classifier(base())
        .classifier(
            ClassifierResult.builder("ig-defense")
                .title("IG-Defense")
                .clean(.831)
                .attack("apgd-ce", .704)
                .attack("apgd-t", .689)
                .transfer("apgd-ce", .647)
                .transfer("apgd-t", .633)
                .worstCase(.629, .5985, .6583)
                .inferenceTimeRatio(1.04)
                .perClass(shifted(CLEAN, -.004), shifted(WORST, -.002))
                .build())
        .classifier(
            ClassifierResult.builder("ig-defense-smoothed")
                .title("IG-Defense + smoothing")
                .clean(.822)
                .attack("apgd-ce", .731)
                .attack("apgd-t", .718)
                .transfer("apgd-ce", .658)
                .transfer("apgd-t", .646)
                .worstCase(.634, .6037, .6633)
                .inferenceTimeRatio(2.01)
                .perClass(shifted(CLEAN, -.013), shifted(WORST, .003))
                .smoothing(.02, 1)
                .note(
                    "An image counts as robust if it is classified correctly in each of 10 draws.")
                .build())
        .ranking(ranking(128, 25))
        .galleryItem(item(12, 0, 2, 0, 0, 1))
        .galleryItem(item(57, 7, 5, 7, 7, 2))
        .galleryItem(item(201, 6, 0, 2, 2, 3))
        .galleryItem(item(333, 4, 6, 4, 4, 4))
        .galleryItem(item(481, 3, 3, 3, 3, 5))
        .galleryItem(item(902, 9, 7, 7, 7, 6))
        .warning(
            Warning.caution(
                "transfer_bound",
                "Without smoothing the worst case of this defense cannot exceed the base model's:"
                    + " the pseudo-label is attacked by transfer."))
        .build();
  }

  /** One classifier, no defense, few images. */
  static RunReport single() {
    return builder("eval").title("Robustness of rn18").classifier(base()).evaluated("base").build();
  }

  /** AutoAttack with its stages, and a worst case that is screening. */
  static RunReport cascade() {
    ClassifierResult base =
        ClassifierResult.builder("base")
            .title("Base model")
            .clean(.835)
            .attack("autoattack", .612)
            .detail(
                "autoattack",
                new AttackDetail(
                    .612,
                    .612,
                    .1,
                    340.5,
                    120_000,
                    2_500_000,
                    3,
                    List.of(
                        new AttackDetail.Stage("apgd-ce", .651, 835, 40.25),
                        new AttackDetail.Stage("square", .612, 651, 300.25))))
            .worstCase(.61, .58, .64)
            .perClass(CLEAN, WORST)
            .build();
    return builder("eval")
        .protocol(Protocol.IW_WC_SCREENING)
        .title("Robustness of rn18")
        .classifier(base)
        .build();
  }

  /** As little as a report can hold. */
  static RunReport bare() {
    return RunReport.builder("predict")
        .settings(Settings.threat("L2", .5, null))
        .provenance(Provenance.builder().build())
        .classifier(ClassifierResult.builder("m").clean(1).build())
        .build();
  }

  /** What {@code result.json} keeps of a report. */
  static RunReport withoutPictures(RunReport r) {
    List<GalleryItem> gallery =
        r.gallery().stream()
            .map(
                i ->
                    new GalleryItem(
                        i.index(),
                        i.trueClass(),
                        i.cleanPrediction(),
                        i.adversarialPrediction(),
                        i.defendedPrediction(),
                        i.pseudoLabel(),
                        i.attack(),
                        null,
                        null))
            .toList();
    RankingPicture k = r.ranking();
    RankingPicture ranking =
        k == null
            ? null
            : new RankingPicture(k.method(), k.layer(), k.units(), k.keep(), k.classNames(), null);
    return new RunReport(
        r.schemaVersion(),
        r.kind(),
        r.protocol(),
        r.title(),
        r.commandLine(),
        r.startedAt(),
        r.seconds(),
        r.base(),
        r.evaluated(),
        r.classifiers(),
        r.classNames(),
        r.settings(),
        r.attackDescriptions(),
        r.warnings(),
        r.provenance(),
        gallery,
        ranking);
  }

  static RunReport.Builder builder(String kind) {
    return RunReport.builder(kind)
        .time(Instant.parse("2026-11-22T17:05:09Z"), 252.4)
        .classNames(CLASSES)
        .settings(
            new Settings(
                "Linf",
                .1,
                "0.1",
                "loir",
                "layer4",
                25,
                .01,
                10,
                64,
                Map.of("Ranking images", "6000 of the train set")))
        .attack(
            new AttackDescription(
                "apgd-ce",
                "APGD-CE",
                "Auto-PGD on the cross-entropy: gradient steps whose size adapts by itself.",
                Map.of("steps", "50", "restarts", "1")))
        .attack(
            new AttackDescription(
                "apgd-t",
                "APGD-T (DLR)",
                "Auto-PGD towards each of the most likely wrong classes, on the difference of"
                    + " logits ratio.",
                Map.of("steps", "50", "targets", "3")))
        .provenance(provenance(1000, 1000));
  }

  static Provenance provenance(long asked, long used) {
    return Provenance.builder()
        .version("0.1.0", "3f1c2ab9e0d4475c8a90f1b2c3d4e5f60718293a")
        .model(
            "rn18, width 16", "checkpoints/fashion-mnist-rn18-w16.safetensors", "9b1f".repeat(16))
        .ranking("out/demo/ranking/layer4.npz", "07ac".repeat(16))
        .data("Fashion-MNIST (embedded test sample)", "c4e2".repeat(16), asked, used)
        .machine("Intel Xeon Platinum 8488C", "cpu", 2)
        .inputNormalization("none")
        .arithmetic("float32", "libtorch", "2.10.0")
        .seed(0)
        .build();
  }

  static ClassifierResult base() {
    return ClassifierResult.builder("base")
        .title("Base model")
        .clean(.835)
        .attack("apgd-ce", .651)
        .attack("apgd-t", .634)
        .worstCase(.631, .6006, .6603)
        .inferenceTimeRatio(1)
        .perClass(CLEAN, WORST)
        .build();
  }

  private static double[] shifted(double[] values, double by) {
    double[] out = new double[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = Math.max(0, Math.min(1, values[i] + by * (1 + i % 4)));
    }
    return out;
  }

  static RankingPicture ranking(int units, int keep) {
    Random random = new Random(1);
    double[][] importance = new double[units][CLASSES.size()];
    for (int u = 0; u < units; u++) {
      int first = random.nextInt(CLASSES.size());
      int second = random.nextInt(CLASSES.size());
      for (int c = 0; c < CLASSES.size(); c++) {
        double peak = c == first ? 2.4 : c == second ? 1.2 : .25;
        importance[u][c] = peak * -Math.log(1 - random.nextDouble()) * .5;
      }
    }
    return new RankingPicture("loir", "layer4", units, keep, CLASSES, importance);
  }

  private static GalleryItem item(
      int index, int truth, int attacked, int defended, int pseudo, int seed) {
    Picture clean = garment(truth, seed);
    float[] pixels = clean.pixels().clone();
    Random random = new Random(seed);
    for (int i = 0; i < 1024; i++) {
      float delta =
          .1f * Math.signum((float) (Math.sin(i % 32 / 2.1 + seed) + random.nextGaussian() * .7));
      for (int c = 0; c < 3; c++) {
        pixels[c * 1024 + i] = Math.max(0, Math.min(1, pixels[c * 1024 + i] + delta));
      }
    }
    return new GalleryItem(
        index,
        CLASSES.get(truth),
        CLASSES.get(truth),
        CLASSES.get(attacked),
        CLASSES.get(defended),
        CLASSES.get(pseudo),
        seed % 2 == 0 ? "apgd-t" : "apgd-ce",
        clean,
        new Picture(3, 32, 32, pixels));
  }

  /** A grey silhouette, 32×32: a garment with sleeves, or a shoe. */
  private static Picture garment(int kind, int seed) {
    boolean shoe = kind == 5 || kind == 7 || kind == 9;
    float[] pixels = new float[3 * 1024];
    for (int y = 0; y < 32; y++) {
      for (int x = 0; x < 32; x++) {
        boolean body = x > 10 && x < 21 && y > 4 && y < 28;
        boolean sleeve = y > 4 && y < 6 + kind * 3 && Math.abs(x - 15.5) < 6 + (y - 4) * .45;
        boolean sole = y > 18 && y < 25 && x > 3 && x < 29;
        boolean upper = y > 11 - kind && y <= 18 && x > 17 - (y - 12) && x < 28;
        if (shoe ? sole || upper : body || sleeve) {
          float value = (float) (.55 + .25 * Math.sin((x * seed + y) / 5.0) + .1 * Math.cos(y));
          for (int c = 0; c < 3; c++) {
            pixels[c * 1024 + y * 32 + x] = value;
          }
        }
      }
    }
    return new Picture(3, 32, 32, pixels);
  }
}
