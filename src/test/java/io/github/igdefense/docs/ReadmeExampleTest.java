package io.github.igdefense.docs;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.igdefense.attack.*;
import io.github.igdefense.data.*;
import io.github.igdefense.defense.*;
import io.github.igdefense.evaluation.*;
import io.github.igdefense.importance.*;
import io.github.igdefense.model.*;
import io.github.igdefense.tensor.Dtype;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The example of README.md compiles, runs, and is the one printed there. */
class ReadmeExampleTest {
  private static final String BEGIN = "    // <example>\n";
  private static final String END = "    // </example>\n";

  @Test
  void theExampleRuns() {
    EvaluationResult result = example();
    assertThat(result.attacks()).containsOnlyKeys("apgd-ce");
    assertThat(result.transfer()).containsOnlyKeys("apgd-ce");
    assertThat(result.clean()).isGreaterThan(0.5);
    assertThat(result.worstCase().accuracy())
        .isLessThanOrEqualTo(result.transfer().get("apgd-ce").accuracy())
        .isLessThanOrEqualTo(result.attacks().get("apgd-ce").accuracy());
  }

  private static EvaluationResult example() {
    // <example>
    try (StagedNetwork network = Networks.open("rn18", "embedded:fashion-mnist", Dtype.FLOAT32);
        ImageSet train = ImageSets.open("embedded:train").limit(1000);
        ImageSet test = ImageSets.open("embedded:test").limit(50)) {
      // Which units of the last stage matter to which class: one forward pass.
      Ranking ranking =
          new LeaveOneOut(network, network.penultimate(), Normalization.CLASS_MEAN, false, 64)
              .rank(train, done -> {});
      // Keep the 50 most important units of each class.
      try (IgDefense defended =
          new IgDefense(network, ClassMasks.of(ranking, 50), 0.01, Smoothing.NONE, null)) {
        Attack attack = new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.parse("0.1"), 10);
        Comparison comparison =
            new Comparison(
                network, "base", test, List.of(attack), Evaluation.Settings.DEFAULT, true, p -> {});
        // Attacked directly, and shown the base model's adversarial images: both count for the
        // worst case.
        return comparison.add("ig-defense", "IG-Defense", defended).evaluation().result();
      }
    }
    // </example>
  }

  @Test
  void theReadmePrintsIt() throws IOException {
    String source =
        Files.readString(Path.of("src/test/java/io/github/igdefense/docs/ReadmeExampleTest.java"));
    // The markers also stand in the constants above.
    String example =
        source.substring(
            source.indexOf(BEGIN, source.indexOf("example() {")) + BEGIN.length(),
            source.lastIndexOf(END));
    assertThat(Files.readString(Path.of("README.md")))
        .contains(example.stripTrailing().stripIndent());
  }
}
