package io.github.igdefense.data;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** Image sets as arrays in a {@code .npz} file. Stateless. */
public final class ImageArrays {
  private ImageArrays() {}

  /**
   * Writes 8-bit images as {@code x}, uint8 [N,C,H,W], and {@code y}, int64 [N], atomically. All
   * pixels are in memory meanwhile.
   *
   * @throws InputException if the images are not 8-bit, or have more than 2 GiB of pixels
   */
  public static void write(Path file, ImageSet images) {
    int[] indices = new int[images.size()];
    long[] labels = new long[indices.length];
    for (int i = 0; i < indices.length; i++) {
      indices[i] = i;
      labels[i] = images.label(i);
    }
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put(
        "x",
        NpyArray.of(
            ByteImages.bytes(images, indices),
            images.size(),
            images.channels(),
            images.height(),
            images.width()));
    arrays.put("y", NpyArray.of(labels, labels.length));
    Npz.write(file, arrays);
  }
}
