package io.github.igdefense.defense;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Npz;
import io.github.igdefense.model.DifferentiableClassifier.ForwardPass;
import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.SafeTensors;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.model.StateDict;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** SODEF behind a small float64 network of 64 features and 10 classes. */
class SodefTest {
  private static final int UNITS = 64;
  private static final int CLASSES = 10;
  private static StagedNetwork network;

  @TempDir Path folder;

  @BeforeAll
  static void open() {
    network = Networks.open("rn18", golden("a1.pt"), Dtype.FLOAT64);
  }

  @AfterAll
  static void close() {
    network.close();
  }

  private static Map<String, HostTensor> tensors(HostTensor... list) {
    Map<String, HostTensor> map = new java.util.LinkedHashMap<>();
    for (HostTensor tensor : list) {
      map.put(tensor.name(), tensor);
    }
    return map;
  }

  private static HostTensor random(Random random, String name, long... shape) {
    long n = 1;
    for (long s : shape) {
      n *= s;
    }
    double bound = 1.5 / Math.sqrt(shape[shape.length - 1]);
    return HostTensor.of(name, random.doubles(n, -bound, bound).toArray(), shape);
  }

  /** A block with the linear map, under the names of the published chain. */
  private static Map<String, HostTensor> published(long seed) {
    Random random = new Random(seed);
    return tensors(
        random(random, "0.conv1.weight", 2, 3, 1, 1),
        random(random, "1.fc0.linear.weight", UNITS, 5),
        random(random, "2.0.odefunc.fc1._layer.weight", 5, 5),
        random(random, "2.0.odefunc.fc1._layer.bias", 5),
        random(random, "2.1.fc0.weight", CLASSES, 5),
        random(random, "2.1.fc0.bias", CLASSES));
  }

  private static SodefBlock block(Map<String, HostTensor> tensors) {
    return SodefBlock.of(new StateDict(tensors.values()), "test");
  }

  /** A block without map whose ODE is z' = sin(−W·z). */
  private static SodefBlock field(double[] w) {
    double[] head = new double[CLASSES * UNITS];
    return new SodefBlock(
        List.of(),
        false,
        List.of(new SodefBlock.Layer(UNITS, UNITS, w, new double[UNITS])),
        new SodefBlock.Layer(UNITS, CLASSES, head, new double[CLASSES]),
        "test",
        List.of());
  }

  private static double[] arrive(SodefBlock block, int steps, double[] start) {
    try (PointerScope scope = new PointerScope();
        Sodef sodef = new Sodef(network, block, Sodef.DEFAULT_TIME, steps)) {
      return Tensors.toDoubles(sodef.integrated(Tensors.of(start, start.length / UNITS, UNITS)));
    }
  }

  @Test
  void aSineFieldArrivesWhereTheFormulaSaysWithOrderFour() {
    double[] identity = new double[UNITS * UNITS];
    double[] start = new double[UNITS];
    double[] exact = new double[UNITS];
    for (int i = 0; i < UNITS; i++) {
      identity[i * UNITS + i] = 1;
      start[i] = -3 + 6.0 * i / (UNITS - 1);
      // z' = −sin z has z(t) = 2·atan(tan(z0/2)·exp(−t)).
      exact[i] = 2 * Math.atan(Math.tan(start[i] / 2) * Math.exp(-Sodef.DEFAULT_TIME));
    }
    double coarse = distance(arrive(field(identity), 20, start), exact);
    double usual = distance(arrive(field(identity), Sodef.DEFAULT_STEPS, start), exact);
    assertThat(usual).isLessThan(1e-5);
    assertThat(coarse / usual).isBetween(10.0, 25.0);
    assertThat(distance(arrive(field(identity), 1000, start), exact)).isLessThan(1e-11);
  }

