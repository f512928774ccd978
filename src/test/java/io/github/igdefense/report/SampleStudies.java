package io.github.igdefense.report;

import io.github.igdefense.evaluation.Ablation;
import io.github.igdefense.evaluation.ActivationChanges.Change;
import io.github.igdefense.evaluation.ActivationChanges.Group;
import io.github.igdefense.evaluation.Analysis;
import io.github.igdefense.evaluation.EvaluationResult;
import io.github.igdefense.evaluation.KeepSearch;
import io.github.igdefense.evaluation.LossSurface;
import io.github.igdefense.evaluation.Sweep;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Study reports of invented but plausible numbers, for tests and for looking at the pages. */
final class SampleStudies {
  private SampleStudies() {}

  /** Writes every sample page into the folder given (default {@code target/sample}). */
  public static void main(String[] args) {
    Path folder = Path.of(args.length > 0 ? args[0] : "target/sample");
    for (StudyReport report : all()) {
      StudyPage.write(folder.resolve(report.kind().replace(' ', '-') + ".html"), report);
    }
  }

  static List<StudyReport> all() {
    return List.of(analysis(), sweep(), ablation(), keep(), classes(), surface());
  }

  static StudyReport.Builder builder(String kind) {
    return StudyReport.builder(kind)
        .title("Sample of igd " + kind)
        .commandLine("scripts/igd " + kind + " --data folder:cifar10/test --out out")
        .time(Instant.parse("2026-01-02T03:04:05Z"), 754)
        .settings(Settings.threat("Linf", 8 / 255.0, "8/255"))
        .provenance(
            Provenance.builder()
                .version("0.0.0", "0123abcd")
                .model("rn18", "embedded:cifar10", "a".repeat(64))
                .data("folder:cifar10/test", "b".repeat(64), 500, 500)
                .machine("a processor", "cpu", 2)
                .inputNormalization("mean [0.5], std [0.25]")
                .arithmetic("float32", "libtorch", "2.10")
                .build());
  }

  /** The published figures as if they were one model's. */
  static StudyReport analysis() {
    StudyReport.Builder report = builder("analyze");
    AnalysisReport.add(
        report,
        new Analysis(
            "layer4",
            50,
            500,
            411,
            "gama-pgd(norm=Linf, epsilon=8/255, steps=100)",
            12.5,
            new Analysis.Part(
                170,
                List.of(
                    new Change(Group.TRUE_CLASS, 170, 0, -33.33, -35.1, -31.4),
                    new Change(Group.POST_ATTACK_CLASS, 170, 0, 32.58, 29.9, 35.2),
                    new Change(Group.REMAINING, 170, 0, 0.25, -1.1, 1.7),
                    new Change(Group.UNIMPORTANT, 169, 1, -0.24, -2.0, 1.4))),
            new Analysis.Part(
                241,
                List.of(
                    new Change(Group.TRUE_CLASS, 241, 0, -48.25, -50.0, -46.1),
                    new Change(Group.REMAINING, 241, 0, -4.48, -6.0, -3.1),
                    new Change(Group.UNIMPORTANT, 0, 241, null, null, null)))));
    return report.build();
  }

  static EvaluationResult result(String name, double clean, double direct, Double transfer) {
    List<Double> perClass = new ArrayList<>();
    List<Double> perClassWorst = new ArrayList<>();
    double worst = transfer == null ? direct : Math.min(direct, transfer);
    for (int c = 0; c < 10; c++) {
      perClass.add(Math.min(1, clean + (c - 4.5) * 0.03));
      perClassWorst.add(c == 3 ? null : Math.max(0, worst + (c - 4.5) * 0.06));
    }
    Map<String, EvaluationResult.AttackOutcome> attacks = new LinkedHashMap<>();
    attacks.put(
        "apgd-ce",
        new EvaluationResult.AttackOutcome(
            direct,
            perClassWorst,
            direct,
            direct,
            8 / 255.0,
            1.5,
            1000,
            2000,
            0,
            List.of(),
            Map.of("steps", 30)));
    Map<String, EvaluationResult.TransferOutcome> transfers = new LinkedHashMap<>();
    if (transfer != null) {
      transfers.put(
          "apgd-ce", new EvaluationResult.TransferOutcome(transfer, perClassWorst, "rn18"));
    }
    return new EvaluationResult(
        name,
        500,
        1,
        clean,
        perClass,
        attacks,
        transfers,
        new EvaluationResult.WorstCaseOutcome(worst, worst - .04, worst + .04, perClassWorst),
        List.of(),
        List.of());
  }

