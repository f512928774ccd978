package io.github.igdefense.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Scopes free what is made in them: the process does not grow over many small operations. */
class MemorySoakTest {
  private static final int LOOPS = 20_000;
  private static final long MIB = 1 << 20;

  @TempDir Path scratch;

  @Test
  void manySmallOperationsInScopesKeepMemoryFlat() throws Exception {
    Subprocess run =
        Subprocess.run(
            MemoryProbe.class,
            scratch,
            Map.of(),
            List.of("-Xms128m", "-Xmx128m", "-XX:+AlwaysPreTouch"),
            entry -> true,
            String.valueOf(LOOPS));
    assertThat(run.exitCode()).as("%s", run).isZero();
    assertThat(Long.parseLong(run.value("scoped")))
        .as("growth in bytes over %d loops", LOOPS)
        .isLessThan(16 * MIB);
    // The measurement sees a leak of the kind excluded above: 4,000 tensors of 16 KiB.
    assertThat(Long.parseLong(run.value("leaked"))).isGreaterThan(48 * MIB);
  }
}
