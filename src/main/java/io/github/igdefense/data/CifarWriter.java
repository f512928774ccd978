package io.github.igdefense.data;

import io.github.igdefense.data.CifarImages.Form;
import io.github.igdefense.data.ImageSets.Split;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/**
 * Writes images of 32×32 as CIFAR-10 is published: the files of the binary version, or of the
 * Python version (pickles of protocol 2, as Python 2 wrote them). Images keep their order.
 * Stateless.
 */
public final class CifarWriter {
  private static final int LENGTH = CifarImages.LENGTH;

  private CifarWriter() {}

  /**
   * Writes one part (five batches of training images, or one of test images) and the class names to
   * {@code directory}, each file atomically.
   *
   * @param python the Python version instead of the binary one
   * @param train training images
   * @throws InputException if the images are no 8-bit RGB images of 32×32, have more than 10
   *     classes or cannot be divided into equal batches
   */
  public static void write(ImageSet images, boolean python, boolean train, Path directory) {
    if (images.channels() != 3 || images.height() != 32 || images.width() != 32) {
      throw InputException.of(
          "expected RGB images of 32x32 to write as CIFAR-10, got %d channels of %dx%d",
          images.channels(), images.width(), images.height());
    }
    if (images.classCount() > 10) {
      throw InputException.of(
          "expected at most 10 classes to write as CIFAR-10, got %d", images.classCount());
    }
    Form form = python ? Form.PICKLE : Form.BINARY;
    List<String> files = form.files(10, train ? Split.TRAIN : Split.TEST);
    if (images.size() % files.size() != 0) {
      throw InputException.of(
          "expected a number of images that %d files can share, got %d",
          files.size(), images.size());
    }
    int count = images.size() / files.size();
    for (int f = 0; f < files.size(); f++) {
      int[] indices = new int[count];
      for (int i = 0; i < count; i++) {
        indices[i] = f * count + i;
      }
      byte[] pixels = ByteImages.bytes(images, indices);
      byte[] labels = new byte[count];
      for (int i = 0; i < count; i++) {
        labels[i] = (byte) images.label(indices[i]);
      }
      String title =
          train ? "training batch " + (f + 1) + " of " + files.size() : "testing batch 1 of 1";
      AtomicFiles.writeBytes(
          directory.resolve(files.get(f)),
          python ? pickle(title, pixels, labels, names(images, indices)) : binary(pixels, labels));
    }
    List<String> classes = images.classNames();
    AtomicFiles.writeBytes(
        directory.resolve(form.meta(10, false)),
        python
            ? meta(classes, count)
            : (String.join("\n", classes) + "\n").getBytes(StandardCharsets.UTF_8));
  }

  private static String[] names(ImageSet images, int[] indices) {
    String[] names = new String[indices.length];
    for (int i = 0; i < names.length; i++) {
      names[i] =
          images instanceof FolderImages folder
              ? folder.listing().files().get(indices[i]).getFileName().toString()
              : String.format("%05d.png", indices[i]);
    }
    return names;
  }

  private static byte[] binary(byte[] pixels, byte[] labels) {
    byte[] records = new byte[labels.length * (LENGTH + 1)];
    for (int i = 0; i < labels.length; i++) {
      records[i * (LENGTH + 1)] = labels[i];
      System.arraycopy(pixels, i * LENGTH, records, i * (LENGTH + 1) + 1, LENGTH);
    }
    return records;
  }

  private static byte[] pickle(String title, byte[] pixels, byte[] labels, String[] names) {
    Pickle out = new Pickle();
    out.text("batch_label").text(title).text("labels").code("](");
    for (byte label : labels) {
      out.integer(label);
    }
    out.code("e").text("data").code("cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n");
    out.integer(0).code("\u0085").text("b").code("\u0087R(").integer(1);
    out.integer(labels.length).integer(LENGTH).code("\u0086cnumpy\ndtype\n").text("u1");
    out.integer(0).integer(1).code("\u0087R(").integer(3).text("|").code("NNN");
    out.integer(-1).integer(-1).integer(0).code("tb\u0089").string(pixels).code("tb");
    out.text("filenames").code("](");
    for (String name : names) {
      out.text(name);
    }
    return out.code("eu.").bytes();
  }

  private static byte[] meta(List<String> classes, int count) {
    Pickle out = new Pickle();
    out.text("num_cases_per_batch").integer(count).text("label_names").code("](");
    classes.forEach(out::text);
    return out.code("e").text("num_vis").integer(LENGTH).code("u.").bytes();
  }

  /** A dictionary being pickled. */
  private static final class Pickle {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final DataOutputStream out = new DataOutputStream(bytes);

    Pickle() {
      code("\u0080\u0002}(");
    }

    Pickle code(String operations) {
      return raw(operations.getBytes(StandardCharsets.ISO_8859_1));
    }

    Pickle text(String text) {
      return string(text.getBytes(StandardCharsets.UTF_8));
    }

    Pickle string(byte[] content) {
      if (content.length < 256) {
        return raw(new byte[] {'U', (byte) content.length}).raw(content);
      }
      return raw(new byte[] {'T'}).little(content.length).raw(content);
    }

    Pickle integer(int value) {
      return value >= 0 && value < 256
          ? raw(new byte[] {'K', (byte) value})
          : raw(new byte[] {'J'}).little(value);
    }

    private Pickle little(int value) {
      try {
        out.writeInt(Integer.reverseBytes(value));
        return this;
      } catch (IOException e) {
        throw new IllegalStateException("memory does not fail", e);
      }
    }

    private Pickle raw(byte[] content) {
      bytes.writeBytes(content);
      return this;
    }

    byte[] bytes() {
      return bytes.toByteArray();
    }
  }
}
