package io.github.igdefense.evaluation;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.attack.Apgd;
import io.github.igdefense.attack.Attack;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.importance.RankingProvenance;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Studies on a real small model: equal to the same evaluations made by hand, and resumable. */
class StudyTest {
  private static StagedNetwork network;
  private static ImageSet images;
  private static Ranking ranking;

  @TempDir Path folder;

  @BeforeAll
  static void open() {
    network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT32);
    images = ImageSets.open("npz:" + golden("images32.npz")).withClassCount(10);
    ranking =
        new Ranking(
            "layer4",
            64,
            10,
            Npz.open(golden("loir_cifar.npz")).get("a1_layer4_importance").asDouble(),
            RankingProvenance.unknown("layer4"));
  }

  @AfterAll
  static void close() {
    images.close();
    network.close();
  }

  private static DefenseSpec spec() {
    return new DefenseSpec(ranking, 20, IgDefense.DEFAULT_TEMPERATURE, new Smoothing(0.02, 1));
  }

  private static List<Attack> attacks(String epsilon, int steps) {
    return List.of(new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.parse(epsilon), steps));
  }

  private static Comparison.Plans plans(String epsilon, int steps) {
    return Comparison.Plans.same(AttackPlan.each(attacks(epsilon, steps)));
  }

  private static final Comparison.Plans USUAL = plans("8/255", 4);

  private StudyRunner runner() {
    return new StudyRunner(
        network,
        images,
        PointStore.open(folder, network.sha256()),
        Evaluation.Settings.DEFAULT,
        EvaluationListener.NONE);
  }

  private static final Sweep.Setting SETTING =
      new Sweep.Setting() {
        @Override
        public DefenseSpec defense() {
          return spec();
        }

        @Override
        public Comparison.Plans plans(String epsilon, Integer steps) {
          return StudyTest.plans(epsilon == null ? "8/255" : epsilon, steps == null ? 4 : steps);
        }

        @Override
        public DefenseSpec layer(String name) {
          network.layer(name);
          return spec();
        }

        @Override
        public Ranking probe(double fraction) {
          return ranking;
        }
      };

  /** A sweep's point equals a comparison made by hand, and what is read back equals it exactly. */
  @Test
  void pointsEqualTheSameComparisonByHandAndSurviveTheDisk() {
    List<Sweep.Point> points = Sweep.run(runner(), Sweep.Over.KEEP, List.of("20", "64"), SETTING);
    Comparison byHand =
        new Comparison(
            network,
            "base",
            images,
            attacks("8/255", 4),
            Evaluation.Settings.DEFAULT,
            true,
            EvaluationListener.NONE);
    try (Rng rng = new Rng(0);
        IgDefense defense = spec().open(network, rng)) {
      byHand.add("d", "d", defense);
    }
    EvaluationResult base = byHand.base().evaluation().result();
    EvaluationResult defended = byHand.rows().get(1).evaluation().result();
    assertThat(points.get(0).base().worstCase()).isEqualTo(base.worstCase());
    assertThat(points.get(0).defended().worstCase()).isEqualTo(defended.worstCase());
    assertThat(points.get(0).defended().transfer()).isEqualTo(defended.transfer());
    assertThat(points.get(0).defended().cleanPerClass()).isEqualTo(defended.cleanPerClass());
    assertThat(points.get(1).defended()).isNotEqualTo(points.get(0).defended());
    StudyRunner again = runner();
    assertThat(Sweep.run(again, Sweep.Over.KEEP, List.of("20", "64"), SETTING).toString())
        .isEqualTo(points.toString());
    assertThat(again.store().computed()).isZero();
    assertThat(again.store().resumed()).isEqualTo(4); // the base once per value
  }

  @Test
  void aStudyThatFailsInTheMiddleLosesNoFinishedPoint() throws IOException {
    // The second point's file cannot be written: a folder stands in its place.
    Path other = folder.resolve("other");
    StudyRunner whole =
        new StudyRunner(
            network,
            images,
            PointStore.open(other, network.sha256()),
            Evaluation.Settings.DEFAULT,
            EvaluationListener.NONE);
    Sweep.run(whole, Sweep.Over.TEMPERATURE, List.of("0.01"), SETTING);
    List<String> first = points(other);
    Sweep.run(whole, Sweep.Over.TEMPERATURE, List.of("0.1"), SETTING);
    List<String> second = new java.util.ArrayList<>(points(other));
    second.removeAll(first);
    assertThat(second).hasSize(1);
    Path blocked = folder.resolve(second.get(0));
    Files.createDirectories(folder);
    StudyRunner runner = runner();
    Files.createDirectory(blocked);
    List<String> values = List.of("0.01", "0.1");
    assertThatThrownBy(() -> Sweep.run(runner, Sweep.Over.TEMPERATURE, values, SETTING))
        .isInstanceOfAny(UncheckedIOException.class, InputException.class)
        .hasMessageContaining(second.get(0));
    Files.delete(blocked);
    StudyRunner resumed = runner();
    assertThat(Sweep.run(resumed, Sweep.Over.TEMPERATURE, values, SETTING)).hasSize(2);
    assertThat(resumed.store().computed()).isEqualTo(1);
    assertThat(points(folder)).containsExactlyInAnyOrderElementsOf(points(other));
  }

  private static List<String> points(Path store) throws IOException {
    try (Stream<Path> files = Files.list(store)) {
      return files
          .filter(Files::isRegularFile)
          .map(f -> f.getFileName().toString())
          .filter(n -> n.startsWith("point-"))
          .sorted()
          .toList();
    }
  }

  @Test
  void refusesACacheOfAnotherModelAndDamagedPoints() throws IOException {
    PointStore store = PointStore.open(folder, "aaaa1111");
    assertThat(store.point(Map.of("p", "1"), Integer.class, () -> 7)).isEqualTo(7);
    assertThat(store.point(Map.of("p", "1"), Integer.class, () -> 8)).isEqualTo(7);
    assertThatThrownBy(() -> PointStore.open(folder, "bbbb2222"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("aaaa1111")
        .hasMessageContaining("bbbb2222")
        .hasMessageContaining("--cache");
    Path point = folder.resolve(points(folder).get(0));
    Files.writeString(point, Files.readString(point).substring(0, 30));
    assertThatThrownBy(() -> store.point(Map.of("p", "1"), Integer.class, () -> 8))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(point.toString())
        .hasMessageContaining("delete that file");
  }

  @Test
  void valuesAreCheckedBeforeAnythingIsComputed() {
    StudyRunner runner = runner();
    Map<Sweep.Over, String> bad =
        Map.of(
            Sweep.Over.KEEP, "65",
            Sweep.Over.LAYER, "layer9",
            Sweep.Over.SIGMA, "-1",
            Sweep.Over.SAMPLES, "0",
            Sweep.Over.TEMPERATURE, "zero",
            Sweep.Over.PROBE_FRACTION, "1.5",
            Sweep.Over.STEPS, "2.5",
            Sweep.Over.EPS, "8/0");
    bad.forEach(
        (over, value) ->
            assertThatThrownBy(() -> Sweep.run(runner, over, List.of(good(over), value), SETTING))
                .as(over.toString())
                .isInstanceOf(InputException.class));
    assertThat(runner.store().computed()).isZero();
    assertThatThrownBy(() -> Sweep.Over.parse("depth"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("probe-fraction");
  }

  private static String good(Sweep.Over over) {
    return over == Sweep.Over.LAYER ? "layer4" : "1";
  }

  @Test
  void ablationHasTheNineRowsAndTheirMeaning() {
    List<Ablation> rows = Ablation.run(runner(), spec(), null, USUAL);
    assertThat(rows).hasSize(9);
    assertThat(rows)
        .extracting(r -> r.passes() + " " + r.mask() + " " + r.smoothing())
        .containsExactly(
            "1 none false",
            "1 none true",
            "2 none false",
            "2 random false",
            "2 random true",
            "2 cdir false",
            "2 cdir true",
            "2 loir false",
            "2 loir true");
    assertThat(rows.get(5).result()).isNull();
    // Two passes without mask and noise are the base model.
    assertThat(rows.get(2).result().clean()).isEqualTo(rows.get(0).result().clean());
    assertThat(rows.get(2).result().attacks().get("apgd-ce").accuracy())
        .isEqualTo(rows.get(0).result().attacks().get("apgd-ce").accuracy());
    // Only noisy rows are judged by a majority.
    assertThat(rows)
        .filteredOn(r -> r.result() != null)
        .allMatch(r -> (r.result().evaluationsPerImage() > 1) == r.smoothing());
    List<Ablation> withCdir = Ablation.run(runner(), spec(), spec(), USUAL);
    assertThat(withCdir.get(5).result()).isEqualTo(withCdir.get(7).result());
    assertThatThrownBy(
            () -> Ablation.run(runner(), spec().withSmoothing(Smoothing.NONE), null, USUAL))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--smoothing-sigma");
  }

  @Test
  void theSearchFindsTheSmallestKThatKeepsTheAccuracy() {
    DefenseSpec plain = spec().withSmoothing(Smoothing.NONE);
    KeepSearch search = KeepSearch.run(runner(), plain, 0.1, USUAL);
    assertThat(search.reached()).isTrue();
    int images = search.base().count();
    for (KeepSearch.Tried tried : search.tried()) {
      boolean enough = tried.clean() >= search.baseClean() - 0.1 - 1e-9;
      assertThat(enough).as("k=" + tried.keep()).isEqualTo(tried.keep() >= search.keep());
    }
    assertThat(search.tried()).hasSizeLessThanOrEqualTo(8);
    assertThat(search.defended().clean() * images)
        .isEqualTo(
            search.tried().stream()
                    .filter(t -> t.keep() == search.keep())
                    .findFirst()
                    .orElseThrow()
                    .clean()
                * images);
    assertThatThrownBy(() -> KeepSearch.run(runner(), plain, 1, USUAL))
        .isInstanceOf(InputException.class);
  }

  /** Middle and far end of the surface from plain operations; both directions are orthogonal. */
  @Test
  void theLossSurfaceIsThatOfPlainOperations() {
    LossSurface surface =
        LossSurface.of(network, images, Epsilon.parse("8/255"), 5, 5, 3, EvaluationListener.NONE);
    assertThat(surface.grid()).hasSize(5);
    assertThat(surface.grid().get(2)).isZero();
    assertThat(surface.grid().get(4)).isCloseTo(8 / 255.0, within(1e-12));
    try (PointerScope scope = new PointerScope()) {
      float[] pixels = new float[images.size() * images.imageLength()];
      long[] labels = new long[images.size()];
      for (int i = 0; i < images.size(); i++) {
        images.read(i, pixels, i * images.imageLength());
        labels[i] = images.label(i);
      }
      Tensor x = Tensors.of(pixels, images.size(), 3, 32, 32);
      Tensor y = Tensors.of(labels, labels.length);
      Tensor sign =
          network
              .lossGradient(x, z -> z.log_softmax(1).gather(1, y.unsqueeze(1)).squeeze(1).neg())
              .gradient()
              .sign();
      Tensor far =
          x.add(sign.mul(Tensors.scalar(8 / 255.0)))
              .clamp(
                  new org.bytedeco.pytorch.ScalarOptional(Tensors.scalar(0)),
                  new org.bytedeco.pytorch.ScalarOptional(Tensors.scalar(1)));
      double middle = torch.cross_entropy_loss(network.logits(x), y).item_double();
      double end = torch.cross_entropy_loss(network.logits(far), y).item_double();
      assertThat(surface.middle()).isCloseTo(middle, within(1e-4 * Math.abs(middle) + 1e-5));
      assertThat(surface.alongGradient()).isCloseTo(end, within(1e-4 * Math.abs(end) + 1e-5));
    }
    assertThat(surface.alongGradient()).isGreaterThan(surface.middle());
    assertThat(surface.highestInBall()).isGreaterThanOrEqualTo(surface.alongGradient());
    // Batches do not matter; the seed of the second direction does.
    LossSurface whole =
        LossSurface.of(network, images, Epsilon.parse("8/255"), 5, 16, 3, EvaluationListener.NONE);
    assertThat(whole.loss().get(4).get(0)).isCloseTo(surface.loss().get(4).get(0), within(1e-4));
    LossSurface other =
        LossSurface.of(network, images, Epsilon.parse("8/255"), 5, 16, 4, EvaluationListener.NONE);
    assertThat(other.loss().get(4).get(2)).isNotEqualTo(whole.loss().get(4).get(2));
    assertThat(other.loss().get(2).get(4)).isCloseTo(whole.loss().get(2).get(4), within(1e-6));
    assertThatThrownBy(
            () ->
                LossSurface.of(network, images, Epsilon.of255(8), 4, 5, 0, EvaluationListener.NONE))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("odd");
  }

  @Test
  void surfacesAreKeptAsPoints() {
    Map<String, LossSurface> first = LossSurfaces.run(runner(), spec(), Epsilon.of255(8), 3);
    assertThat(first).hasSize(3);
    StudyRunner again = runner();
    assertThat(LossSurfaces.run(again, spec(), Epsilon.of255(8), 3)).isEqualTo(first);
    assertThat(again.store().computed()).isZero();
  }
}
