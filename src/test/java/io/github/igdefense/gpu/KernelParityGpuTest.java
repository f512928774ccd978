package io.github.igdefense.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.igdefense.tensor.AblationOps;
import io.github.igdefense.tensor.ConceptOps;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.FusedOps;
import io.github.igdefense.tensor.Tensors;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every kernel on a device, through libtorch's tensors, against the processor in float64. */
@RequiresGpu
class KernelParityGpuTest {
  private static final Device CUDA = Device.cuda(0);

  /** N, U, side, K, channels-last. */
  @ParameterizedTest
  @CsvSource({
    "1,1,1,2,false",
    "3,31,4,10,true",
    "5,64,8,10,false",
    "2,257,3,7,true",
    "64,512,4,10,true",
    "16,640,8,100,true",
    "4,2048,7,1000,true"
  })
  void maskedHeadAndLeaveOneOut(int n, int u, int side, int k, boolean channelsLast) {
    try (PointerScope scope = new PointerScope()) {
      Random random = new Random(u);
      Tensor a = uniform(random, n, u, side, side).relu();
      if (channelsLast) {
        a = a.contiguous(torch.MemoryFormat.ChannelsLast);
      }
      Tensor weight = uniform(random, k, u);
      Tensor bias = uniform(random, k);
      Tensor masks = uniform(random, k, u).gt(Tensors.scalar(0)).to(ScalarType.Byte);
      Tensor g = uniform(random, n, k);
      Tensor z = uniform(random, n, k);
      for (ScalarType type : new ScalarType[] {ScalarType.Double, ScalarType.Float}) {
        double tolerance = type == ScalarType.Double ? 1e-11 : 2e-4;
        for (Tensor first : new Tensor[] {null, z}) {
          FusedOps.MaskedHead expected = FusedOps.maskedHead(a, weight, bias, masks, 0.5, first);
          Tensor there = CUDA.move(a.to(type));
          Tensor w = CUDA.move(weight.to(type));
          Tensor m = CUDA.move(masks);
          FusedOps.MaskedHead actual =
              FusedOps.maskedHead(
                  there, w, CUDA.move(bias.to(type)), m, 0.5, first == null ? null : z);
          close(expected.logits(), actual.logits(), tolerance);
          close(expected.pooled(), actual.pooled(), tolerance);
          close(expected.softWeights(), actual.softWeights(), tolerance);
          close(expected.softMask(), actual.softMask(), tolerance);
          FusedOps.MaskedHeadGradient backward =
              FusedOps.maskedHeadBackward(g, expected, a, weight, masks, 0.5, first == null);
          FusedOps.MaskedHeadGradient onDevice =
              FusedOps.maskedHeadBackward(g, actual, there, w, m, 0.5, first == null);
          close(backward.activation(), onDevice.activation(), tolerance);
          if (first != null) {
            close(backward.firstLogits(), onDevice.firstLogits(), tolerance);
          }
        }
        long[] classes = random.longs(n, 0, k).toArray();
        Tensor[] sums = sums(a, classes, k, u);
        Tensor[] there = sums(CUDA.move(a.to(type)), classes, k, u);
        close(sums[0], there[0], tolerance);
        assertThat(Tensors.toLongs(there[1])).isEqualTo(Tensors.toLongs(sums[1]));
      }
    }
  }

  private static Tensor[] sums(Tensor a, long[] classes, int k, int u) {
    Tensor sums = Device.CPU.zeros(ScalarType.Double, k, u);
    Tensor counts = Device.CPU.zeros(ScalarType.Long, k);
    FusedOps.looPenultimateAccumulate(a, Tensors.of(classes, classes.length), false, sums, counts);
    return new Tensor[] {sums, counts};
  }

  /** N, U, side, O, kernel, stride, groups. */
  @ParameterizedTest
  @CsvSource({"2,8,5,12,3,1,1", "3,16,8,16,3,2,1", "2,32,8,64,1,2,1", "2,24,6,48,3,1,4"})
  void leaveOneOutInside(int n, int u, int side, int o, int kernel, int stride, int groups) {
    try (PointerScope scope = new PointerScope()) {
      Random random = new Random(o);
      Tensor input = uniform(random, n, u, side, side);
      Tensor weight = uniform(random, o, u / groups, kernel, kernel);
      int padding = kernel / 2;
      int out = (side + 2 * padding - kernel) / stride + 1;
      Tensor base = uniform(random, n, o, out, out);
      long[] units = random.longs(9, 0, u).toArray();
      long[] images = random.longs(9, 0, n).toArray();
      AblationOps.Pairs pairs =
          new AblationOps.Pairs(Tensors.of(units, units.length), Tensors.of(images, images.length));
      Tensor expected =
          AblationOps.convolution(
              base,
              input,
              null,
              AblationOps.pack(weight, groups),
              kernel,
              stride,
              padding,
              groups,
              true,
              pairs);
      Tensor actual =
          AblationOps.convolution(
              CUDA.move(base.to(ScalarType.Float)),
              CUDA.move(input.to(ScalarType.Float)),
              null,
              CUDA.move(AblationOps.pack(weight.to(ScalarType.Float), groups)),
              kernel,
              stride,
              padding,
              groups,
              true,
              pairs);
      close(expected, actual, 1e-5);
      close(AblationOps.identity(input, pairs), AblationOps.identity(CUDA.move(input), pairs), 0);
    }
  }

  @ParameterizedTest
  @CsvSource({"50,7,16,10", "400,33,64,20"})
  void conceptScores(int n, int k, int u, int top) {
    try (PointerScope scope = new PointerScope()) {
      Random random = new Random(n);
      Tensor similarity = uniform(random, n, k);
      Tensor images = ConceptOps.topImages(uniform(random, n, u), top);
      double[] weights = random.doubles(top, 0.9, 0.99).toArray();
      close(
          ConceptOps.scores(similarity, 10, null, images, weights, 1e-7, 1),
          ConceptOps.scores(CUDA.move(similarity), 10, null, images, weights, 1e-7, 1),
          1e-11);
    }
  }

  private static Tensor uniform(Random random, long... shape) {
    long count = 1;
    for (long size : shape) {
      count *= size;
    }
    return Tensors.of(random.doubles(count, -1, 1).toArray(), shape);
  }

  /** Within a share of the largest value. */
  static void close(Tensor expected, Tensor actual, double tolerance) {
    assertThat(Tensors.shape(actual)).isEqualTo(Tensors.shape(expected));
    double[] e = Tensors.toDoubles(expected);
    double[] a = Tensors.toDoubles(actual);
    double largest = 1e-300;
    for (double value : e) {
      largest = Math.max(largest, Math.abs(value));
    }
    for (int i = 0; i < e.length; i++) {
      assertThat(Math.abs(a[i] - e[i]))
          .as("value %d: %s, expected %s", i, a[i], e[i])
          .isLessThanOrEqualTo(tolerance * largest);
    }
  }
}
