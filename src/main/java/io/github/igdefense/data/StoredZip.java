package io.github.igdefense.data;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.time.LocalDateTime;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Writes a zip archive of uncompressed entries; the same content gives the same bytes, as entries
 * carry a fixed time. {@link ZipArchive} reads it without a copy. For one thread.
 */
public final class StoredZip implements AutoCloseable {
  // Later than 1980-01-01, for which Java would write the time zone's offset, too.
  private static final LocalDateTime FIXED_TIME = LocalDateTime.of(1980, 2, 1, 0, 0);

  private final ZipOutputStream zip;

  /** An archive that is written to {@code out}, which {@link #close} closes. */
  public StoredZip(OutputStream out) {
    zip = new ZipOutputStream(out);
    zip.setMethod(ZipOutputStream.STORED);
  }

  /**
   * Adds an entry.
   *
   * @param parts its content one after the other, from position to limit; not changed
   */
  public void add(String name, ByteBuffer... parts) throws IOException {
    CRC32 crc = new CRC32();
    long size = 0;
    for (ByteBuffer part : parts) {
      size += part.remaining();
      crc.update(part.duplicate());
    }
    ZipEntry entry = new ZipEntry(name);
    entry.setTimeLocal(FIXED_TIME);
    entry.setSize(size);
    entry.setCompressedSize(size);
    entry.setCrc(crc.getValue());
    zip.putNextEntry(entry);
    byte[] block = new byte[1 << 16];
    for (ByteBuffer part : parts) {
      ByteBuffer rest = part.duplicate();
      while (rest.hasRemaining()) {
        int n = Math.min(block.length, rest.remaining());
        rest.get(block, 0, n);
        zip.write(block, 0, n);
      }
    }
    zip.closeEntry();
  }

  /** Writes the directory and closes the stream. */
  @Override
  public void close() throws IOException {
    zip.close();
  }
}
