package io.github.igdefense.cli;

import io.github.igdefense.evaluation.RunState;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Where a comparison with the base model writes, and where it keeps the base's images. */
final class ComparisonOutput {
  @Option(
      names = "--cache",
      paramLabel = "DIR",
      description =
          "Keep the base model's adversarial images there, by hash of all settings, for runs about"
              + " other defended models.")
  Path cache;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Writes DIR/result.json and DIR/report.html.")
  Path out;

  /** Refuses, before anything is computed, folders that cannot be written. */
  void check() {
    Values.outputFolder(out);
    if (cache != null) {
      Values.outputFolder(cache);
    }
  }

  /**
   * Where batches of the base model are kept: in the cache, or with all others.
   *
   * @param transfer whether its images are shown to other classifiers
   */
  RunState base(RunState state, Identity identity, boolean transfer) {
    return cache == null ? state : RunState.cached(cache, identity.with("transfer", transfer));
  }
}
