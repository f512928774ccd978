package io.github.igdefense.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.tensor.CompiledNet.Precision;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A residual block with a strided shortcut, against libtorch's own operations in float64. */
class CompiledNetTest {
  private static final long[] NONE = {1, 1};

  /** Weights and biases of stem, first, shortcut and second convolution, float32. */
  private record Parameters(Tensor[] weights, Tensor[] biases) {
    static Parameters random(long seed) {
      Random random = new Random(seed);
      long[][] shapes = {{8, 3, 3, 3}, {24, 8, 3, 3}, {24, 8, 1, 1}, {24, 24, 3, 3}};
      Tensor[] weights = new Tensor[shapes.length];
      Tensor[] biases = new Tensor[shapes.length];
      for (int i = 0; i < shapes.length; i++) {
        weights[i] = uniform(random, 0.3, shapes[i]);
        biases[i] = uniform(random, 0.1, shapes[i][0]);
      }
      return new Parameters(weights, biases);
    }

    CompiledNet compile(Precision precision, int size) {
      try (CompiledNet.Builder builder =
          new CompiledNet.Builder(precision, 3, size, size, null, null)) {
        int stem = builder.conv(0, weights[0], biases[0], 1, 1, -1, true);
        int hidden = builder.conv(stem, weights[1], biases[1], 2, 1, -1, true);
        int shortcut = builder.conv(stem, weights[2], biases[2], 2, 0, -1, false);
        int sum = builder.conv(hidden, weights[3], biases[3], 1, 1, shortcut, true);
        assertThat(sum).isEqualTo(OUTPUT);
        return builder.build();
      }
    }

    Tensor plain(Tensor x) {
      Tensor stem = conv(0, x, 1, 1).relu();
      Tensor hidden = conv(1, stem, 2, 1).relu();
      return conv(3, hidden, 1, 1).add(conv(2, stem, 2, 0)).relu();
    }

    private Tensor conv(int i, Tensor x, long stride, long padding) {
      return torch.conv2d(
          x,
          weights[i].to(ScalarType.Double),
          new TensorOptional(biases[i].to(ScalarType.Double)),
          new long[] {stride, stride},
          new long[] {padding, padding},
          NONE,
          1);
    }
  }

  /** Value of the block's sum: the input's patches are a value of their own. */
  private static final int OUTPUT = 5;

