package io.github.igdefense.gpu;

import io.github.igdefense.tensor.CudaRuntime;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A test that computes on a CUDA device: tag {@code gpu}, left out of the default run; where no
 * device can be used it is reported as skipped, with the reason.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Tag("gpu")
@ExtendWith(RequiresGpu.Condition.class)
public @interface RequiresGpu {
  /** Asks the engine itself. */
  final class Condition implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      String problem = CudaRuntime.problem();
      return problem == null
          ? ConditionEvaluationResult.enabled("computes on " + CudaRuntime.deviceNames())
          : ConditionEvaluationResult.disabled("no CUDA device can be used: " + problem);
    }
  }
}