  @Test
  void nearTheEquilibriumTheOdeIsLinearAndArrivesAtTheMatrixExponential() {
    Random random = new Random(5);
    double[] w = random.doubles(UNITS * UNITS, -.1, .1).toArray();
    double[] start = random.doubles(UNITS, -1, 1).toArray();
    double[] tiny = new double[UNITS];
    for (int i = 0; i < UNITS; i++) {
      tiny[i] = 1e-8 * start[i];
    }
    // exp(−5·W)·z0 by its series, in 50 parts.
    double[] exact = start.clone();
    for (int part = 0; part < 50; part++) {
      double[] term = exact.clone();
      for (int n = 1; n <= 20; n++) {
        double[] next = new double[UNITS];
        for (int i = 0; i < UNITS; i++) {
          for (int j = 0; j < UNITS; j++) {
            next[i] -= w[i * UNITS + j] * term[j];
          }
        }
        for (int i = 0; i < UNITS; i++) {
          term[i] = next[i] * 0.1 / n;
          exact[i] += term[i];
        }
      }
    }
    double[] got = arrive(field(w), 400, tiny);
    for (int i = 0; i < UNITS; i++) {
      got[i] *= 1e8;
    }
    double size = distance(new double[UNITS], exact);
    assertThat(distance(got, exact) / size).isLessThan(1e-8);
    // An unstable field moves the point: this is no comparison of zeros.
    assertThat(distance(start, exact)).isGreaterThan(0.1);
  }

  private static double distance(double[] a, double[] b) {
    double most = 0;
    for (int i = 0; i < a.length; i++) {
      most = Math.max(most, Math.abs(a[i] - b[i]));
    }
    return most;
  }

  @Test
  void aBlockSavedByPyTorchGivesItsLogits() {
    SodefBlock read = SodefBlock.read(golden("sodef_block.pt"));
    assertThat(read.tanh()).isTrue();
    assertThat(read.map()).hasSize(2);
    assertThat(read.field()).hasSize(3);
    assertThat(read.features()).isEqualTo(UNITS);
    assertThat(read.notes()).singleElement().asString().startsWith("1 tensors of the network");
    Npz expected = Npz.open(golden("sodef_block.npz"));
    double[] features = expected.get("features").asDouble();
    double[] logits = expected.get("logits").asDouble();
    try (PointerScope scope = new PointerScope();
        Sodef usual = new Sodef(network, read);
        Sodef fine = new Sodef(network, read, Sodef.DEFAULT_TIME, 1000)) {
      // Pooling a map of one pixel is the identity.
      Tensor activation = Tensors.of(features, 5, UNITS, 1, 1);
      assertThat(Tensors.toDoubles(fine.behind(activation))).containsExactly(logits, within(1e-9));
      assertThat(Tensors.toDoubles(usual.behind(activation))).containsExactly(logits, within(1e-3));
    }
  }

  @Test
  void logitsEqualAnIntegrationInPlainJava() {
    Map<String, HostTensor> tensors = published(7);
    try (PointerScope scope = new PointerScope();
        Rng rng = new Rng(3);
        Sodef sodef = new Sodef(network, block(tensors))) {
      Tensor x = rng.uniform(Dtype.FLOAT64, 3, 3, 32, 32);
      double[] features =
          Tensors.toDoubles(network.prefix(x, network.penultimate()).mean(new long[] {2, 3}));
      double[] got = Tensors.toDoubles(sodef.logits(x));
      for (int n = 0; n < 3; n++) {
        double[] h = java.util.Arrays.copyOfRange(features, n * UNITS, (n + 1) * UNITS);
        double[] logits = plain(tensors, h, Sodef.DEFAULT_STEPS);
        for (int c = 0; c < CLASSES; c++) {
          assertThat(got[n * CLASSES + c]).isCloseTo(logits[c], within(1e-11));
        }
      }
      // An image's logits do not depend on the images beside it.
      assertThat(Tensors.toDoubles(sodef.logits(x.narrow(0, 1, 1))))
          .containsExactly(java.util.Arrays.copyOfRange(got, CLASSES, 2 * CLASSES), within(1e-12));
    }
  }

