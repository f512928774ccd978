package io.github.igdefense.data;

import io.github.igdefense.data.ImageFiles.Size;

/** What the headers of JPEG and PNG files say. Stateless; takes any bytes. */
final class ImageHeaders {
  private ImageHeaders() {}

  /** The size in the first {@code n} bytes of a file, unchecked; null if they show none. */
  static Size parse(byte[] b, int n) {
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

  /** Whether the first byte is that of a PNG file. */
  static boolean isPng(byte[] content) {
    return (content[0] & 0xff) == 0x89;
  }

  /** The colour transform of the Adobe marker before the frame, or -1 if there is none. */
  static int adobeTransform(byte[] jpeg) {
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

  /** Components of a JPEG file. */
  static int components(byte[] jpeg) {
    int at = frame(jpeg, jpeg.length);
    return at < 0 ? 3 : jpeg[at + 9];
  }
}
