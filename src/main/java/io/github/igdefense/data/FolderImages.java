package io.github.igdefense.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * One folder of JPEG or PNG files per class; sorted folder names are the classes. Decodes on every
 * read.
 */
final class FolderImages implements ImageSet {
  private final String name;
  private final Path root;
  private final List<Path> files;
  private final int[] labels;
  private final List<String> classNames;
  private final ImageFiles.Size size;
  private volatile String sha256;

  private FolderImages(
      String name,
      Path root,
      List<Path> files,
      int[] labels,
      List<String> classNames,
      ImageFiles.Size size) {
    this.name = name;
    this.root = root;
    this.files = files;
    this.labels = labels;
    this.classNames = classNames;
    this.size = size;
  }

  /** Lists the files and reads their headers, in parallel. */
  static ImageSet open(String name, Path root) {
    if (!Files.isDirectory(root)) {
      throw new InputException(
          "expected a directory with one folder per class at "
              + root
              + ", found "
              + (Files.exists(root) ? "a file" : "nothing"));
    }
    List<Path> folders = list(root).stream().filter(Files::isDirectory).toList();
    if (folders.isEmpty()) {
      throw new InputException(
          "expected one folder per class in "
              + root
              + ", found "
              + (list(root).stream().anyMatch(ImageFiles::isImage)
                  ? "images without folders"
                  : "no folders"));
    }
    Set<String> names =
        folders.stream().map(folder -> folder.getFileName().toString()).collect(Collectors.toSet());
    if (Set.of("train", "test", "val").containsAll(names)) {
      throw new InputException(
          "expected one folder per class in "
              + root
              + ", found the parts "
              + names
              + "; name one of them, as in folder:"
              + folders.get(0));
    }
    List<Path> files = new ArrayList<>();
    List<Integer> labels = new ArrayList<>();
    List<String> classNames = new ArrayList<>();
    for (Path folder : folders) {
      List<Path> images = list(folder).stream().filter(ImageFiles::isImage).toList();
      if (images.isEmpty()) {
        throw new InputException(
            "expected JPEG or PNG images in each class folder, found none in "
                + folder
                + "; remove the folder or fill it");
      }
      for (Path image : images) {
        files.add(image);
        labels.add(classNames.size());
      }
      classNames.add(folder.getFileName().toString());
    }
    ImageFiles.Size size = ImageFiles.size(files.get(0));
    // Ordered search over parallel work: the first file that differs or cannot be read is reported.
    IntStream.range(0, files.size())
        .parallel()
        .mapToObj(i -> problem(files.get(i), files.get(0), size))
        .filter(Objects::nonNull)
        .findFirst()
        .ifPresent(
            problem -> {
              throw problem;
            });
    int[] classes = labels.stream().mapToInt(Integer::intValue).toArray();
    return new FolderImages(name, root, files, classes, List.copyOf(classNames), size);
  }

  private static InputException problem(Path file, Path first, ImageFiles.Size size) {
    try {
      ImageFiles.Size found = ImageFiles.size(file);
      return found.equals(size)
          ? null
          : new InputException(
              "expected images of one size, got "
                  + size
                  + " in "
                  + first
                  + " but "
                  + found
                  + " in "
                  + file
                  + "; resize the images first");
    } catch (InputException e) {
      return e;
    }
  }

  /** Entries sorted by name, without hidden ones. */
  private static List<Path> list(Path directory) {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries
          .filter(entry -> !entry.getFileName().toString().startsWith("."))
          .sorted(Comparator.comparing(entry -> entry.getFileName().toString()))
          .toList();
    } catch (IOException e) {
      throw new InputException("cannot list " + directory + " (" + e + ")", e);
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int size() {
    return labels.length;
  }

  @Override
  public int channels() {
    return 3;
  }

  @Override
  public int height() {
    return size.height();
  }

  @Override
  public int width() {
    return size.width();
  }

  @Override
  public List<String> classNames() {
    return classNames;
  }

  @Override
  public int label(int index) {
    return labels[index];
  }

  @Override
  public void read(int index, float[] target, int offset) {
    byte[] pixels = ImageFiles.decode(files.get(index), size);
    ByteImages.toUnit(pixels, 0, target, offset, pixels.length);
  }

  @Override
  public boolean isLazy() {
    return true;
  }

  @Override
  public ImageSet inMemory() {
    return ByteImages.decode(this);
  }

  @Override
  public String sha256() {
    String known = sha256;
    if (known == null) {
      List<String> hashes = files.parallelStream().map(Hashes::sha256).toList();
      Hashes.Builder hash = Hashes.builder().text("folder");
      for (int i = 0; i < hashes.size(); i++) {
        hash.text(root.relativize(files.get(i)).toString().replace('\\', '/')).text(hashes.get(i));
      }
      known = hash.hex();
      sha256 = known;
    }
    return known;
  }
}
