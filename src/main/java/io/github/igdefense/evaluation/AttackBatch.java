package io.github.igdefense.evaluation;

import io.github.igdefense.attack.AttackResult;
import io.github.igdefense.data.ElementType;
import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.model.Classifier;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * What an attack did to one batch of n images, as it is kept on disk. Points are {@code float[]} or
 * {@code double[]} of one image each.
 *
 * @param indices the images' positions in their set
 * @param holds whether the image is classified correctly at the point that is kept
 * @param reported whether the attack itself says so
 * @param loss highest loss visited; NaN where the image was not attacked
 * @param prediction class at the point that is kept
 * @param gradients gradients computed
 * @param queries forward passes, those for gradients among them
 * @param zeroGradients images whose gradient was zero everywhere at a start
 * @param seconds wall time
 * @param adversarial the point that is kept: misclassified where one was found
 * @param best the point of highest loss
 */
record AttackBatch(
    int[] indices,
    boolean[] holds,
    boolean[] reported,
    double[] loss,
    int[] prediction,
    long[] gradients,
    long[] queries,
    int zeroGradients,
    double seconds,
    Object[] adversarial,
    Object[] best) {

  /**
   * Judges the points of a result.
   *
   * @param both judge the highest-loss points too, and keep one of them where it alone is
   *     misclassified: for classifiers that are random, or judged in another type than attacked
   */
  static AttackBatch of(
      ImageBatch batch,
      AttackResult result,
      Classifier judged,
      RepeatedEvaluation judge,
      boolean both,
      double seconds) {
    int n = batch.size();
    RepeatedEvaluation.Judgement there = judge(result.adversarial(), batch, judged, judge);
    boolean[] holds = there.correct();
    int[] prediction = there.classes();
    Object[] adversarial = split(result.adversarial());
    Object[] best = split(result.best());
    if (both) {
      RepeatedEvaluation.Judgement atBest = judge(result.best(), batch, judged, judge);
      boolean[] holdsAtBest = atBest.correct();
      for (int j = 0; j < n; j++) {
        if (holds[j] && !holdsAtBest[j]) {
          holds[j] = false;
          prediction[j] = atBest.classes()[j];
          adversarial[j] = best[j];
        }
      }
    }
    return new AttackBatch(
        batch.indices().clone(),
        holds,
        result.robust(),
        result.bestLoss(),
        prediction,
        result.gradientEvaluations(),
        result.queries(),
        result.zeroGradientImages(),
        seconds,
        adversarial,
        best);
  }

  private static RepeatedEvaluation.Judgement judge(
      Tensor points, ImageBatch batch, Classifier judged, RepeatedEvaluation judge) {
    try (PointerScope scope = new PointerScope()) {
      return judge.judge(judged, Tensors.to(points, judged.dtype()), batch.labels());
    }
  }

  private static Object[] split(Tensor points) {
    int n = (int) points.size(0);
    return points.element_size() == Dtype.FLOAT64.bytes()
        ? split(n, Tensors.toDoubles(points))
        : split(n, Tensors.toFloats(points));
  }

  private static Object[] split(int n, double[] all) {
    int length = all.length / n;
    Object[] images = new Object[n];
    Arrays.setAll(images, i -> Arrays.copyOfRange(all, i * length, (i + 1) * length));
    return images;
  }

  private static Object[] split(int n, float[] all) {
    int length = all.length / n;
    Object[] images = new Object[n];
    Arrays.setAll(images, i -> Arrays.copyOfRange(all, i * length, (i + 1) * length));
    return images;
  }

  /** As named arrays of a fixed order; {@link #of(Map, int[])} takes them back. */
  Map<String, NpyArray> arrays() {
    int n = indices.length;
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("indices", NpyArray.of(indices, n));
    arrays.put("holds", NpyArray.of(holds, n));
    arrays.put("reported", NpyArray.of(reported, n));
    arrays.put("loss", NpyArray.of(loss, n));
    arrays.put("prediction", NpyArray.of(prediction, n));
    arrays.put("gradients", NpyArray.of(gradients, n));
    arrays.put("queries", NpyArray.of(queries, n));
    arrays.put("zero_gradients", NpyArray.of(new long[] {zeroGradients}, 1));
    arrays.put("seconds", NpyArray.of(new double[] {seconds}, 1));
    arrays.put("adversarial", join(adversarial));
    arrays.put("best", join(best));
    return arrays;
  }

  private static NpyArray join(Object[] images) {
    int n = images.length;
    if (images[0] instanceof double[] first) {
      double[] all = new double[n * first.length];
      for (int i = 0; i < n; i++) {
        System.arraycopy((double[]) images[i], 0, all, i * first.length, first.length);
      }
      return NpyArray.of(all, n, first.length);
    }
    int length = ((float[]) images[0]).length;
    float[] all = new float[n * length];
    for (int i = 0; i < n; i++) {
      System.arraycopy((float[]) images[i], 0, all, i * length, length);
    }
    return NpyArray.of(all, n, length);
  }

  /**
   * The batch kept as these arrays.
   *
   * @param expected the images it must be about
   * @throws InputException if it is about others
   */
  static AttackBatch of(Map<String, NpyArray> arrays, int[] expected) {
    for (String name :
        new String[] {
          "indices",
          "holds",
          "reported",
          "loss",
          "prediction",
          "gradients",
          "queries",
          "best",
          "adversarial",
          "zero_gradients",
          "seconds"
        }) {
      if (!arrays.containsKey(name)) {
        throw new InputException(
            "expected an array " + name + " in the state of a batch, got " + arrays.keySet());
      }
    }
    int[] indices = ints(arrays.get("indices"));
    if (!Arrays.equals(indices, expected)) {
      throw new InputException(
          "the state holds another batch of images than this run attacks next; delete the state"
              + " to start anew");
    }
    return new AttackBatch(
        indices,
        arrays.get("holds").asBoolean(),
        arrays.get("reported").asBoolean(),
        arrays.get("loss").asDouble(),
        ints(arrays.get("prediction")),
        arrays.get("gradients").asLong(),
        arrays.get("queries").asLong(),
        (int) arrays.get("zero_gradients").getLong(0),
        arrays.get("seconds").getDouble(0),
        split(arrays.get("adversarial"), indices.length),
        split(arrays.get("best"), indices.length));
  }

  private static Object[] split(NpyArray points, int n) {
    return points.type() == ElementType.FLOAT64
        ? split(n, points.asDouble())
        : split(n, points.asFloat());
  }

  private static int[] ints(NpyArray array) {
    return Arrays.stream(array.asLong()).mapToInt(Math::toIntExact).toArray();
  }
}
