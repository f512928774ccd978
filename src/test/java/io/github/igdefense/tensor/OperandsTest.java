package io.github.igdefense.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Operands of the wrong size would be read beyond their end: each is refused by its name. */
class OperandsTest {
  private static final int N = 3;
  private static final int U = 8;
  private static final int K = 4;

  private PointerScope scope;
  private Tensor activation;
  private Tensor weight;
  private Tensor bias;
  private Tensor masks;

  @BeforeEach
  void open() {
    scope = new PointerScope();
    activation = zeros(ScalarType.Float, N, U, 2, 2);
    weight = zeros(ScalarType.Float, K, U);
    bias = zeros(ScalarType.Float, K);
    masks = zeros(ScalarType.Byte, K, U);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void maskedHead() {
    assertThat(
            Tensors.shape(FusedOps.maskedHead(activation, weight, bias, masks, 1, null).logits()))
        .containsExactly(N, K);
    refused("weight", () -> head(zeros(ScalarType.Float, K, U - 1), bias, masks, null));
    refused("weight", () -> head(zeros(ScalarType.Long, K, U), bias, masks, null));
    refused("weight", () -> head(zeros(ScalarType.Float, U, K).t(), bias, masks, null));
    refused("bias", () -> head(weight, zeros(ScalarType.Float, K - 1), masks, null));
    refused("bias", () -> head(weight, zeros(ScalarType.Double, K), masks, null));
    refused("masks", () -> head(weight, bias, zeros(ScalarType.Byte, K, U - 1), null));
    refused("masks", () -> head(weight, bias, zeros(ScalarType.Float, K, U), null));
    refused("masks", () -> head(weight, bias, null, null));
    refused("firstLogits", () -> head(weight, bias, masks, zeros(ScalarType.Float, N - 1, K)));
    refused(
        "an activation",
        () -> FusedOps.maskedHead(zeros(ScalarType.Float, N), weight, bias, masks, 1, null));
  }

  @Test
  void maskedHeadBackward() {
    FusedOps.MaskedHead head = FusedOps.maskedHead(activation, weight, bias, masks, 1, null);
    Tensor gradient = zeros(ScalarType.Float, N, K);
    assertThat(
            Tensors.shape(
                FusedOps.maskedHeadBackward(gradient, head, activation, weight, masks, 1, true)
                    .activation()))
        .containsExactly(N, U, 2, 2);
    refused(
        "gradLogits",
        () ->
            FusedOps.maskedHeadBackward(
                zeros(ScalarType.Float, N, K + 1), head, activation, weight, masks, 1, true));
    refused(
        "head.pooled",
        () ->
            FusedOps.maskedHeadBackward(
                zeros(ScalarType.Float, N + 1, K),
                head,
                zeros(ScalarType.Float, N + 1, U, 2, 2),
                weight,
                masks,
                1,
                true));
  }

  @Test
  void leaveOneOutSums() {
    Tensor labels = zeros(ScalarType.Long, N);
    Tensor sums = zeros(ScalarType.Double, K, U);
    Tensor counts = zeros(ScalarType.Long, K);
    FusedOps.looPenultimateAccumulate(activation, labels, false, sums, counts);
    assertThat(Tensors.toLongs(counts)).containsExactly(N, 0, 0, 0);
    refused("labels", () -> accumulate(zeros(ScalarType.Long, N - 1), sums, counts));
    refused("labels", () -> accumulate(zeros(ScalarType.Int, N), sums, counts));
    refused("classSums", () -> accumulate(labels, zeros(ScalarType.Double, K, U - 1), counts));
    refused("classSums", () -> accumulate(labels, zeros(ScalarType.Float, K, U), counts));
    refused("classCounts", () -> accumulate(labels, sums, zeros(ScalarType.Long, K - 1)));
    refused(
        "classSums",
        () ->
            FusedOps.looPenultimateFinish(
                weight, zeros(ScalarType.Double, K, U - 1), counts, false, false));
    refused(
        "weight",
        () ->
            FusedOps.looPenultimateFinish(
                zeros(ScalarType.Half, K, U), sums, counts, false, false));
  }

  @Test
  void ablations() {
    Tensor input = zeros(ScalarType.Float, N, U, 4, 4);
    Tensor base = zeros(ScalarType.Float, N, 6, 4, 4);
    Tensor packed = AblationOps.pack(zeros(ScalarType.Float, 6, U, 3, 3), 1);
    AblationOps.Pairs pairs =
        new AblationOps.Pairs(zeros(ScalarType.Long, 2), zeros(ScalarType.Long, 2));
    assertThat(Tensors.shape(convolve(base, input, packed, pairs))).containsExactly(2, 6, 4, 4);
    refused("packed", () -> convolve(base, input, zeros(ScalarType.Float, U, 9, 5), pairs));
    refused("base", () -> convolve(zeros(ScalarType.Float, 2, 6, 4, 4), input, packed, pairs));
    refused("input", () -> convolve(base, zeros(ScalarType.Double, N, U, 4, 4), packed, pairs));
    refused(
        "images of pairs",
        () -> new AblationOps.Pairs(zeros(ScalarType.Long, 2), zeros(ScalarType.Long, 1)));
    refused(
        "labels",
        () ->
            AblationOps.differences(
                zeros(ScalarType.Float, 2, K),
                zeros(ScalarType.Float, N, K),
                zeros(ScalarType.Long, N + 1),
                pairs,
                false));
    refused(
        "logits",
        () ->
            AblationOps.differences(
                zeros(ScalarType.Float, 2, K + 1),
                zeros(ScalarType.Float, N, K),
                zeros(ScalarType.Long, N),
                pairs,
                false));
  }

  @Test
  void conceptScores() {
    Tensor similarity = zeros(ScalarType.Float, N, K);
    Tensor images = zeros(ScalarType.Int, U, 2);
    double[] rank = {1, .5};
    assertThat(Tensors.shape(ConceptOps.scores(similarity, 1, null, images, rank, 1e-7, 1)))
        .containsExactly(U, K);
    refused(
        "a weight for each",
        () -> ConceptOps.scores(similarity, 1, null, images, new double[] {1}, 1e-7, 1));
    refused(
        "images",
        () -> ConceptOps.scores(similarity, 1, null, zeros(ScalarType.Long, U, 2), rank, 1e-7, 1));
    refused(
        "labels",
        () ->
            ConceptOps.scores(similarity, 1, zeros(ScalarType.Long, N - 1), images, rank, 1e-7, 1));
  }

  private void head(Tensor w, Tensor b, Tensor m, Tensor first) {
    FusedOps.maskedHead(activation, w, b, m, 1, first);
  }

  private void accumulate(Tensor labels, Tensor sums, Tensor counts) {
    FusedOps.looPenultimateAccumulate(activation, labels, false, sums, counts);
  }

  private static Tensor convolve(
      Tensor base, Tensor input, Tensor packed, AblationOps.Pairs pairs) {
    return AblationOps.convolution(base, input, null, packed, 3, 1, 1, 1, false, pairs);
  }

  private static void refused(String operand, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("expected " + operand)
        .hasMessageContaining("got");
  }

  private static Tensor zeros(ScalarType type, long... shape) {
    return torch.zeros(shape, Tensors.options(type));
  }
}
