package io.github.igdefense.cli;

import io.github.igdefense.defense.Sodef;
import io.github.igdefense.defense.SodefBlock;
import io.github.igdefense.model.StagedNetwork;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The block of SODEF, where one is given. */
final class SodefOptions {
  private static final String RANDOM = "random";

  @Option(
      names = "--sodef-block",
      paramLabel = "FILE",
      description =
          "Trained block of sodef for the features of the base model (PyTorch or safetensors;"
              + " tensor names in docs/studies.md), or random: an untrained one, to measure its"
              + " time. Default: sodef is left out.")
  String block;

  @Option(
      names = "--sodef-steps",
      paramLabel = "N",
      defaultValue = "40",
      description = "Runge-Kutta steps of sodef from 0 to 5. Default: ${DEFAULT-VALUE}.")
  int steps;

  boolean given() {
    return block != null;
  }

  /** Refuses, before anything is opened, what cannot work. */
  void check() {
    Values.positive("--sodef-steps", steps);
  }

  String title() {
    return RANDOM.equals(block) ? "SODEF (untrained)" : "SODEF";
  }

  /** The classifier; the caller closes it. */
  Sodef open(StagedNetwork network, Output output) {
    boolean random = RANDOM.equals(block);
    SodefBlock read =
        random
            ? SodefBlock.random(network.penultimate().units(), network.classCount(), 0)
            : SodefBlock.read(Path.of(block));
    read.notes().forEach(output::note);
    if (random) {
      output.warn("the block of sodef is not trained: its accuracies mean nothing");
    }
    return new Sodef(network, read, Sodef.DEFAULT_TIME, steps);
  }
}
