package io.github.igdefense.evaluation;

import io.github.igdefense.importance.SoftWpmi;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * CD-IR's scoring step (soft WPMI with its defaults, float32, cosines and activations to scores) by
 * our kernels against the straightforward libtorch loop over units, in one process, alternating.
 * Threads are those in force.
 *
 * @param loopSeconds median of the libtorch loop
 * @param kernelSeconds median of the kernels
 * @param ratio median over repetitions of loop / kernels
 * @param maxDifference largest |difference| of a score
 * @param products multiply-adds and multiplications that the scores need, U·top·K of each
 * @param bytes what must be read and written: activations and cosines once, scores once
 * @param readSeconds median time that summing activations and cosines takes: the memory's floor
 */
public record ConceptScoringBenchmark(
    double loopSeconds,
    double kernelSeconds,
    double ratio,
    double maxDifference,
    long products,
    long bytes,
    double readSeconds) {

  /** Runs it on random data: cosines around 0.2, activations after a ReLU. */
  public static ConceptScoringBenchmark run(
      int units, int concepts, int images, int repetitions, long seed) {
    double[] loop = new double[repetitions];
    double[] kernel = new double[repetitions];
    double[] ratio = new double[repetitions];
    double[] read = new double[repetitions];
    double difference;
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false);
        Rng rng = new Rng(seed)) {
      Tensor p =
          rng.normal(Dtype.FLOAT32, images, concepts).mul(new Scalar(0.03)).add(new Scalar(0.2));
      Tensor q = rng.normal(Dtype.FLOAT32, images, units).relu();
      difference = Tensors.scoped(() -> loop(p, q).sub(kernel(p, q)).abs().max()).item_double();
      for (int i = 0; i < repetitions; i++) {
        long start = System.nanoTime();
        try (PointerScope inner = new PointerScope()) {
          loop(p, q);
        }
        long middle = System.nanoTime();
        try (PointerScope inner = new PointerScope()) {
          kernel(p, q);
        }
        long end = System.nanoTime();
        try (PointerScope inner = new PointerScope()) {
          p.sum();
          q.sum();
        }
        read[i] = (System.nanoTime() - end) / 1e9;
        loop[i] = (middle - start) / 1e9;
        kernel[i] = (end - middle) / 1e9;
        ratio[i] = loop[i] / kernel[i];
      }
    }
    long products = (long) units * SoftWpmi.DEFAULT.topK() * concepts;
    long bytes = 4L * images * (units + concepts) + 8L * units * concepts;
    return new ConceptScoringBenchmark(
        median(loop), median(kernel), median(ratio), difference, products, bytes, median(read));
  }

  private static double median(double[] values) {
    Arrays.sort(values);
    return values[values.length / 2];
  }

  private static Tensor kernel(Tensor p, Tensor q) {
    return SoftWpmi.DEFAULT.score(p, q, null);
  }

  /** As the definition reads: per unit, its rows of S, logarithms, their sum. */
  private static Tensor loop(Tensor p, Tensor q) {
    SoftWpmi soft = SoftWpmi.DEFAULT;
    int top = soft.topK();
    return Tensors.scoped(
        () -> {
          Tensor s = p.mul(new Scalar(soft.a())).softmax(1);
          Tensor images = torch.topk(q, top, 0, true, true).get1();
          float[] weight = new float[top];
          for (int r = 0; r < top; r++) {
            weight[r] = (float) (soft.pStart() - (double) r / top * (soft.pStart() - soft.pEnd()));
          }
          Tensor weights = Tensors.of(weight, top, 1);
          TensorVector rows = new TensorVector();
          for (long u = 0; u < q.size(1); u++) {
            long unit = u;
            rows.push_back(
                Tensors.scoped(
                    () -> {
                      Tensor own = s.index_select(0, images.select(1, unit));
                      Tensor factor = own.sub(new Scalar(1.0)).mul(weights).add(new Scalar(1.0));
                      return factor
                          .add(new Scalar(soft.minProb()))
                          .log()
                          .sum(new long[] {0}, true, new org.bytedeco.pytorch.ScalarTypeOptional());
                    }));
          }
          Tensor sums = torch.cat(rows, 0);
          Tensor prior = sums.logsumexp(new long[] {0}, true).sub(new Scalar(Math.log(q.size(1))));
          return sums.sub(prior.mul(new Scalar(soft.lambda())));
        });
  }
}
