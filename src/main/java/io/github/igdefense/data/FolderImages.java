package io.github.igdefense.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/** Image files of an {@link ImageListing}, decoded and preprocessed on every read. */
final class FolderImages extends StoredImages {
  private static final int NAMED = 20;

  private final ImageListing listing;
  private final Preprocessing preprocessing;
  private final List<String> remarks;
  private volatile String sha256;

  private FolderImages(
      String name,
      ImageListing listing,
      Preprocessing preprocessing,
      ImageFiles.Size size,
      List<String> remarks) {
    super(name, listing.labels(), listing.classNames(), 3, size.height(), size.width());
    this.listing = listing;
    this.preprocessing = preprocessing;
    this.remarks = List.copyOf(remarks);
  }

  /** What the check of one file found: its size, or why it cannot be read. */
  private record Check(ImageFiles.Size size, InputException problem) {}

  /**
   * Lists the files and reads their first and last bytes, in parallel; a file without its end
   * marker is decoded. With {@link SourceOptions#skipUnreadable} all are decoded once.
   *
   * @param standard the preprocessing unless the options name one
   * @param folders number of class folders of the whole data set, or 0 if unknown: with others,
   *     labels by position are remarked on
   */
  static ImageSet open(
      String name, Path root, SourceOptions options, Preprocessing standard, int folders) {
    ImageListing listing = ImageListing.of(root, options);
    Preprocessing preprocessing =
        options.preprocessing() == null ? standard : options.preprocessing();
    Check[] checks = new Check[listing.files().size()];
    IntStream.range(0, checks.length)
        .parallel()
        .forEach(i -> checks[i] = check(listing.files().get(i), options.skipUnreadable()));
    List<String> unreadable = new ArrayList<>();
    List<String> reasons = new ArrayList<>();
    for (int i = 0; i < checks.length; i++) {
      if (checks[i].problem != null) {
        unreadable.add(relative(root, listing.files().get(i)));
        reasons.add(checks[i].problem.getMessage());
      }
    }
    List<String> remarks = new ArrayList<>();
    if (folders > 0 && listing.byPosition() && listing.classNames().size() != folders) {
      remarks.add(
          String.format(
              "labels are positions among the %d class folders in %s, not among all %d; give"
                  + " --class-map for a model of all classes",
              listing.classNames().size(), root, folders));
    }
    ImageListing readable = listing;
    if (!unreadable.isEmpty()) {
      String count = unreadable.size() + " of " + checks.length + " images in " + root;
      if (!options.skipUnreadable() || unreadable.size() == checks.length) {
        throw new InputException(
            count
                + " cannot be read: "
                + ImageListing.some(unreadable)
                + " (the first: "
                + reasons.get(0)
                + "); replace or remove them"
                + (options.skipUnreadable() ? "" : ", or go on without them (--skip-unreadable)"));
      }
      int more = unreadable.size() - NAMED;
      remarks.add(
          "skipped "
              + count
              + " that cannot be read: "
              + ZipArchive.printable(
                  String.join(", ", unreadable.subList(0, Math.min(NAMED, unreadable.size()))))
              + (more > 0 ? ", and " + more + " more" : ""));
      readable = keep(listing, checks);
    }
    return new FolderImages(
        name, readable, preprocessing, size(readable, checks, preprocessing), remarks);
  }

  private static Check check(Path file, boolean decode) {
    try {
      ImageFiles.Size size = ImageFiles.size(file);
      if (decode || !ImageFiles.endsWell(file)) {
        ImageFiles.decode(file);
      }
      return new Check(size, null);
    } catch (InputException e) {
      return new Check(null, e);
    }
  }

  private static ImageListing keep(ImageListing all, Check[] checks) {
    int[] kept = IntStream.range(0, checks.length).filter(i -> checks[i].problem == null).toArray();
    return new ImageListing(
        all.root(),
        Arrays.stream(kept).mapToObj(all.files()::get).toList(),
        Arrays.stream(kept).map(i -> all.labels()[i]).toArray(),
        all.classNames(),
        all.plain(),
        all.byPosition());
  }

  private static ImageFiles.Size size(
      ImageListing listing, Check[] checks, Preprocessing preprocessing) {
    if (preprocessing.side() > 0) {
      return new ImageFiles.Size(preprocessing.side(), preprocessing.side());
    }
    Check[] sound =
        Arrays.stream(checks).filter(check -> check.problem == null).toArray(Check[]::new);
    for (int i = 1; i < sound.length; i++) {
      if (!sound[i].size.equals(sound[0].size)) {
        throw new InputException(
            "expected images of one size, got "
                + sound[0].size
                + " in "
                + listing.files().get(0)
                + " but "
                + sound[i].size
                + " in "
                + listing.files().get(i)
                + "; name a preprocessing, such as "
                + String.join(", ", Preprocessing.NAMES));
      }
    }
    return sound[0].size;
  }

  private static String relative(Path root, Path file) {
    return root.relativize(file).toString().replace('\\', '/');
  }

  /** The files, their order and labels. */
  ImageListing listing() {
    return listing;
  }

  @Override
  public String preprocessing() {
    return preprocessing.toString();
  }

  @Override
  public List<String> remarks() {
    return remarks;
  }

  @Override
  public void read(int index, float[] target, int offset) {
    Path file = listing.files().get(Objects.checkIndex(index, size()));
    ImageFiles.Pixels image = ImageFiles.decode(file);
    byte[] pixels =
        preprocessing.apply(image.values(), image.size().height(), image.size().width());
    if (pixels.length != imageLength()) {
      throw new InputException(
          "expected an image of " + width() + "x" + height() + " at " + file + ", it has changed");
    }
    Objects.checkFromIndexSize(offset, pixels.length, target.length);
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
      List<Path> files = listing.files();
      List<String> hashes = files.parallelStream().map(Hashes::sha256).toList();
      Hashes.Builder hash = Hashes.builder().text("folder");
      if (!preprocessing.equals(Preprocessing.NONE)) {
        hash.text(preprocessing.name());
      }
      if (!listing.plain()) {
        hash.ints(listing.labels());
      }
      for (int i = 0; i < hashes.size(); i++) {
        hash.text(relative(listing.root(), files.get(i))).text(hashes.get(i));
      }
      known = hash.hex();
      sha256 = known;
    }
    return known;
  }
}
