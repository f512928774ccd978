package io.github.igdefense.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Convolutions of images side by side against those of one after the other. */
class ImageStripsTest {

  @ParameterizedTest
  @CsvSource({
    "FLOAT32,64,128,40,4,4",
    "FLOAT32,80,130,7,3,4",
    "FLOAT32,64,128,16,5,3",
    "BFLOAT16,64,128,8,4,4"
  })
  void equalTheConvolution(Dtype dtype, int n, int in, int out, int height, int width) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false);
        Rng rng = new Rng(n)) {
      Tensor x = rng.normal(dtype, n, in, height, width);
      Tensor weight = rng.normal(dtype, out, in, 3, 3).contiguous(torch.MemoryFormat.ChannelsLast);
      Tensor bias = rng.normal(dtype, out);
      Convolution convolution =
          new Convolution(weight, bias, new TensorOptional(bias), 1, 1, 1, true);
      assertThat(ImageStrips.suit(convolution, x)).isTrue();
      Tensor expected =
          torch.conv2d(
              Tensors.to(x, Dtype.FLOAT64),
              Tensors.to(weight, Dtype.FLOAT64),
              new TensorOptional(Tensors.to(bias, Dtype.FLOAT64)),
              new long[] {1, 1},
              new long[] {1, 1},
              new long[] {1, 1},
              1);
      Tensor actual = convolution.apply(x);
      assertThat(Tensors.shape(actual)).isEqualTo(Tensors.shape(expected));
      assertThat(actual.is_contiguous(torch.MemoryFormat.ChannelsLast)).isTrue();
      double[] a = Tensors.toDoubles(actual);
      double[] e = Tensors.toDoubles(expected);
      double tolerance = dtype == Dtype.FLOAT32 ? 1e-3 : 1;
      for (int i = 0; i < a.length; i++) {
        assertThat(a[i]).as("element %d", i).isCloseTo(e[i], within(tolerance));
      }
      assertThat(
              ImageStrips.apply(convolution, x.narrow(0, 0, 16))
                  .is_contiguous(torch.MemoryFormat.ChannelsLast))
          .isTrue();
      assertThat(ImageStrips.suit(convolution, x.narrow(0, 0, n - 1))).isFalse();
    }
  }
}
