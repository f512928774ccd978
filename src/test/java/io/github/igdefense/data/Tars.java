package io.github.igdefense.data;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** Writes tar entries, sound ones and others. */
final class Tars {
  private Tars() {}

  /** A regular file. */
  static void entry(OutputStream tar, String name, byte[] content) throws IOException {
    tar.write(header(name, content.length, '0'));
    tar.write(content);
    tar.write(new byte[(512 - content.length % 512) % 512]);
  }

  /** A header with its checksum. */
  static byte[] header(String name, long size, char type) {
    byte[] header = new byte[512];
    put(header, 0, name);
    put(header, 100, "0000644");
    put(header, 124, String.format("%011o", size));
    put(header, 257, "ustar");
    put(header, 263, "00");
    header[156] = (byte) type;
    put(header, 148, "        ");
    int sum = 0;
    for (byte b : header) {
      sum += b & 0xff;
    }
    put(header, 148, String.format("%06o\0 ", sum));
    return header;
  }

  private static void put(byte[] target, int at, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(bytes, 0, target, at, bytes.length);
  }
}
