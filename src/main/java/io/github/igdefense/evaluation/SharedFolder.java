package io.github.igdefense.evaluation;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets one at a time work in a folder that several threads and processes write to. The lock is the
 * operating system's on the hidden file {@code .lock} there, so it ends with a killed process.
 * Thread-safe.
 */
final class SharedFolder {
  private static final Logger LOG = LoggerFactory.getLogger(SharedFolder.class);

  /** The system's locks are for processes; these are for the threads of this one. */
  private static final ConcurrentMap<Path, ReentrantLock> THREADS = new ConcurrentHashMap<>();

  private final Path folder;
  private final Consumer<Path> waiting;

  SharedFolder(Path folder) {
    this(folder, at -> LOG.info("waiting for another process that works in {}", at));
  }

  /**
   * @param waiting called with the folder before each wait for another process
   */
  SharedFolder(Path folder, Consumer<Path> waiting) {
    this.folder = folder.toAbsolutePath().normalize();
    this.waiting = waiting;
  }

  /**
   * Works while no one else does. Where the file system has no locks it works all the same, and
   * warns: what is written there is equal whoever writes it, and moved into place whole.
   */
  <T> T alone(Supplier<T> work) {
    ReentrantLock threads = THREADS.computeIfAbsent(real(), at -> new ReentrantLock());
    threads.lock();
    try {
      // The system refuses a second lock of the same process.
      return threads.getHoldCount() > 1 ? work.get() : locked(work);
    } finally {
      threads.unlock();
    }
  }

  /** One name for the folder, whatever links lead there. */
  private Path real() {
    try {
      if (!Files.isDirectory(folder)) {
        Files.createDirectories(folder);
      }
      return folder.toRealPath();
    } catch (IOException e) {
      return folder; // locking says what is wrong
    }
  }

  private <T> T locked(Supplier<T> work) {
    FileChannel lock = lock();
    try {
      return work.get();
    } finally {
      close(lock);
    }
  }

  /** The channel that holds the lock until it is closed, or null where there is none to be had. */
  private FileChannel lock() {
    FileChannel channel = null;
    try {
      channel =
          FileChannel.open(
              folder.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      if (channel.tryLock() == null) {
        waiting.accept(folder);
        channel.lock();
      }
      return channel;
    } catch (IOException e) {
      LOG.warn(
          "cannot lock {} ({}): other processes may compute the same batches there, with the same"
              + " result",
          folder,
          e.getMessage());
      close(channel);
      return null;
    }
  }

  private static void close(FileChannel channel) {
    if (channel == null) {
      return;
    }
    try {
      channel.close();
    } catch (IOException e) {
      LOG.warn("cannot close a lock: {}", e.getMessage());
    }
  }
}
