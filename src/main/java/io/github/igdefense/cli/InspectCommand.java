package io.github.igdefense.cli;

import io.github.igdefense.model.FileInspection;
import io.github.igdefense.model.NetworkDescription;
import io.github.igdefense.model.Networks;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code igd inspect}: what a file of weights or arrays holds. */
@Command(
    name = "inspect",
    description =
        "Say what a checkpoint, TorchScript archive or NumPy file holds: tensors, hash, likely"
            + " architecture, layers and units. Runs nothing in the file.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class InspectCommand implements Callable<Integer> {
  @Parameters(paramLabel = "FILE", description = "The file.")
  Path file;

  @Mixin Output output;

  @Override
  public Integer call() {
    FileInspection found = FileInspection.of(file);
    row("file", found.file());
    row("bytes", String.format(Locale.ROOT, "%,d", found.bytes()));
    row("sha256", found.sha256());
    row("format", found.format());
    found.notes().forEach(note -> row("note", note));
    if (!found.methods().isEmpty()) {
      row("methods", String.join(", ", found.methods()));
      row(
          "use",
          found.methods().containsAll(List.of("prefix", "suffix"))
              ? "--arch torchscript --checkpoint " + file
              : "with a second archive: --prefix and --suffix");
    }
    for (FileInspection.Entry tensor : found.tensors()) {
      output.result(
          String.format(
              Locale.ROOT,
              "  %-48s %-9s %s",
              tensor.name(),
              tensor.dtype(),
              Arrays.toString(tensor.shape())));
    }
    if (!found.tensors().isEmpty()) {
      row(
          "tensors",
          String.format(
              Locale.ROOT, "%d with %,d elements", found.tensors().size(), found.numel()));
    }
    if (!found.metadata().isEmpty()) {
      row("other values", String.join(", ", found.metadata()));
    }
    found.normalization().ifPresent(normalization -> row("normalisation", normalization));
    found.architectures().forEach(this::print);
    if (found.architectures().isEmpty() && found.isCheckpoint()) {
      row(
          "architecture",
          "none that is known; export the network as TorchScript (--prefix/--suffix)");
    }
    output.json(found.toMap());
    return 0;
  }

  private void print(Networks.Candidate candidate) {
    NetworkDescription net = candidate.description();
    row("architecture", "--arch " + candidate.architecture() + " (" + candidate.reason() + ")");
    row(
        "  layers",
        net.stages().stream()
            .map(stage -> stage.name() + " with " + stage.units() + " units")
            .collect(Collectors.joining(", ")));
    row("  classes", net.classifier().classCount());
  }

  private void row(String name, Object value) {
    output.result(String.format(Locale.ROOT, "%-14s %s", name, value));
  }
}
