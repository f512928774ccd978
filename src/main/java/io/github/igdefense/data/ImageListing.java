package io.github.igdefense.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Image files and their labels: all of a folder with one folder per class, or those of a list.
 *
 * @param root the folder
 * @param files in order
 * @param labels one per file
 * @param classNames position = label
 * @param plain true if files and labels follow from the folders alone
 * @param byPosition true if labels are positions among the sorted folders
 */
record ImageListing(
    Path root,
    List<Path> files,
    int[] labels,
    List<String> classNames,
    boolean plain,
    boolean byPosition) {
  private static final int SHOWN = 3;

  /** Finds the files; touches no image. */
  static ImageListing of(Path root, SourceOptions options) {
    if (!Files.isDirectory(root)) {
      throw new InputException(
          "expected a directory with one folder per class at "
              + root
              + ", found "
              + (Files.exists(root) ? "a file" : "nothing"));
    }
    ClassMap map = options.classMap() == null ? null : ClassMap.read(options.classMap());
    return options.list() == null ? ofFolders(root, map) : ofList(root, options.list(), map);
  }

  private static ImageListing ofFolders(Path root, ClassMap given) {
    List<Path> folders = folders(root);
    if (folders.isEmpty()) {
      throw new InputException(
          "expected one folder per class in "
              + root
              + ", found "
              + (list(root).stream().anyMatch(ImageFiles::isImage)
                  ? "images without folders"
                  : "no folders"));
    }
    Set<String> names = folders.stream().map(ImageListing::name).collect(Collectors.toSet());
    if (Set.of("train", "test", "val").containsAll(names)) {
      throw new InputException(
          "expected one folder per class in "
              + root
              + ", found the parts "
              + names
              + "; name one of them, as in folder:"
              + folders.get(0));
    }
    ClassMap map =
        given == null ? ClassMap.sorted(folders.stream().map(ImageListing::name).toList()) : given;
    refuse(
        folders.stream().map(ImageListing::name).filter(n -> !map.labels().containsKey(n)).toList(),
        "class folders of " + root + " have no label in the class map");
    List<Path> files = new ArrayList<>();
    List<Integer> labels = new ArrayList<>();
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
        labels.add(map.labels().get(name(folder)));
      }
    }
    return new ImageListing(root, files, ints(labels), map.names(), given == null, given == null);
  }

  private static ImageListing ofList(Path root, Path list, ClassMap given) {
    List<String> lines = TextFiles.lines(list);
    boolean labelled = label(lines.get(0)) >= 0;
    ClassMap map =
        given != null || labelled
            ? given
            : ClassMap.sorted(folders(root).stream().map(ImageListing::name).toList());
    List<Path> files = new ArrayList<>();
    List<Integer> labels = new ArrayList<>();
    List<String> absent = new ArrayList<>();
    List<String> unknown = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      int label = label(line);
      if (label >= 0 != labelled) {
        throw InputException.of(
            "expected a label on every line of %s or on none, line %d differs from line 1",
            list, i + 1);
      }
      String path = labelled ? line.substring(0, cut(line)).strip() : line;
      Path file = resolve(root, path, list, i + 1);
      if (!seen.add(file.toString())) {
        throw InputException.of(
            "expected every image once in %s, line %d repeats '%s'",
            list, i + 1, ZipArchive.printable(path));
      }
      String folder = root.relativize(file).getName(0).toString();
      if (!Files.isRegularFile(file)) {
        absent.add(path);
      } else if (!labelled && !map.labels().containsKey(folder)) {
        unknown.add(path);
      } else {
        files.add(file);
        labels.add(labelled ? Integer.valueOf(label) : map.labels().get(folder));
      }
    }
    refuse(absent, "images of " + list + " do not exist in " + root);
    refuse(unknown, "images of " + list + " are in no class folder that has a label");
    int[] all = ints(labels);
    int largest = Arrays.stream(all).max().orElseThrow();
    if (map != null && largest >= map.names().size()) {
      throw InputException.of(
          "expected labels below the %d classes of the class map in %s, got %d",
          map.names().size(), list, largest);
    }
    List<String> names = map == null ? StoredImages.numbers(largest + 1) : map.names();
    return new ImageListing(root, files, all, names, false, given == null && !labelled);
  }

  private static Path resolve(Path root, String path, Path list, int line) {
    try {
      Path relative = Path.of(path);
      if (!relative.isAbsolute() && !path.isEmpty()) {
        for (Path part : relative) {
          if (part.toString().equals("..")) {
            relative = null;
            break;
          }
        }
        if (relative != null && !relative.normalize().toString().isEmpty()) {
          return root.resolve(relative.normalize());
        }
      }
    } catch (InvalidPathException e) {
      // reported below
    }
    throw InputException.of(
        "expected a path within %s on line %d of %s, got '%s'",
        root, line, list, ZipArchive.printable(path));
  }

  /** Where the last word of a line begins, behind white space; 0 if it is the only one. */
  private static int cut(String line) {
    return Math.max(line.lastIndexOf(' '), line.lastIndexOf('\t')) + 1;
  }

  /** The number at the end of a line, or -1. */
  private static int label(String line) {
    String last = line.substring(cut(line));
    return cut(line) > 0 && last.matches("\\d{1,6}") ? Integer.parseInt(last) : -1;
  }

  private static void refuse(List<String> names, String what) {
    if (!names.isEmpty()) {
      throw new InputException(names.size() + " " + what + ": " + some(names));
    }
  }

  /** The first few of these, and that there are more. */
  static String some(List<String> names) {
    return ZipArchive.printable(
        String.join(", ", names.subList(0, Math.min(SHOWN, names.size())))
            + (names.size() > SHOWN ? ", and " + (names.size() - SHOWN) + " more" : ""));
  }

  private static int[] ints(List<Integer> values) {
    return values.stream().mapToInt(Integer::intValue).toArray();
  }

  private static String name(Path path) {
    return path.getFileName().toString();
  }

  private static List<Path> folders(Path root) {
    return list(root).stream().filter(Files::isDirectory).toList();
  }

  /** Entries sorted by name, without hidden ones. */
  private static List<Path> list(Path directory) {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries
          .filter(entry -> !name(entry).startsWith("."))
          .sorted(Comparator.comparing(ImageListing::name))
          .toList();
    } catch (IOException e) {
      throw new InputException("cannot list " + directory + " (" + e + ")", e);
    }
  }
}
