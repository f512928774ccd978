package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.DefendedNet;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/** A {@link DefendedClassifier}'s call through libtorch, where the native engine cannot run it. */
final class PlainForward {
  private PlainForward() {}

  /**
   * Classifies the first images of a workspace.
   *
   * @param before images of the caller's batch that came earlier, for messages
   */
  static void run(
      IgDefense defense,
      BundleManifest.Model model,
      DefendedNet.Workspace memory,
      int images,
      int before) {
    checkPixels(memory, images, before, model);
    float[] pixels = new float[images * model.channels() * model.height() * model.width()];
    memory.pixels().asFloatBuffer().get(0, pixels);
    int k = model.classCount();
    try (PointerScope scope = new PointerScope()) {
      Tensor x = Tensors.of(pixels, images, model.channels(), model.height(), model.width());
      IgDefense.Forward forward = defense.forward(Tensors.to(x, defense.dtype()));
      float[] first = Tensors.toFloats(forward.firstLogits());
      memory.logits().put(0, Tensors.toFloats(forward.logits()));
      memory.firstLogits().put(0, first);
      for (int i = 0; i < images; i++) {
        int best = 0;
        for (int c = 0; c < k && best >= 0; c++) {
          float value = first[i * k + c];
          best = Float.isNaN(value) ? -1 : value > first[i * k + best] ? c : best;
        }
        memory.pseudoLabels().put(i, best);
      }
    }
  }

  /**
   * Refuses values outside [0,1].
   *
   * @throws InputException with the first one and its place
   */
  static void checkPixels(
      DefendedNet.Workspace memory, int images, int before, BundleManifest.Model model) {
    int plane = model.height() * model.width();
    int length = model.channels() * plane;
    for (int i = 0; i < images * length; i++) {
      float value = memory.pixels().getFloat(Float.BYTES * i);
      if (!(value >= 0 && value <= 1)) {
        int at = i % length;
        throw new InputException(
            "expected pixels in [0,1], got %s in image %d at channel %d, row %d, column %d; divide"
                    .formatted(
                        value,
                        before + i / length,
                        at / plane,
                        at % plane / model.width(),
                        at % model.width())
                + " 8-bit values by 255");
      }
    }
  }
}
