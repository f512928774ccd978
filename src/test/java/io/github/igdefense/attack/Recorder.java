package io.github.igdefense.attack;

import io.github.igdefense.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;

/** Writes down everything a run shows. */
final class Recorder implements Trace {
  /** One run from one start. */
  static final class Run {
    int[] rows;
    double epsilon;
    long[] targets;
    final List<double[]> loss = new ArrayList<>();
    final List<double[]> bestLoss = new ArrayList<>();
    final List<boolean[]> robust = new ArrayList<>();
    final List<double[]> stepSize = new ArrayList<>();
    final List<double[]> sparsity = new ArrayList<>();
    final List<double[]> points = new ArrayList<>();
    double[] best;
  }

  final List<Run> runs = new ArrayList<>();
  private long[] targets;

  private Run last() {
    return runs.get(runs.size() - 1);
  }

  @Override
  public void targets(long[] classes) {
    targets = classes;
  }

  @Override
  public void start(int[] rows, double epsilon, Tensor start) {
    Run run = new Run();
    run.rows = rows;
    run.epsilon = epsilon;
    run.targets = targets;
    run.points.add(Tensors.toDoubles(start));
    runs.add(run);
  }

  @Override
  public void step(
      Tensor point,
      double[] loss,
      double[] bestLoss,
      boolean[] robust,
      double[] stepSize,
      double[] sparsity) {
    if (point != null) {
      last().points.add(Tensors.toDoubles(point));
    }
    last().loss.add(loss.clone());
    last().bestLoss.add(bestLoss.clone());
    last().robust.add(robust.clone());
    if (stepSize != null) {
      last().stepSize.add(stepSize.clone());
    }
    if (sparsity != null) {
      last().sparsity.add(sparsity.clone());
    }
  }

  @Override
  public void end(Tensor bestPoint) {
    last().best = Tensors.toDoubles(bestPoint);
  }
}
