package io.github.igdefense.data;

import io.github.igdefense.data.Resampling.Filter;
import io.github.igdefense.data.Resampling.Window;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How a decoded image becomes the model's input: resizing as Pillow does it (antialiased, 8-bit
 * fixed point, bytes equal) and a centre crop, with torchvision's rules for sizes. Scaling to [0,1]
 * comes after. Immutable and thread-safe.
 *
 * <p>Names are RobustBench's, for any sizes R and C: {@code ResRCropC} (shorter side to R,
 * bilinear, centre crop C × C), {@code BicubicResRCropC} (the same, bicubic; CLIP's with R = C),
 * {@code CropC} (crop alone), {@code ResR} (both sides to R, bilinear, proportions lost), {@code
 * none}.
 */
public final class Preprocessing {
  /** Leaves images as they are. */
  public static final Preprocessing NONE =
      new Preprocessing("none", Resize.NONE, 0, Filter.BILINEAR, 0);

  /** The names in the published model records, for help texts. */
  public static final List<String> NAMES =
      List.of("Res256Crop224", "BicubicRes256Crop224", "Crop288", "Res224", "none");

  private static final Pattern NAME =
      Pattern.compile("(Bicubic)?(?:Res(\\d{1,4}))?(?:Crop(\\d{1,4}))?");

  private enum Resize {
    NONE,
    SHORTER_SIDE,
    BOTH_SIDES
  }

  private final String name;
  private final Resize resize;
  private final int size;
  private final Filter filter;
  private final int crop;

  private Preprocessing(String name, Resize resize, int size, Filter filter, int crop) {
    this.name = name;
    this.resize = resize;
    this.size = size;
    this.filter = filter;
    this.crop = crop;
  }

  /**
   * The preprocessing of this name; upper and lower case matter.
   *
   * @throws InputException if there is none, or a size is 0
   */
  public static Preprocessing parse(String name) {
    if (name.equals("none")) {
      return NONE;
    }
    Matcher parts = NAME.matcher(name);
    if (parts.matches() && !name.isEmpty()) {
      int size = parts.group(2) == null ? -1 : Integer.parseInt(parts.group(2));
      int crop = parts.group(3) == null ? -1 : Integer.parseInt(parts.group(3));
      boolean bicubic = parts.group(1) != null;
      if (size != 0 && crop != 0 && (size > 0 || crop > 0 && !bicubic)) {
        Resize resize = size < 0 ? Resize.NONE : crop < 0 ? Resize.BOTH_SIDES : Resize.SHORTER_SIDE;
        Filter filter = bicubic ? Filter.BICUBIC : Filter.BILINEAR;
        return new Preprocessing(name, resize, Math.max(0, size), filter, Math.max(0, crop));
      }
    }
    throw new InputException(
        "expected a preprocessing such as "
            + String.join(", ", NAMES)
            + ", got '"
            + ZipArchive.printable(name)
            + "'");
  }

  /** Whether this could be meant as a name of a preprocessing. */
  static boolean isName(String text) {
    return text.equals("none") || !text.isEmpty() && NAME.matcher(text).matches();
  }

  /** The name; {@link #parse} gives an equal preprocessing. */
  public String name() {
    return name;
  }

  /** What is done, in words. */
  public String description() {
    String words =
        switch (resize) {
          case NONE -> "";
          case SHORTER_SIDE -> "shorter side to " + size + ", " + filterName();
          case BOTH_SIDES -> "both sides to " + size + ", " + filterName();
        };
    String cropping = crop == 0 ? "" : "centre crop " + crop + "x" + crop;
    return words + (words.isEmpty() || cropping.isEmpty() ? "" : ", ") + cropping;
  }

  private String filterName() {
    return filter.name().toLowerCase(java.util.Locale.ROOT);
  }

  /** Side of the square result whatever the image; 0 for {@link #NONE}, which keeps its size. */
  public int side() {
    return crop > 0 ? crop : size;
  }

  /**
   * Preprocesses an image.
   *
   * @param image 3 × height × width bytes, RGB, CHW
   * @return 3 × {@link #side} × {@link #side} bytes, or the image itself for {@link #NONE}
   */
  public byte[] apply(byte[] image, int height, int width) {
    if (height < 1 || width < 1 || image.length != 3L * height * width) {
      throw new IllegalArgumentException(
          image.length + " bytes are no RGB image of " + width + "x" + height);
    }
    if (this.equals(NONE)) {
      return image;
    }
    int tall = height;
    int wide = width;
    if (resize == Resize.BOTH_SIDES) {
      tall = size;
      wide = size;
    } else if (resize == Resize.SHORTER_SIDE) {
      tall = height <= width ? size : longer(height, width);
      wide = width <= height ? size : longer(width, height);
    }
    int cropTall = crop == 0 ? tall : Math.min(crop, tall);
    int cropWide = crop == 0 ? wide : Math.min(crop, wide);
    Window window = new Window(start(tall - cropTall), start(wide - cropWide), cropTall, cropWide);
    byte[] part = Resampling.resize(image, height, width, filter, tall, wide, window);
    return cropTall == side() && cropWide == side() ? part : pad(part, cropTall, cropWide);
  }

  private int longer(int side, int other) {
    return (int) ((double) ((long) size * side) / other);
  }

  /** Python's {@code round(difference / 2)}: halves go to the even number. */
  private static int start(int difference) {
    return (int) Math.rint(difference / 2.0);
  }

  /** Images smaller than the crop stand in the middle of black. */
  private byte[] pad(byte[] image, int height, int width) {
    byte[] target = new byte[3 * crop * crop];
    int top = (crop - height) / 2;
    int left = (crop - width) / 2;
    for (int row = 0; row < 3 * height; row++) {
      int to = (row / height * crop + top + row % height) * crop + left;
      System.arraycopy(image, row * width, target, to, width);
    }
    return target;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Preprocessing that && name.equals(that.name);
  }

  @Override
  public int hashCode() {
    return Objects.hash(name);
  }

  /** The name, and what it stands for. */
  @Override
  public String toString() {
    return resize == Resize.NONE && crop == 0 ? name : name + " (" + description() + ")";
  }
}