  static StudyReport sweep() {
    StudyReport.Builder report = builder("study sweep");
    String[] values = {"10", "25", "50", "75", "100"};
    double[] clean = {.712, .79, .811, .818, .82};
    double[] direct = {.551, .562, .5491, .541, .531};
    double[] transfer = {.521, .5333, .5301, .5222, .52};
    List<Sweep.Point> points = new ArrayList<>();
    for (int i = 0; i < values.length; i++) {
      points.add(
          new Sweep.Point(
              values[i],
              result("rn18", .8221, .5054, null),
              result("d", clean[i], direct[i], transfer[i])));
    }
    StudyReports.sweep(report, Sweep.Over.KEEP, points);
    return report.build();
  }

  static StudyReport ablation() {
    StudyReport.Builder report = builder("study ablation");
    double[][] table6 = {
      {85.36, 56.17, 56.12},
      {84.93, 56.19, 56.14},
      {85.35, 56.15, 56.12},
      {85.23, 56.14, 56.12},
      {85.33, 56.20, 56.15},
      {85.09, 59.00, 56.12},
      {84.98, 60.26, 57.46},
      {85.33, 58.59, 56.12},
      {85.17, 59.61, 57.88}
    };
    String[] masks = {"none", "none", "none", "random", "random", "cdir", "cdir", "loir", "loir"};
    boolean[] noise = {false, true, false, false, true, false, true, false, true};
    List<Ablation> rows = new ArrayList<>();
    for (int i = 0; i < masks.length; i++) {
      EvaluationResult result =
          result(
              masks[i],
              table6[i][0] / 100,
              table6[i][1] / 100,
              i == 0 ? null : (Double) (table6[i][2] / 100));
      rows.add(new Ablation(i < 2 ? 1 : 2, masks[i], noise[i], i == 5 ? null : result));
    }
    StudyReports.ablation(report, rows);
    return report.build();
  }

  static StudyReport keep() {
    StudyReport.Builder report = builder("study keep");
    StudyReports.keep(
        report,
        new KeepSearch(
            .8221,
            .005,
            List.of(
                new KeepSearch.Tried(32, .801),
                new KeepSearch.Tried(48, .8175),
                new KeepSearch.Tried(64, .82),
                new KeepSearch.Tried(128, .822),
                new KeepSearch.Tried(512, .8221)),
            48,
            true,
            result("rn18", .8221, .5054, null),
            result("d", .8175, .5491, .5301)));
    return report.build();
  }

  static StudyReport classes() {
    StudyReport.Builder report = builder("study classes");
    ClassStudyReport.add(
        report,
        SampleReport.CLASSES,
        result("rn18", .8221, .5054, null),
        result("d", .8175, .5491, .5301));
    return report.build();
  }

  static StudyReport surface() {
    StudyReport.Builder report = builder("study loss-surface");
    Map<String, LossSurface> surfaces = new LinkedHashMap<>();
    for (double bump : new double[] {0, .6}) {
      List<Double> grid = new ArrayList<>();
      List<List<Double>> loss = new ArrayList<>();
      for (int r = 0; r < 21; r++) {
        grid.add((r - 10) * 8 / 2550.0);
        List<Double> row = new ArrayList<>();
        for (int c = 0; c < 21; c++) {
          row.add(1.2 + 0.06 * c + bump * Math.sin(c / 2.0) * Math.cos(r / 3.0));
        }
        loss.add(row);
      }
      surfaces.put(
          bump == 0 ? "Base model" : "IG-Defense, no smoothing",
          new LossSurface("rn18", 64, 8 / 255.0, grid, loss));
    }
    SurfaceReport.add(report, "8/255", surfaces);
    return report.build();
  }

  /** Names that try to leave their place, and very long ones. */
  static StudyReport hostile(String name) {
    return builder("study " + name)
        .title(name)
        .question(name)
        .summary(name)
        .warning(Warning.problem("x", name))
        .limit(name)
        .word(name, name)
        .section(
            "a",
            name,
            new Block.Paragraph(name),
            new Block.Table(name, List.of(name, name), List.of(List.of(name, name))),
            new Block.Bars(
                name,
                List.of(
                    new Block.BarGroup(name, List.of(new Block.Bar(name, -5.0, -6.0, 4.0, name))))),
            new Block.Curves(
                name,
                name,
                List.of(name, "b"),
                List.of(new Block.Series(name, java.util.Arrays.asList(.5, null), null, null))),
            new Block.Surface(
                name, name, name, name, List.of(name, name), new double[][] {{0, 0}, {0, 0}}, 0, 0))
        .build();
  }
}
