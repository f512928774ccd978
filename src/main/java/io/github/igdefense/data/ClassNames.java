package io.github.igdefense.data;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Files with class names: UTF-8, one name a line, line i + 1 for label i. Stateless. */
public final class ClassNames {
  private ClassNames() {}

  /**
   * Reads the names.
   *
   * @throws InputException if the file cannot be read, or a line is empty or comes twice; names it
   */
  public static List<String> read(Path file) {
    List<String> names = TextFiles.lines(file);
    Map<String, Integer> seen = new HashMap<>();
    for (int i = 0; i < names.size(); i++) {
      Integer before = seen.put(names.get(i), i + 1);
      if (before != null) {
        throw InputException.of(
            "expected every class once in %s, lines %d and %d are both '%s'",
            file, before, i + 1, ZipArchive.printable(names.get(i)));
      }
    }
    return names;
  }

  /**
   * The same images with these names for their classes.
   *
   * @throws InputException if there are fewer names than classes
   */
  public static ImageSet attach(ImageSet images, List<String> names) {
    if (names.size() < images.classCount()) {
      throw InputException.of(
          "expected a name for each of the %d classes of %s, got %d names",
          images.classCount(), images.name(), names.size());
    }
    return new ReclassedImages(images, List.copyOf(names));
  }
}
