package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.evaluation.DefenseSpec;
import io.github.igdefense.evaluation.StudyRunner;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.report.StudyReport;
import java.util.Map;

/** One study: opens model and images, runs it, writes the report. */
final class StudyRun {
  private StudyRun() {}

  /** What a study computes, and how its report is filled. */
  @FunctionalInterface
  interface Body {
    /** Computes everything, then gives what fills the report. */
    Filler run(StudyRunner runner, DefenseSpec spec);
  }

  /** Fills a report. */
  @FunctionalInterface
  interface Filler {
    /** Adds title, sections and data. */
    void fill(StudyReport.Builder report);
  }

  /** Runs a study whose command is {@code igd study NAME}. */
  static int of(String name, StudyOptions options, Body body) {
    options.check();
    Reporting reporting =
        new Reporting("study " + name, options.model, options.data, options.output);
    try (StagedNetwork network = options.model.open();
        ImageSet images = options.data.open(options.output).withClassCount(network.classCount())) {
      network.notes().forEach(options.output::note);
      DefenseSpec spec = options.spec(network);
      Filler filler;
      StudyRunner runner;
      try (Reporting.Bars bars = reporting.bars()) {
        runner = options.runner(network, images, bars);
        filler = body.run(runner, spec);
      }
      StudyReport.Builder report =
          reporting
              .study(
                  network,
                  images,
                  options.defense.ranking == null ? null : options.defense.ranking.toString(),
                  options.defense.rankingSha256())
              .settings(options.reported(spec));
      filler.fill(report);
      report.data(
          "points_kept",
          Map.of("resumed", runner.store().resumed(), "computed", runner.store().computed()));
      reporting.write(options.out, report);
      options.output.note(
          runner.store().computed()
              + " points computed, "
              + runner.store().resumed()
              + " found finished in "
              + runner.store().folder());
      return 0;
    }
  }
}
