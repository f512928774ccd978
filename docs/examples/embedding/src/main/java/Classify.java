import io.github.igdefense.defense.DefendedClassifier;
import java.io.File;
import java.nio.file.Path;
import javax.imageio.ImageIO;

class Classify {
  public static void main(String[] arguments) throws Exception {
    try (var classifier = DefendedClassifier.open(Path.of(arguments[0]))) {
      var result = classifier.classify(ImageIO.read(new File(arguments[1])));
      System.out.println(classifier.classNames().get(result.label()) + " " + result.confidence());
    }
  }
}
