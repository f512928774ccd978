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
 * turned to RGB by its integer formula. Stateless and thread-safe.
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
      Size size = parse(start, n);
      if (size == null && n == start.length) {
        byte[] rest = in.readNBytes(1 << 24); // long metadata
        byte[] all = java.util.Arrays.copyOf(start, n + rest.length);
        System.arraycopy(rest, 0, all, n, rest.length);
        size = parse(all, all.length);
      }
      if (size == null) {
        throw new InputException(
            "expected a JPEG or PNG image at " + file + ", found something else or a damaged file");
      }
      if (size.height < 1
          || size.width < 1
          || size.height > MAX_SIDE
          || size.width > MAX_SIDE
          || (long) size.height * size.width > MAX_PIXELS) {
        throw new InputException(
            "expected an image of at most 2^26 pixels at " + file + ", got " + size);
      }
      checkPlausible(size, Files.size(file), file);
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

  private static Size parse(byte[] b, int n) {
    if (n >= 24 && (b[0] & 0xff) == 0x89 && b[1] == 'P' && b[2] == 'N' && b[3] == 'G') {
      return b[12] == 'I' && b[13] == 'H' && b[14] == 'D' && b[15] == 'R'
          ? new Size(big(b, 20, 4), big(b, 16, 4))
          : null;
    }
    return n >= 4 && (b[0] & 0xff) == 0xff && (b[1] & 0xff) == 0xd8 ? parseJpeg(b, n) : null;
  }

  private static Size parseJpeg(byte[] b, int n) {
    int at = frame(b, n);
    return at < 0 ? null : new Size(big(b, at + 5, 2), big(b, at + 7, 2));
  }

  /** Position of the start-of-frame marker's second byte minus one, or -1. */
  private static int frame(byte[] b, int n) {
    int at = 2;
    while (at + 9 < n) {
      if ((b[at] & 0xff) != 0xff) {
        return -1;
      }
      int marker = b[at + 1] & 0xff;
      if (marker == 0xff) {
        at++;
      } else if (marker == 1 || marker >= 0xd0 && marker <= 0xd8) {
        at += 2;
      } else if (marker >= 0xc0
          && marker <= 0xcf
          && marker != 0xc4
          && marker != 0xc8
          && marker != 0xcc) {
        return at;
      } else if (marker == 0xda || marker == 0xd9) {
        return -1;
      } else {
        int length = big(b, at + 2, 2);
        if (length < 2) {
          return -1;
        }
        at += 2 + length;
      }
    }
    return -1;
  }

  private static int big(byte[] b, int at, int count) {
    int value = 0;
    for (int i = 0; i < count; i++) {
      value = value << 8 | b[at + i] & 0xff;
    }
    return value;
  }

  /**
   * Decodes a file of known size.
   *
   * @return 3 × height × width bytes, CHW
   * @throws InputException if it cannot be decoded or has another size; names it
   */
  static byte[] decode(Path file, Size size) {
    byte[] content;
    try {
      if (Files.size(file) > MAX_FILE) {
        throw new InputException("expected an image file of at most 256 MiB at " + file);
      }
      content = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new InputException("cannot read image " + file + " (" + e + ")", e);
    }
    return decode(content, file, size);
  }

  static byte[] decode(byte[] content, Path file, Size size) {
    Size found = parse(content, content.length);
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
      if (!isPng(content) && components(content) == 4) {
        return cmyk(content, size);
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
    boolean png = isPng(content);
    IOException failure = null;
    // The platform's reader is faster; TwelveMonkeys' also knows many irregular JPEG files.
    for (boolean platform : new boolean[] {true, false}) {
      for (ImageReaderSpi provider : png ? PNG_READERS : JPEG_READERS) {
        if (platform != isPlatform(provider)) {
          continue;
        }
        ImageReader reader = provider.createReaderInstance();
        try (ImageInputStream in =
            new MemoryCacheImageInputStream(new ByteArrayInputStream(content))) {
          reader.setInput(in, true, true);
          return reader.read(0);
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

  private static boolean isPng(byte[] content) {
    return (content[0] & 0xff) == 0x89;
  }

  private static boolean isPlatform(ImageReaderSpi provider) {
    return provider.getPluginClassName().startsWith("com.sun.");
  }

  /**
   * Four stored components to RGB; what is stored is the inverted ink, as Adobe's programs write
   * it.
   */
  private static byte[] cmyk(byte[] content, Size size) throws IOException {
    ImageReaderSpi provider =
        JPEG_READERS.stream().filter(ImageFiles::isPlatform).findFirst().orElseThrow();
    ImageReader reader = provider.createReaderInstance();
    Raster raster;
    try (ImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(content))) {
      reader.setInput(in, true, true);
      raster = reader.readRaster(0, null);
    } finally {
      reader.dispose();
    }
    if (raster.getNumBands() != 4
        || raster.getWidth() != size.width
        || raster.getHeight() != size.height) {
      throw new IOException("its header is wrong");
    }
    boolean ycck = adobeTransform(content) == 2;
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

  /** The colour transform of the Adobe marker before the frame, or -1 if there is none. */
  private static int adobeTransform(byte[] jpeg) {
    int end = frame(jpeg, jpeg.length);
    int at = 2;
    while (at + 15 < end) {
      int marker = jpeg[at + 1] & 0xff;
      if (marker == 0xff) {
        at++; // padding
        continue;
      }
      if (marker == 0xee && jpeg[at + 4] == 'A' && jpeg[at + 5] == 'd' && jpeg[at + 6] == 'o') {
        return jpeg[at + 15];
      }
      at += marker == 1 || marker >= 0xd0 && marker <= 0xd8 ? 2 : 2 + big(jpeg, at + 2, 2);
    }
    return -1;
  }

  private static int components(byte[] jpeg) {
    int at = frame(jpeg, jpeg.length);
    return at < 0 ? 3 : jpeg[at + 9];
  }

  private static byte[] samples(BufferedImage image) {
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
