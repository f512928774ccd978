package io.github.igdefense.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 of files and values, as lower-case hex. Stateless; builders are for one thread. */
public final class Hashes {
  private Hashes() {}

  /**
   * Hash of a file's bytes.
   *
   * @throws InputException if the file cannot be read
   */
  public static String sha256(Path file) {
    MessageDigest digest = digest();
    byte[] buffer = new byte[1 << 16];
    try (InputStream in = Files.newInputStream(file)) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
    } catch (IOException e) {
      throw new InputException("cannot read " + file + " (" + e + ")", e);
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** Hash of bytes. */
  public static String sha256(byte[] bytes) {
    return HexFormat.of().formatHex(digest().digest(bytes));
  }

  /** Hash of the remaining bytes of buffers, one after the other; their positions do not change. */
  public static String sha256(ByteBuffer... parts) {
    MessageDigest digest = digest();
    for (ByteBuffer part : parts) {
      digest.update(part.duplicate());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /**
   * A hash over several values; each is framed by its length, so that parts cannot run into each
   * other.
   */
  public static Builder builder() {
    return new Builder();
  }

  static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** Collects values to hash. */
  public static final class Builder {
    private final MessageDigest digest = digest();

    private Builder() {}

    /** Adds text (UTF-8). */
    public Builder text(String value) {
      return bytes(value.getBytes(StandardCharsets.UTF_8));
    }

    /** Adds bytes. */
    public Builder bytes(byte[] value) {
      length(value.length);
      digest.update(value);
      return this;
    }

    /** Adds integers. */
    public Builder ints(int... values) {
      ByteBuffer buffer = ByteBuffer.allocate(Math.multiplyExact(4, values.length));
      buffer.asIntBuffer().put(values);
      return bytes(buffer.array());
    }

    private void length(int value) {
      digest.update(ByteBuffer.allocate(4).putInt(value).flip());
    }

    /** The hash of all values so far; the builder cannot be used afterwards. */
    public String hex() {
      return HexFormat.of().formatHex(digest.digest());
    }
  }
}
