package io.github.igdefense.model;

/**
 * Which images a network takes.
 *
 * @param usual height and width it was published for
 * @param minimum smallest height and width; equal to {@code usual} and {@code fixed} where no other
 *     size will do
 * @param fixed whether only the usual size is taken
 */
public record ImageSize(int usual, int minimum, boolean fixed) {
  /** Exactly this height and width. */
  public static ImageSize exactly(int size) {
    return new ImageSize(size, size, true);
  }

  /** Any height and width of at least {@code minimum}, not necessarily equal. */
  public static ImageSize atLeast(int minimum, int usual) {
    return new ImageSize(usual, minimum, false);
  }

  /** Whether an image of this size is taken. */
  public boolean accepts(long height, long width) {
    return fixed ? height == usual && width == usual : height >= minimum && width >= minimum;
  }

  /** As in {@code 32,32} or {@code H,W of at least 32}. */
  @Override
  public String toString() {
    return fixed ? usual + "," + usual : "H,W of at least " + minimum;
  }
}