  private static double[] plain(Map<String, HostTensor> tensors, double[] h, int steps) {
    double[] map = tensors.get("1.fc0.linear.weight").toDoubles();
    double[] z = new double[5];
    for (int d = 0; d < 5; d++) {
      for (int u = 0; u < UNITS; u++) {
        z[d] += map[u * 5 + d] * h[u];
      }
    }
    double dt = 5.0 / steps;
    for (int i = 0; i < steps; i++) {
      double[] a = velocity(tensors, z);
      double[] b = velocity(tensors, moved(z, a, dt / 2));
      double[] c = velocity(tensors, moved(z, b, dt / 2));
      double[] e = velocity(tensors, moved(z, c, dt));
      for (int d = 0; d < 5; d++) {
        z[d] += dt / 6 * (a[d] + 2 * b[d] + 2 * c[d] + e[d]);
      }
    }
    return affine(tensors, "2.1.fc0.", z);
  }

  private static double[] moved(double[] z, double[] by, double factor) {
    double[] out = z.clone();
    for (int d = 0; d < z.length; d++) {
      out[d] += factor * by[d];
    }
    return out;
  }

  private static double[] velocity(Map<String, HostTensor> tensors, double[] z) {
    double[] out = affine(tensors, "2.0.odefunc.fc1._layer.", z);
    for (int d = 0; d < out.length; d++) {
      out[d] = Math.sin(-out[d]);
    }
    return out;
  }

  private static double[] affine(Map<String, HostTensor> tensors, String name, double[] z) {
    double[] w = tensors.get(name + "weight").toDoubles();
    double[] out = tensors.get(name + "bias").toDoubles();
    for (int i = 0; i < out.length; i++) {
      for (int j = 0; j < z.length; j++) {
        out[i] += w[i * z.length + j] * z[j];
      }
    }
    return out;
  }

  @Test
  void gradientsAreThoseOfTheLogits() {
    try (PointerScope scope = new PointerScope();
        Rng rng = new Rng(4);
        Sodef sodef = new Sodef(network, SodefBlock.read(golden("sodef_block.pt")))) {
      Tensor x = rng.uniform(Dtype.FLOAT64, 2, 3, 32, 32);
      Tensor weights = rng.normal(Dtype.FLOAT64, 2, CLASSES);
      LogitLoss loss = z -> z.mul(weights).sum(1);
      Tensor gradient = sodef.lossGradient(x, loss).gradient();
      double scale = Math.sqrt(Tensors.sum(gradient.mul(gradient)));
      assertThat(scale).isGreaterThan(1e-6);
      for (int i = 0; i < 4; i++) {
        // A direction along the gradient among random ones: its derivative is its length.
        Tensor direction =
            i == 0
                ? gradient.div(Tensors.scalar(scale))
                : rng.normal(Dtype.FLOAT64, 2, 3, 32, 32).div(Tensors.scalar(78));
        double step = 1e-6;
        double up = Tensors.sum(sodef.logits(x.add(direction, Tensors.scalar(step))).mul(weights));
        double down =
            Tensors.sum(sodef.logits(x.sub(direction, Tensors.scalar(step))).mul(weights));
        double slope = Tensors.sum(gradient.mul(direction));
        assertThat((up - down) / (2 * step)).isCloseTo(slope, within(1e-5 * scale));
      }
      try (ForwardPass pass = sodef.record(x)) {
        double[] expected = Tensors.toDoubles(gradient);
        for (int twice = 0; twice < 2; twice++) {
          assertThat(Tensors.toDoubles(pass.gradient(weights)))
              .containsExactly(expected, within(1e-12));
        }
        assertThat(Tensors.toDoubles(pass.logits()))
            .containsExactly(Tensors.toDoubles(sodef.logits(x)), within(1e-12));
      }
    }
  }