  private static Tensor uniform(Random random, double bound, long... shape) {
    int length = 1;
    for (long size : shape) {
      length *= (int) size;
    }
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) ((random.nextDouble() * 2 - 1) * bound);
    }
    return Tensors.of(values, shape);
  }

  private static double relative(Tensor got, Tensor expected) {
    Tensor difference = got.to(ScalarType.Double).sub(expected);
    return Math.sqrt(Tensors.sum(difference.mul(difference)) / Tensors.sum(expected.mul(expected)));
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32, 1, 2e-6", "FLOAT32, 9, 2e-6", "FLOAT32, 17, 2e-6", "BFLOAT16, 3, 1e-2"})
  void forwardAndGradientEqualLibtorchs(Precision precision, int n, double tolerance) {
    try (PointerScope scope = new PointerScope()) {
      Parameters parameters = Parameters.random(n);
      Tensor x = uniform(new Random(1), 1, n, 3, 10, 10);
      Tensor g = uniform(new Random(2), 1, n, 24, 5, 5);
      try (CompiledNet net = parameters.compile(precision, 10)) {
        Tensor y = net.forward(0, OUTPUT, x);
        assertThat(Tensors.shape(y)).containsExactly(n, 24, 5, 5);
        try (AutoGradMode on = new AutoGradMode(true);
            CompiledNet.Recording recording = net.record(0, OUTPUT, x)) {
          Tensor leaf = x.to(ScalarType.Double).requires_grad_(true);
          Tensor expected = parameters.plain(leaf);
          assertThat(relative(y, expected.detach())).isLessThan(tolerance);
          assertThat(Tensors.toFloats(recording.output()))
              .as("recording changes nothing")
              .containsExactly(Tensors.toFloats(y));
          TensorVector gradients =
              torch.grad(
                  Tensors.vector(expected),
                  Tensors.vector(leaf),
                  Tensors.vector(g.to(ScalarType.Double)),
                  new BoolOptional(),
                  false,
                  false);
          Tensor gradient = recording.backward(g);
          assertThat(relative(gradient, gradients.get(0)))
              .isLessThan(precision == Precision.FLOAT32 ? 1e-5 : 0.2);
        }
      }
    }
  }

  @Test
  void layoutAndTypeOfTheInputDoNotMatter() {
    try (PointerScope scope = new PointerScope();
        CompiledNet net = Parameters.random(3).compile(Precision.FLOAT32, 10)) {
      Tensor x = uniform(new Random(1), 1, 7, 3, 10, 10);
      float[] expected = Tensors.toFloats(net.forward(0, OUTPUT, x));
      Tensor channelsLast = x.contiguous(torch.MemoryFormat.ChannelsLast);
      assertThat(Tensors.toFloats(net.forward(0, OUTPUT, channelsLast))).containsExactly(expected);
      assertThat(Tensors.toFloats(net.forward(0, OUTPUT, x.to(ScalarType.Double))))
          .containsExactly(expected);
    }
  }

  @Test
  void cutAnywhereTheTwoPartsMakeTheWhole() {
    try (PointerScope scope = new PointerScope();
        CompiledNet net = Parameters.random(4).compile(Precision.FLOAT32, 10)) {
      Tensor x = uniform(new Random(1), 1, 20, 3, 10, 10);
      Tensor stem = net.forward(0, 2, x);
      assertThat(Tensors.toFloats(net.forward(2, OUTPUT, stem)))
          .containsExactly(Tensors.toFloats(net.forward(0, OUTPUT, x)));
    }
  }

  @Test
  void anotherKernelIsNotTheEngines() {
    try (PointerScope scope = new PointerScope();
        CompiledNet.Builder builder =
            new CompiledNet.Builder(Precision.FLOAT32, 16, 8, 8, null, null)) {
      Tensor weight = uniform(new Random(1), 1, 4, 16, 5, 5);
      assertThat(builder.conv(0, weight, uniform(new Random(2), 1, 4), 1, 2, -1, true))
          .isEqualTo(-1);
    }
  }

  @Test
  void aResidualOfAnotherShapeIsRefused() {
    try (PointerScope scope = new PointerScope();
        CompiledNet.Builder builder =
            new CompiledNet.Builder(Precision.FLOAT32, 16, 8, 8, null, null)) {
      Tensor weight = uniform(new Random(1), 1, 16, 16, 3, 3);
      Tensor bias = uniform(new Random(2), 1, 16);
      int first = builder.conv(0, weight, bias, 1, 1, -1, true);
      assertThatThrownBy(() -> builder.conv(first, weight, bias, 2, 1, first, true))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("residual")
          .hasMessageContaining("16 x 4 x 4");
    }
  }

  @Test
  void closedThingsSaySo() {
    try (PointerScope scope = new PointerScope()) {
      CompiledNet net = Parameters.random(5).compile(Precision.FLOAT32, 10);
      Tensor x = uniform(new Random(1), 1, 2, 3, 10, 10);
      CompiledNet.Recording recording = net.record(0, OUTPUT, x);
      recording.close();
      recording.close();
      assertThatThrownBy(() -> recording.backward(x))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed");
      net.close();
      net.close();
      assertThatThrownBy(() -> net.forward(0, OUTPUT, x))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed");
    }
  }

  @Test
  void normalisationComesBeforeThePadding() {
    try (PointerScope scope = new PointerScope()) {
      Parameters p = Parameters.random(6);
      Tensor scale = Tensors.of(new float[] {4, 5, 3}, 3);
      Tensor shift = Tensors.of(new float[] {-2, -1, -0.5f}, 3);
      Tensor x = uniform(new Random(1), 1, 3, 3, 10, 10);
      try (CompiledNet.Builder builder =
          new CompiledNet.Builder(Precision.FLOAT32, 3, 10, 10, scale, shift)) {
        int stem = builder.conv(0, p.weights()[0], p.biases()[0], 1, 1, -1, true);
        try (CompiledNet net = builder.build()) {
          Tensor normalised =
              x.to(ScalarType.Double).mul(scale.view(1, 3, 1, 1)).add(shift.view(1, 3, 1, 1));
          assertThat(relative(net.forward(0, stem, x), p.conv(0, normalised, 1, 1).relu()))
              .isCloseTo(0, within(2e-6));
        }
      }
    }
  }
}
