package io.github.igdefense;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The arrows between packages: each package may use those listed with it, and no other of ours.
 *
 * <p>{@code data → model → importance → defense → attack → evaluation → report}, each knowing those
 * before it; {@code training} after {@code attack}; {@code kernels} and {@code tensor} beneath all;
 * {@code cli} on top.
 */
class ArchitectureTest {
  private static final String BASE = "io.github.igdefense";

  /** The order of the way data takes; a package may use those before it. */
  private static final List<String> WAY =
      List.of("data", "model", "importance", "defense", "attack", "evaluation", "report");

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(BASE);

  /** Which packages each may use, besides itself. */
  static Map<String, List<String>> allowed() {
    Map<String, List<String>> allowed = new java.util.LinkedHashMap<>();
    allowed.put("kernels", List.of());
    allowed.put("tensor", List.of("kernels"));
    List<String> below = new ArrayList<>(List.of("kernels", "tensor"));
    for (String name : WAY) {
      allowed.put(name, List.copyOf(below));
      below.add(name);
    }
    allowed.put(
        "training",
        List.of("kernels", "tensor", "data", "model", "importance", "defense", "attack"));
    below.add("training");
    allowed.put("cli", List.copyOf(below));
    return allowed;
  }

  private static ArchRule mayUseOnly(String name, List<String> allowed) {
    String[] forbidden =
        allowed().keySet().stream()
            .filter(other -> !other.equals(name) && !allowed.contains(other))
            .map(other -> BASE + "." + other + "..")
            .toArray(String[]::new);
    return noClasses()
        .that()
        .resideInAPackage(BASE + "." + name + "..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(forbidden)
        .as("package " + name + " uses only " + allowed)
        .allowEmptyShould(true);
  }

  @TestFactory
  Stream<DynamicTest> eachPackageUsesOnlyThoseBeneathIt() {
    return allowed().entrySet().stream()
        .filter(entry -> !entry.getKey().equals("cli"))
        .map(
            entry ->
                DynamicTest.dynamicTest(
                    entry.getKey(),
                    () -> mayUseOnly(entry.getKey(), entry.getValue()).check(CLASSES)));
  }

  @Test
  void thereAreNoOtherPackages() {
    assertThat(CLASSES)
        .extracting(type -> type.getPackageName())
        .allSatisfy(
            name -> {
              assertThat(name).startsWith(BASE + ".");
              assertThat(allowed()).containsKey(name.substring(BASE.length() + 1).split("\\.")[0]);
            });
  }

  @Test
  void packagesFormNoCycles() {
    slices().matching(BASE + ".(*)..").should().beFreeOfCycles().check(CLASSES);
  }

  /**
   * Loading has one place: nothing but {@code tensor} (and the environment it needs first) calls
   * the loader.
   */
  @Test
  void onlyTensorLoadsNativeLibraries() {
    loaderRule().check(CLASSES);
  }

  private static ArchRule loaderRule() {
    return noClasses()
        .that()
        .resideOutsideOfPackages(BASE + ".tensor..", BASE + ".kernels..")
        .should()
        .dependOnClassesThat()
        .areAssignableTo(Loader.class)
        .orShould()
        .callMethod(System.class, "loadLibrary", String.class)
        .orShould()
        .callMethod(System.class, "load", String.class);
  }

  /** The binding is used through {@code tensor}, which checks shapes and statuses. */
  @Test
  void onlyTensorCallsTheBinding() {
    noClasses()
        .that()
        .resideOutsideOfPackages(BASE + ".tensor..", BASE + ".kernels..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(BASE + ".kernels.binding..")
        .check(CLASSES);
  }

  /** The rules can fail: the real classes break them once the arrows are turned round. */
  @Test
  void theRulesCanFail() {
    assertThatThrownBy(() -> mayUseOnly("model", List.of("kernels", "tensor")).check(CLASSES))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("igdefense.data");
    JavaClasses planted = new ClassFileImporter().importClasses(PlantedLoader.class);
    assertThatThrownBy(() -> loaderRule().check(planted))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("PlantedLoader");
  }

  /** Breaks the loading rule on purpose. */
  private static final class PlantedLoader {
    static String platform() {
      return Loader.getPlatform();
    }
  }
}