  @Test
  void filesThatAreNoBlockAreRefused() {
    refused("odefunc.fc1._layer.bias", without("2.0.odefunc.fc1._layer.bias"));
    refused("fc0.weight", without("2.1.fc0.weight"));
    refused(
        "of shape [outputs, 5], got [10, 6]",
        with(HostTensor.of("2.1.fc0.weight", new double[60], 10, 6)));
    refused(
        "of shape [5], got [4]",
        with(HostTensor.of("2.0.odefunc.fc1._layer.bias", new double[4], 4)));
    refused(
        "last layer has the 5 dimensions",
        with(HostTensor.of("2.0.odefunc.fc1._layer.weight", new double[30], 6, 5)),
        HostTensor.of("2.0.odefunc.fc1._layer.bias", new double[6], 6));
    refused(
        "finite numbers in tensor '2.1.fc0.bias'",
        with(HostTensor.of("2.1.fc0.bias", filled(Double.NaN), CLASSES)));
    refused("no tensor 'extra.weight'", with(HostTensor.of("extra.weight", new double[1], 1)));
    refused("found two", with(HostTensor.of("fc0.bias", new double[CLASSES], CLASSES)));
    refused(
        "one map before the ODE",
        with(HostTensor.of("fc1.merge_net.0.weight", new double[64], 1, 64)));
    refused(
        "its parametrisation",
        with(HostTensor.of("1.fc0.linear.parametrizations.weight.0.base", new double[1], 1, 1)));
    Path file = folder.resolve("model.safetensors");
    SafeTensors.write(
        file, new StateDict(List.of(HostTensor.of("conv1.weight", new double[1], 1))), Map.of());
    assertThatThrownBy(() -> SodefBlock.read(file))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("model.safetensors does not hold a SODEF block", "odefunc.fc1");
    assertThatThrownBy(() -> SodefBlock.read(folder.resolve("none.pt")))
        .isInstanceOf(InputException.class);
  }

  @Test
  void blocksOfOtherNetworksAreRefused() throws Exception {
    SodefBlock wide = SodefBlock.random(65, CLASSES, 1);
    assertThatThrownBy(() -> new Sodef(network, wide))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("64 features of layer4", "65");
    assertThatThrownBy(() -> new Sodef(network, SodefBlock.random(UNITS, 7, 1)))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("10 classes", "7");
    assertThatThrownBy(() -> new Sodef(network, SodefBlock.random(UNITS, CLASSES, 1), 5, 0))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("at least 1 step");
    Path file = folder.resolve("block.safetensors");
    SafeTensors.write(file, new StateDict(published(1).values()), Map.of());
    assertThat(Files.size(file)).isPositive();
    SodefBlock read = SodefBlock.read(file);
    assertThat(read.features()).isEqualTo(UNITS);
    assertThat(read.tanh()).isFalse();
    assertThat(read.classCount()).isEqualTo(CLASSES);
  }

  private static double[] filled(double value) {
    double[] values = new double[CLASSES];
    java.util.Arrays.fill(values, value);
    return values;
  }

  private static Map<String, HostTensor> without(String name) {
    Map<String, HostTensor> changed = published(2);
    assertThat(changed.remove(name)).isNotNull();
    return changed;
  }

  private static Map<String, HostTensor> with(HostTensor tensor) {
    Map<String, HostTensor> changed = published(2);
    changed.put(tensor.name(), tensor);
    return changed;
  }

  private static void refused(String part, Map<String, HostTensor> tensors, HostTensor... changed) {
    for (HostTensor tensor : changed) {
      tensors.put(tensor.name(), tensor);
    }
    List<HostTensor> all = new ArrayList<>(tensors.values());
    assertThatThrownBy(() -> SodefBlock.of(new StateDict(all), "test"))
        .as(part)
        .isInstanceOf(InputException.class)
        .hasMessageContaining(part);
  }
}
