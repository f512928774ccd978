package io.github.igdefense.data;

import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.spi.ImageReaderSpi;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * Decodes JPEG and PNG files to 8-bit RGB as Pillow's {@code convert("RGB")} does: samples are
 * taken as stored, colour profiles and orientation tags are ignored, alpha is dropped, grey is
 * repeated, and four-component JPEGs are inverted CMYK (or YCCK, if their Adobe marker says so)
 * turned to RGB by its integer formula. Of 16-bit samples the high byte is taken; Pillow does so
 * for colour too, but saturates 16-bit grey. JPEG data that end early are refused, as Pillow does.
 * Stateless and thread-safe.
 */
final class ImageFiles {
  private static final int MAX_SIDE = 1 << 15;
  private static final long MAX_PIXELS = 1L << 26;
  private static final long MAX_FILE = 1L << 28;

  /**
   * A byte of deflate gives at most 1032, each of at most 8 pixels; JPEG codes a block of 64 pixels
   * in a bit or more.
   */
  private static final long MAX_PIXELS_PER_BYTE = 8 * 1032;

  private static final List<ImageReaderSpi> JPEG_READERS = providers("jpeg");
  private static final List<ImageReaderSpi> PNG_READERS = providers("png");

  private ImageFiles() {}

  private static List<ImageReaderSpi> providers(String format) {
    List<ImageReaderSpi> found = new ArrayList<>();
    Iterator<ImageReader> readers = ImageIO.getImageReadersByFormatName(format);
    while (readers.hasNext()) {
      ImageReader reader = readers.next();
      found.add(reader.getOriginatingProvider());
      reader.dispose();
    }
    return List.copyOf(found);
  }

  /** Rows and columns of an image. */
  record Size(int height, int width) {
    @Override
    public String toString() {
      return width + "x" + height;
    }
  }

  /** A decoded image: 3 × height × width bytes, RGB, CHW. */
  record Pixels(byte[] values, Size size) {}

  /** Whether the name says JPEG or PNG. */
  static boolean isImage(Path file) {
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    return !name.startsWith(".")
        && (name.endsWith(".jpg") || name.endsWith(".jpeg") || name.endsWith(".png"));
  }

  /**
   * Reads only the header.
   *
   * @throws InputException if it is no JPEG or PNG file; names it
   */
  static Size size(Path file) {
    byte[] start = new byte[1 << 12];
    try (InputStream in = Files.newInputStream(file)) {
      int n = in.readNBytes(start, 0, start.length);
      Size size = ImageHeaders.parse(start, n);
      if (size == null && n == start.length) {
        byte[] rest = in.readNBytes(1 << 24); // long metadata
        byte[] all = java.util.Arrays.copyOf(start, n + rest.length);
        System.arraycopy(rest, 0, all, n, rest.length);
        size = ImageHeaders.parse(all, all.length);
      }
      if (size == null) {
        throw new InputException(
            "expected a JPEG or PNG image at " + file + ", found something else or a damaged file");
      }
      checkPlausible(checked(size, file), Files.size(file), file);
      return size;
    } catch (IOException e) {
      throw new InputException("cannot read image " + file + " (" + e + ")", e);
    }
  }

  /** Before memory is reserved for it. */
  private static void checkPlausible(Size size, long bytes, Path file) {
    if ((long) size.height * size.width > MAX_PIXELS_PER_BYTE * bytes) {
      throw new InputException(
          "expected a whole image at " + file + ", its " + bytes + " bytes cannot hold " + size);
    }
  }

  private static Size checked(Size size, Path file) {
    if (size.height < 1
        || size.width < 1
        || size.height > MAX_SIDE
        || size.width > MAX_SIDE
        || (long) size.height * size.width > MAX_PIXELS) {
      throw new InputException(
          "expected an image of at most 2^26 pixels at " + file + ", got " + size);
    }
    return size;
  }

