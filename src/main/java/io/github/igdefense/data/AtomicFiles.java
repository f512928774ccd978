package io.github.igdefense.data;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * Writing files so that a reader sees the old content or the whole new one, never a part.
 *
 * <p>Content goes to a hidden temporary file in the same directory, is forced to disk and then
 * moved over the target. If anything fails, the temporary file is deleted and the target is as it
 * was. Failures of the file system (full disk, no permission) are {@link UncheckedIOException}
 * whose message names the target and the remedy; what the writer itself throws passes unchanged.
 * All methods may be called from any thread.
 */
public final class AtomicFiles {
  private AtomicFiles() {}

  /**
   * Writes {@code target} through a buffered stream. Missing parent directories are created.
   *
   * @param writer receives the stream; may close it or not
   * @throws UncheckedIOException if the file cannot be written
   */
  public static void write(Path target, IoConsumer<OutputStream> writer) {
    Path file = target.toAbsolutePath();
    Path directory = file.getParent();
    if (directory == null || Files.isDirectory(file)) {
      String message = "cannot write " + target + ": it is a directory";
      throw new UncheckedIOException(message, new IOException(message));
    }
    String random = UUID.randomUUID().toString().substring(0, 8);
    Path temporary = directory.resolve("." + file.getFileName() + "." + random + ".tmp");
    try {
      Files.createDirectories(directory);
      try (FileChannel channel =
          FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        OutputStream out =
            new BufferedOutputStream(Channels.newOutputStream(channel), 1 << 16) {
              @Override
              public void close() throws IOException {
                flush(); // a wrapper closing us must not end the file before it is forced to disk
              }
            };
        writer.accept(out);
        out.flush();
        channel.force(true);
      }
      try {
        Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot write "
              + target
              + " ("
              + reason(e)
              + "); free space or choose another place,"
              + " nothing was changed",
          e);
    } finally {
      try {
        Files.deleteIfExists(temporary);
      } catch (IOException ignored) {
        // The move succeeded or the original failure is being reported; a stray hidden file is
        // harmless.
      }
    }
  }

  /** Writes bytes; see {@link #write}. */
  public static void writeBytes(Path target, byte[] content) {
    write(target, out -> out.write(content));
  }

  /** Writes text in UTF-8; see {@link #write}. */
  public static void writeText(Path target, String content) {
    writeBytes(target, content.getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Deletes what killed processes left half-written beside {@code target}, a file or a folder. Not
   * while another process may be writing it.
   *
   * @throws IOException if the folder cannot be read or a file not be deleted
   */
  public static void deleteLeftovers(Path target) throws IOException {
    Path file = target.toAbsolutePath();
    String prefix = "." + file.getFileName() + ".";
    if (!Files.isDirectory(file.getParent())) {
      return;
    }
    try (Stream<Path> children = Files.list(file.getParent())) {
      for (Path child : children.toList()) {
        String name = child.getFileName().toString();
        if (name.startsWith(prefix) && name.endsWith(".tmp")) {
          try (Stream<Path> tree = Files.walk(child)) {
            for (Path part : tree.sorted(Comparator.reverseOrder()).toList()) {
              Files.deleteIfExists(part);
            }
          }
        }
      }
    }
  }

  private static String reason(IOException e) {
    if (e instanceof NoSuchFileException missing) {
      return missing.getFile() + " cannot be created";
    }
    if (e instanceof AccessDeniedException denied) {
      return "no permission for " + denied.getFile();
    }
    if (e instanceof FileAlreadyExistsException taken) {
      return taken.getFile() + " is a file";
    }
    if (e instanceof FileSystemException failure && failure.getReason() != null) {
      return failure.getFile() + ": " + failure.getReason();
    }
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
  }
}
