package io.github.igdefense.data;

import java.io.InputStream;
import java.util.Objects;

/** A stream over bytes; for one thread. */
final class BytesInputStream extends InputStream {
  private final Bytes bytes;
  private long at;

  BytesInputStream(Bytes bytes) {
    this.bytes = bytes;
  }

  @Override
  public int read() {
    return at < bytes.length() ? bytes.getByte(at++) & 0xff : -1;
  }

  @Override
  public int read(byte[] target, int offset, int length) {
    Objects.checkFromIndexSize(offset, length, target.length);
    if (length == 0) {
      return 0;
    }
    int count = (int) Math.min(length, bytes.length() - at);
    if (count == 0) {
      return -1;
    }
    bytes.get(at, target, offset, count);
    at += count;
    return count;
  }

  @Override
  public int available() {
    return (int) Math.min(Integer.MAX_VALUE, bytes.length() - at);
  }
}