  /**
   * Whether the last bytes hold the end marker of a whole file. Without it the file may still be
   * readable; only decoding tells.
   */
  static boolean endsWell(Path file) {
    try (java.nio.channels.SeekableByteChannel in = Files.newByteChannel(file)) {
      int count = (int) Math.min(in.size(), 64);
      java.nio.ByteBuffer end = java.nio.ByteBuffer.allocate(count);
      in.position(in.size() - count);
      while (end.hasRemaining() && in.read(end) >= 0) {
        // keep reading
      }
      String text = new String(end.array(), java.nio.charset.StandardCharsets.ISO_8859_1);
      return text.contains("\u00ff\u00d9") || text.contains("IEND");
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Decodes a file.
   *
   * @throws InputException if it cannot be decoded; names it
   */
  static Pixels decode(Path file) {
    byte[] content;
    try {
      if (Files.size(file) > MAX_FILE) {
        throw new InputException("expected an image file of at most 256 MiB at " + file);
      }
      content = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new InputException("cannot read image " + file + " (" + e + ")", e);
    }
    return decode(content, file);
  }

  /** Decodes the content of a file; {@code file} is how messages name it. */
  static Pixels decode(byte[] content, Path file) {
    Size size = ImageHeaders.parse(content, content.length);
    if (size == null) {
      throw new InputException(
          "expected a JPEG or PNG image at " + file + ", found something else or a damaged file");
    }
    return new Pixels(decode(content, file, checked(size, file)), size);
  }

  static byte[] decode(byte[] content, Path file, Size size) {
    Size found = ImageHeaders.parse(content, content.length);
    if (found == null || !found.equals(size)) {
      throw new InputException(
          "expected a JPEG or PNG image of "
              + size
              + " at "
              + file
              + ", found "
              + (found == null ? "something else or a damaged file" : found.toString()));
    }
    checkPlausible(size, content.length, file);
    try {
      if (!ImageHeaders.isPng(content) && ImageHeaders.components(content) == 4) {
        return cmyk(content, file, size);
      }
      BufferedImage image = read(content, file);
      if (image.getHeight() != size.height || image.getWidth() != size.width) {
        throw new InputException(
            "expected an image of " + size + " at " + file + ", its header is wrong");
      }
      return samples(image);
    } catch (IOException | RuntimeException e) {
      if (e instanceof InputException) {
        throw (InputException) e;
      }
      throw new InputException(
          "cannot decode image " + file + " (" + e.getMessage() + "); replace or remove the file",
          e);
    }
  }

  private static BufferedImage read(byte[] content, Path file) throws IOException {
    boolean png = ImageHeaders.isPng(content);
    IOException failure = null;
    // The platform's reader is faster; TwelveMonkeys' also knows many irregular JPEG files.
    for (boolean platform : new boolean[] {true, false}) {
      for (ImageReaderSpi provider : png ? PNG_READERS : JPEG_READERS) {
        if (platform != isPlatform(provider)) {
          continue;
        }
        ImageReader reader = provider.createReaderInstance();
        boolean[] cutOff = new boolean[1];
        try (ImageInputStream in =
            new MemoryCacheImageInputStream(new ByteArrayInputStream(content))) {
          reader.setInput(in, true, true);
          reader.addIIOReadWarningListener((source, text) -> cutOff[0] |= saysCutOff(text));
          BufferedImage image = reader.read(0);
          if (cutOff[0]) {
            throw cutOff(file);
          }
          return image;
        } catch (InputException e) {
          throw e;
        } catch (IOException e) {
          failure = failure == null ? e : failure;
        } catch (RuntimeException e) {
          // Readers throw what they like on damaged input.
          failure = failure == null ? new IOException(e) : failure;
        } finally {
          reader.dispose();
        }
      }
    }
    throw failure == null ? new IOException("no reader for " + file) : failure;
  }

  /** The platform's reader fills what is missing with grey and only warns. */
  private static boolean saysCutOff(String warning) {
    return warning.contains("EOI") || warning.contains("Premature end");
  }

  private static InputException cutOff(Path file) {
    return new InputException(
        "cannot decode image " + file + " (it is cut off); replace or remove the file");
  }

  private static boolean isPlatform(ImageReaderSpi provider) {
    return provider.getPluginClassName().startsWith("com.sun.");
  }

  /**
   * Four stored components to RGB; what is stored is the inverted ink, as Adobe's programs write
   * it.
   */
  private static byte[] cmyk(byte[] content, Path file, Size size) throws IOException {
    ImageReaderSpi provider =
        JPEG_READERS.stream().filter(ImageFiles::isPlatform).findFirst().orElseThrow();
    ImageReader reader = provider.createReaderInstance();
    Raster raster;
    boolean[] cutOff = new boolean[1];
    try (ImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(content))) {
      reader.setInput(in, true, true);
      reader.addIIOReadWarningListener((source, text) -> cutOff[0] |= saysCutOff(text));
      raster = reader.readRaster(0, null);
    } finally {
      reader.dispose();
    }
    if (cutOff[0]) {
      throw cutOff(file);
    }
    if (raster.getNumBands() != 4
        || raster.getWidth() != size.width
        || raster.getHeight() != size.height) {
      throw new IOException("its header is wrong");
    }
    boolean ycck = ImageHeaders.adobeTransform(content) == 2;
    int plane = size.height * size.width;
    byte[] target = new byte[3 * plane];
    int[] row = new int[4 * size.width];
    int[] ink = new int[3];
    for (int y = 0; y < size.height; y++) {
      raster.getPixels(0, y, size.width, 1, row);
      for (int x = 0; x < size.width; x++) {
        int black = row[4 * x + 3];
        if (ycck) {
          fromYcc(row[4 * x], row[4 * x + 1] - 128, row[4 * x + 2] - 128, ink);
        } else {
          System.arraycopy(row, 4 * x, ink, 0, 3);
        }
        for (int c = 0; c < 3; c++) {
          int product = (255 - ink[c]) * black + 128;
          target[c * plane + y * size.width + x] = (byte) (black - ((product >> 8) + product >> 8));
        }
      }
    }
    return target;
  }

  /** Inverted RGB of libjpeg's fixed-point conversion; chroma is centred. */
  private static void fromYcc(int luma, int blue, int red, int[] ink) {
    ink[0] = 255 - clamp(luma + (91881 * red + 32768 >> 16));
    ink[1] = 255 - clamp(luma + (-22554 * blue - 46802 * red + 32768 >> 16));
    ink[2] = 255 - clamp(luma + (116130 * blue + 32768 >> 16));
  }

  private static int clamp(int value) {
    return Math.max(0, Math.min(255, value));
  }

  /** 3 × height × width bytes, RGB, CHW. */
  static byte[] samples(BufferedImage image) {
    int height = image.getHeight();
    int width = image.getWidth();
    int plane = height * width;
    byte[] target = new byte[3 * plane];
    ColorModel colors = image.getColorModel();
    Raster raster = image.getRaster();
    int bands = raster.getNumBands();
    int bits = colors.getComponentSize(0);
    if (colors instanceof IndexColorModel || bands > 4 || bits < 8) {
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
          int rgb = image.getRGB(x, y);
          target[y * width + x] = (byte) (rgb >> 16);
          target[plane + y * width + x] = (byte) (rgb >> 8);
          target[2 * plane + y * width + x] = (byte) rgb;
        }
      }
      return target;
    }
    int shift = bits - 8;
    int[] row = new int[width];
    for (int channel = 0; channel < 3; channel++) {
      int band = bands < 3 ? 0 : channel;
      for (int y = 0; y < height; y++) {
        raster.getSamples(0, y, width, 1, band, row);
        for (int x = 0; x < width; x++) {
          target[channel * plane + y * width + x] = (byte) (row[x] >> shift);
        }
      }
    }
    return target;
  }
}
