package io.github.igdefense.defense;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.model.Engine;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.Tensors;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class DefendedClassifierTest {
  private static final ClassifierOptions NATIVE =
      ClassifierOptions.DEFAULT.withEngine(Engine.NATIVE);
  private static final Smoothing TWO_DRAWS = new Smoothing(Bundles.SIGMA, 2);

  @TempDir Path folder;

  private static float[] image(float[] images, int i) {
    return Arrays.copyOfRange(images, i * Bundles.LENGTH, (i + 1) * Bundles.LENGTH);
  }

  private static void assertSame(Classification got, int i, Classification expected, int j) {
    assertThat(got.logits(i)).isEqualTo(expected.logits(j));
    assertThat(got.probabilities(i)).isEqualTo(expected.probabilities(j));
    assertThat(got.label(i)).isEqualTo(expected.label(j));
    assertThat(got.pseudoLabel(i)).isEqualTo(expected.pseudoLabel(j));
    assertThat(got.retainedUnits(i)).isEqualTo(expected.retainedUnits(j));
  }

  @ParameterizedTest
  @CsvSource({
    "layer4, 0, NATIVE", "layer4, 1, NATIVE", "layer4, 3, NATIVE", "layer2, 0, NATIVE",
    "layer2, 2, NATIVE", "layer4, 2, LIBTORCH", "layer3, 0, LIBTORCH", "layer4, 2, AUTO"
  })
  void saysWhatTheDefenseSays(String layer, int samples, Engine engine) {
    Smoothing smoothing = samples == 0 ? Smoothing.NONE : new Smoothing(Bundles.SIGMA, samples);
    Path file = Bundles.file(folder, layer, smoothing);
    float[] x = Bundles.images(9, 1);
    Bundle bundle = Bundle.read(file);
    try (DefendedClassifier classifier =
            DefendedClassifier.open(file, ClassifierOptions.DEFAULT.withEngine(engine));
        StagedNetwork network = bundle.network(Dtype.FLOAT32, engine);
        IgDefense defense =
            IgDefense.withImageNoise(
                network, bundle.masks(), IgDefense.DEFAULT_TEMPERATURE, smoothing, 7);
        PointerScope scope = new PointerScope()) {
      assertThat(classifier.singleCrossing())
          .isEqualTo(engine != Engine.LIBTORCH && !network.engine().equals("libtorch"));
      Classification got = classifier.classify(x);
      IgDefense.Forward expected = defense.forward(Tensors.of(x, 9, 3, 32, 32));
      float[] logits = Tensors.toFloats(expected.logits());
      float[] first = Tensors.toFloats(expected.firstLogits());
      for (int i = 0; i < 9; i++) {
        assertThat(got.logits(i))
            .containsExactly(Arrays.copyOfRange(logits, 10 * i, 10 * i + 10), within(1e-5f));
        int pseudo = 0;
        int label = 0;
        for (int c = 1; c < 10; c++) {
          pseudo = first[10 * i + c] > first[10 * i + pseudo] ? c : pseudo;
          label = logits[10 * i + c] > logits[10 * i + label] ? c : label;
        }
        assertThat(got.pseudoLabel(i)).isEqualTo(pseudo);
        assertThat(got.label(i)).isEqualTo(label);
        int kept = pseudo;
        int units = bundle.masks().units();
        assertThat(Arrays.stream(got.retainedUnits(i)).boxed())
            .hasSize(12)
            .allMatch(unit -> bundle.masks().kept(kept, unit));
        assertThat(got.retains(i, got.retainedUnits(i)[3])).isTrue();
        assertThat(got.retains(i, units)).isFalse();
        Tensor row = Tensors.of(logits, 9, 10).select(0, i).softmax(0);
        assertThat(got.probabilities(i)).containsExactly(Tensors.toFloats(row), within(1e-6f));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"layer4", "layer2"})
  void libtorchAndTheNativeEngineAgree(String layer) {
    Path file = Bundles.file(folder, layer, TWO_DRAWS);
    float[] x = Bundles.images(7, 2);
    try (DefendedClassifier fast = DefendedClassifier.open(file, NATIVE);
        DefendedClassifier plain =
            DefendedClassifier.open(file, NATIVE.withEngine(Engine.LIBTORCH));
        DefendedClassifier exact =
            DefendedClassifier.open(
                file, NATIVE.withEngine(Engine.AUTO).withDtype(Dtype.FLOAT64))) {
      assertThat(fast.engine()).startsWith("native");
      assertThat(plain.engine()).isEqualTo("libtorch");
      assertThat(plain.singleCrossing()).isFalse();
      Classification expected = plain.classify(x);
      for (DefendedClassifier other : List.of(fast, exact)) {
        Classification got = other.classify(x);
        for (int i = 0; i < 7; i++) {
          assertThat(got.logits(i)).containsExactly(expected.logits(i), within(1e-4f));
          assertThat(got.pseudoLabel(i)).isEqualTo(expected.pseudoLabel(i));
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Engine.class,
      names = {"NATIVE", "LIBTORCH"})
  void everyWayToGiveAnImageGivesTheSameBits(Engine engine) {
    Path file = Bundles.file(folder, "layer4", TWO_DRAWS);
    BufferedImage[] photos = new BufferedImage[5];
    for (int i = 0; i < photos.length; i++) {
      photos[i] = new BufferedImage(32, 32, BufferedImage.TYPE_INT_RGB);
      float[] x = Bundles.images(1, 40 + i);
      for (int p = 0; p < 1024; p++) {
        int rgb = 0;
        for (int c = 0; c < 3; c++) {
          rgb = rgb << 8 | Math.round(255 * x[1024 * c + p]);
        }
        photos[i].setRGB(p % 32, p / 32, rgb);
      }
    }
    try (DefendedClassifier classifier = DefendedClassifier.open(file, NATIVE.withEngine(engine))) {
      float[] x = classifier.pixels(List.of(photos));
      assertThat(x).hasSize(photos.length * Bundles.LENGTH);
      Classification batch = classifier.classify(x);
      Classification reused = classifier.newResult(1);
      for (int i = 0; i < photos.length; i++) {
        float[] one = image(x, i);
        Classification expected = classifier.classify(one);
        if (engine == Engine.NATIVE) {
          assertSame(expected, 0, batch, i);
        }
        classifier.classify(one, reused);
        assertSame(reused, 0, expected, 0);
        assertSame(classifier.classify(photos[i]), 0, expected, 0);
        for (ByteOrder order : List.of(ByteOrder.LITTLE_ENDIAN, ByteOrder.BIG_ENDIAN)) {
          for (ByteBuffer buffer :
              List.of(
                  ByteBuffer.allocateDirect(4 * Bundles.LENGTH + 24),
                  ByteBuffer.allocate(4 * Bundles.LENGTH + 24))) {
            buffer.order(order).position(8);
            buffer.asFloatBuffer().put(one);
            buffer.limit(8 + 4 * Bundles.LENGTH);
            classifier.classify(buffer, reused);
            assertSame(reused, 0, expected, 0);
            assertSame(classifier.classify(buffer), 0, expected, 0);
            assertThat(buffer.position()).isEqualTo(8);
          }
        }
      }
      assertSame(classifier.classify(List.of(photos)), 4, batch, 4);
    }
  }

  @Test
  void anImageIsTheSameInABatchOfAnySize() {
    Path file = Bundles.file(folder, "layer4", TWO_DRAWS);
    int n = DefendedClassifier.IMAGES_PER_CROSSING + 6;
    float[] x = Bundles.images(n, 3);
    try (DefendedClassifier classifier = DefendedClassifier.open(file, NATIVE)) {
      Classification all = classifier.classify(x);
      for (int i : new int[] {0, 17, n - 7, n - 6, n - 1}) {
        assertSame(classifier.classify(image(x, i)), 0, all, i);
      }
    }
  }

  @Test
  void noiseDependsOnTheImageAndTheSeedAlone() {
    Bundle bundle = Bundles.of("layer4", new Smoothing(0.5, 1));
    Path file = folder.resolve("loud.igd");
    bundle.write(file);
    float[] x = Bundles.images(1, 4);
    float[] near = x.clone();
    near[5] = Math.nextDown(near[5] + 1e-6f);
    try (DefendedClassifier classifier = DefendedClassifier.open(file, NATIVE);
        StagedNetwork network = bundle.network(Dtype.FLOAT32, Engine.NATIVE);
        PointerScope scope = new PointerScope()) {
      Tensor image = Tensors.of(x, 1, 3, 32, 32);
      NoiseSource noise = NoiseSource.ofImage(7);
      double[] draws = Tensors.toDoubles(noise.drawFor(image, 8, Dtype.FLOAT32));
      double[] other =
          Tensors.toDoubles(noise.drawFor(Tensors.of(near, 1, 3, 32, 32), 8, Dtype.FLOAT32));
      double[] reseeded =
          Tensors.toDoubles(NoiseSource.ofImage(8).drawFor(image, 8, Dtype.FLOAT32));
      assertThat(correlation(draws, draws)).isCloseTo(1, within(1e-12));
      assertThat(correlation(draws, other)).isCloseTo(0, within(0.03));
      assertThat(correlation(draws, reseeded)).isCloseTo(0, within(0.03));
      int half = draws.length / 2;
      assertThat(
              correlation(
                  Arrays.copyOf(draws, half), Arrays.copyOfRange(draws, half, draws.length)))
          .isCloseTo(0, within(0.04));
      assertThat(Arrays.stream(draws).average().orElseThrow()).isCloseTo(0, within(0.03));
      assertThat(Arrays.stream(draws).map(v -> v * v).average().orElseThrow())
          .isCloseTo(1, within(0.04));
      assertThat(Arrays.stream(draws).map(v -> v * v * v * v).average().orElseThrow())
          .isCloseTo(3, within(0.3));
      assertThat(classifier.classify(x).logits()).isEqualTo(classifier.classify(x).logits());
    }
  }

  private static double correlation(double[] a, double[] b) {
    double product = 0;
    double squares = 0;
    for (int i = 0; i < a.length; i++) {
      product += a[i] * b[i];
      squares += (a[i] * a[i] + b[i] * b[i]) / 2;
    }
    return product / squares;
  }

  @ParameterizedTest
  @EnumSource(
      value = Engine.class,
      names = {"NATIVE", "LIBTORCH"})
  void eightThreadsSeeTheSameBits(Engine engine) throws Exception {
    Path file = Bundles.file(folder, "layer4", TWO_DRAWS);
    int calls = engine == Engine.NATIVE ? 40 : 10;
    int kinds = 12;
    float[] x = Bundles.images(kinds, 6);
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try (DefendedClassifier classifier =
        DefendedClassifier.open(file, NATIVE.withEngine(engine).withMaxConcurrency(3))) {
      assertThat(classifier.maxConcurrency()).isEqualTo(3);
      Classification all = classifier.classify(x);
      List<Classification> alone = new ArrayList<>();
      for (int i = 0; i < kinds; i++) {
        alone.add(classifier.classify(image(x, i)));
      }
      List<Future<?>> running = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        int thread = t;
        running.add(
            threads.submit(
                () -> {
                  Classification result = classifier.newResult(1);
                  for (int call = 0; call < calls; call++) {
                    int i = (call + thread) % kinds;
                    if (call % 8 == thread) {
                      assertSame(classifier.classify(x), i, all, i);
                    }
                    classifier.classify(image(x, i), result);
                    assertSame(result, 0, alone.get(i), 0);
                  }
                  return null;
                }));
      }
      for (Future<?> future : running) {
        future.get();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void makesNoGarbage() {
    Path file = Bundles.file(folder, "layer4", TWO_DRAWS);
    com.sun.management.ThreadMXBean bean =
        (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long thread = Thread.currentThread().getId();
    float[] x = Bundles.images(1, 7);
    ByteBuffer direct =
        ByteBuffer.allocateDirect(4 * Bundles.LENGTH).order(ByteOrder.nativeOrder());
    direct.asFloatBuffer().put(x);
    try (DefendedClassifier classifier = DefendedClassifier.open(file, NATIVE)) {
      Classification result = classifier.newResult(1);
      classifier.warmUp(1);
      bean.getThreadAllocatedBytes(thread);
      for (int round = 0; round < 2; round++) {
        boolean arrays = round == 0;
        long allocated = Long.MAX_VALUE;
        // Counted three times: a class that is loaded late may add to one of them.
        for (int attempt = 0; attempt < 3; attempt++) {
          long before = bean.getThreadAllocatedBytes(thread);
          for (int call = 0; call < 50; call++) {
            if (arrays) {
              classifier.classify(x, result);
            } else {
              classifier.classify(direct, result);
            }
          }
          allocated = Math.min(allocated, bean.getThreadAllocatedBytes(thread) - before);
        }
        assertThat(allocated / 50).as("bytes per call").isZero();
      }
      long before = bean.getThreadAllocatedBytes(thread);
      assertThat(classifier.classify(x).label()).isEqualTo(result.label());
      assertThat(bean.getThreadAllocatedBytes(thread) - before)
          .as("the counter counts")
          .isPositive();
    }
  }

  @Test
  void closedAndClosing() throws Exception {
    Path file = Bundles.file(folder, "layer4", TWO_DRAWS);
    float[] x = Bundles.images(40, 8);
    ExecutorService threads = Executors.newFixedThreadPool(6);
    try {
      for (int round = 0; round < 3; round++) {
        DefendedClassifier classifier = DefendedClassifier.open(file, NATIVE.withMaxConcurrency(2));
        Classification expected = classifier.classify(x);
        List<Future<Integer>> running = new ArrayList<>();
        for (int t = 0; t < 6; t++) {
          running.add(
              threads.submit(
                  () -> {
                    int done = 0;
                    try {
                      while (true) {
                        assertSame(classifier.classify(x), 39, expected, 39);
                        done++;
                      }
                    } catch (IllegalStateException e) {
                      assertThat(e).hasMessageContaining("is closed");
                      return done;
                    }
                  }));
        }
        Thread.sleep(20);
        classifier.close();
        for (Future<Integer> future : running) {
          assertThat(future.get()).isNotNegative();
        }
        classifier.close();
        assertThatThrownBy(() -> classifier.classify(x))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("is closed");
        assertThatThrownBy(() -> classifier.warmUp(1)).isInstanceOf(IllegalStateException.class);
        assertThat(expected.logits(0)).hasSize(10);
        assertThat(classifier.manifest().classNames()).contains("ship");
      }
    } finally {
      threads.shutdownNow();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Engine.class,
      names = {"NATIVE", "LIBTORCH"})
  void refusesWrongImages(Engine engine) {
    Path file = Bundles.file(folder, "layer4", Smoothing.NONE);
    try (DefendedClassifier classifier = DefendedClassifier.open(file, NATIVE.withEngine(engine))) {
      for (int length : new int[] {0, 1, Bundles.LENGTH - 1, 1024, Bundles.LENGTH + 1}) {
        assertThatThrownBy(() -> classifier.classify(new float[length]))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("3 x 32 x 32 = 3072 values")
            .hasMessageContaining("got " + length + " values");
      }
      assertThatThrownBy(() -> classifier.classify(ByteBuffer.allocateDirect(4 * 3072 + 3)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("12291 bytes");
      for (float bad : new float[] {Float.NaN, -0.001f, 1.001f, Float.POSITIVE_INFINITY, 255}) {
        float[] x = Bundles.images(66, 9);
        x[65 * Bundles.LENGTH + 2 * 1024 + 3 * 32 + 4] = bad;
        assertThatThrownBy(() -> classifier.classify(x))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("expected pixels in [0,1], got " + bad)
            .hasMessageContaining("in image 65 at channel 2, row 3, column 4");
      }
      assertThatThrownBy(
              () -> classifier.classify(new float[Bundles.LENGTH], classifier.newResult(2)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("expected a result for 1 images of 10 classes, got one for 2");
      assertThatThrownBy(
              () -> classifier.classify(new BufferedImage(33, 32, BufferedImage.TYPE_3BYTE_BGR)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("expected an image of 32x32 pixels (width x height), got 33x32");
      assertThatThrownBy(() -> classifier.warmUp(4, 0)).isInstanceOf(InputException.class);
      assertThatThrownBy(() -> classifier.newResult(0)).isInstanceOf(InputException.class);
      assertThat(classifier.classify(new float[Bundles.LENGTH]).label()).isBetween(0, 9);
    }
  }

  @Test
  void preprocessesDecodedImagesAsTheDataPackageDoes() {
    Preprocessing preprocessing = Preprocessing.parse("BicubicRes36Crop32");
    Path file = folder.resolve("pre.igd");
    Bundles.of("layer4", Smoothing.NONE, preprocessing).write(file);
    BufferedImage photo = new BufferedImage(70, 50, BufferedImage.TYPE_4BYTE_ABGR);
    byte[] planes = new byte[3 * 50 * 70];
    for (int p = 0; p < 3500; p++) {
      int x = p % 70;
      int y = p / 70;
      int red = 3 * x;
      int green = 255 - 4 * y;
      int blue = x * y % 256;
      photo.setRGB(x, y, 0x80000000 | red << 16 | green << 8 | blue);
      planes[p] = (byte) red;
      planes[3500 + p] = (byte) green;
      planes[7000 + p] = (byte) blue;
    }
    byte[] expected = preprocessing.apply(planes, 50, 70);
    try (DefendedClassifier classifier = DefendedClassifier.open(file)) {
      float[] x = classifier.pixels(List.of(photo));
      for (int i = 0; i < x.length; i++) {
        assertThat(x[i]).isEqualTo((expected[i] & 0xff) / 255f);
      }
      assertSame(classifier.classify(photo), 0, classifier.classify(x), 0);
    }
  }

  @Test
  void worksWithMoreThreadsThanCores() {
    Path file = Bundles.file(folder, "layer4", TWO_DRAWS);
    float[] x = Bundles.images(2, 10);
    int before = NativeRuntime.threads();
    int many = Runtime.getRuntime().availableProcessors() + 3;
    PrintStream err = System.err;
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    System.setErr(new PrintStream(log, true));
    try (DefendedClassifier usual = DefendedClassifier.open(file, NATIVE)) {
      Classification expected = usual.classify(x);
      try (DefendedClassifier crowded =
          DefendedClassifier.open(file, NATIVE.withThreads(many).withMaxConcurrency(2))) {
        assertThat(NativeRuntime.threads()).isEqualTo(many);
        crowded.warmUp(1, 2);
        assertSame(crowded.classify(x), 1, expected, 1);
      }
    } finally {
      System.setErr(err);
      NativeRuntime.setThreads(before);
    }
    assertThat(log.toString())
        .contains(many + " threads on ")
        .contains("2 calls at once with " + many + " threads each");
    assertThatThrownBy(() -> NATIVE.withThreads(-1)).isInstanceOf(InputException.class);
  }

  @Test
  void bfloat16IsNear() {
    Path file = Bundles.file(folder, "layer4", Smoothing.NONE);
    float[] x = Bundles.images(5, 11);
    try (DefendedClassifier wide = DefendedClassifier.open(file, NATIVE);
        DefendedClassifier narrow =
            DefendedClassifier.open(file, NATIVE.withDtype(Dtype.BFLOAT16))) {
      Classification expected = wide.classify(x);
      Classification got = narrow.classify(x);
      for (int i = 0; i < 5; i++) {
        assertThat(got.logits(i)).containsExactly(expected.logits(i), within(0.3f));
        assertThat(got.logits(i)).isNotEqualTo(expected.logits(i));
      }
    }
  }

  private Path inArithmetic(String layer, Smoothing smoothing, String... arithmetic) {
    Path file = folder.resolve(layer + String.join("-", arithmetic) + ".igd");
    Bundles.of(
            layer,
            smoothing,
            new BundleManifest.Arithmetic(arithmetic[0], arithmetic[1], arithmetic[2]))
        .write(file);
    return file;
  }

  /** The second network only finds the pseudo-label: what {@link IgDefense} computes with both. */
  @ParameterizedTest
  @CsvSource({
    "layer4, highest, float32, high", "layer4, highest, bfloat16, highest",
    "layer4, high, bfloat16, high", "layer4, high, float32, high",
    "layer2, highest, float32, high", "layer2, highest, bfloat16, highest",
    "layer4, highest, float32, medium", "layer4, high, float32, medium",
    "layer2, highest, float32, medium"
  })
  void aBundleOfTwoArithmeticsSaysWhatTheDefenseSays(
      String layer, String precision, String type, String pseudoLabels) {
    Path file = inArithmetic(layer, TWO_DRAWS, precision, type, pseudoLabels);
    Bundle bundle = Bundle.read(file);
    Float32Precision clean = Float32Precision.parse(precision);
    boolean two = !type.equals("float32") || !pseudoLabels.equals(precision);
    float[] x = Bundles.images(70, 12);
    try (DefendedClassifier classifier = DefendedClassifier.open(file, NATIVE);
        StagedNetwork network =
            Networks.build(
                "rn18",
                bundle.weights(),
                bundle.manifest().provenance().get("checkpoint_sha256"),
                NetworkOptions.of(Dtype.FLOAT32)
                    .withInputNormalization("none")
                    .withFloat32Precision(clean)
                    .withEngine(Engine.NATIVE));
        StagedNetwork coarse =
            type.equals("bfloat16")
                ? bundle.network(Dtype.BFLOAT16, Engine.NATIVE)
                : network.withFloat32Precision(Float32Precision.parse(pseudoLabels));
        IgDefense alone =
            IgDefense.withImageNoise(
                network, bundle.masks(), IgDefense.DEFAULT_TEMPERATURE, TWO_DRAWS, 7);
        IgDefense defense = two ? alone.withPseudoLabels(coarse) : alone;
        PointerScope scope = new PointerScope()) {
      assertThat(classifier.singleCrossing()).isTrue();
      assertThat(classifier.engine().contains("; noisy images: native")).isEqualTo(two);
      assertThat(classifier.engine())
          .startsWith(
              clean == Float32Precision.HIGH
                  ? "native, float32 as three bfloat16 products"
                  : "native, float32 as six bfloat16 products");
      Classification got = classifier.classify(x);
      IgDefense.Forward expected = defense.forward(Tensors.of(x, 70, 3, 32, 32));
      float[] logits = Tensors.toFloats(expected.logits());
      float[] first = Tensors.toFloats(expected.firstLogits());
      for (int i = 0; i < 70; i++) {
        int pseudo = 0;
        for (int c = 1; c < 10; c++) {
          pseudo = first[10 * i + c] > first[10 * i + pseudo] ? c : pseudo;
        }
        assertThat(got.pseudoLabel(i)).isEqualTo(pseudo);
        assertThat(got.logits(i))
            .containsExactly(Arrays.copyOfRange(logits, 10 * i, 10 * i + 10), within(1e-4f));
      }
      assertSame(classifier.classify(image(x, 69)), 0, got, 69);
    }
  }

  @Test
  void twoArithmeticsAreBitwiseTheSameInEightThreadsAndMakeNoGarbage() throws Exception {
    Path file = inArithmetic("layer4", TWO_DRAWS, "highest", "float32", "high");
    int n = 8;
    float[] x = Bundles.images(n, 13);
    ExecutorService pool = Executors.newFixedThreadPool(n);
    try (DefendedClassifier classifier =
        DefendedClassifier.open(file, NATIVE.withMaxConcurrency(n))) {
      Classification expected = classifier.classify(x);
      List<Future<Classification>> all = new ArrayList<>();
      for (int t = 0; t < n; t++) {
        float[] own = image(x, t);
        all.add(
            pool.submit(
                () -> {
                  Classification result = classifier.newResult(1);
                  for (int i = 0; i < 3; i++) {
                    classifier.classify(own, result);
                  }
                  return result;
                }));
      }
      for (int t = 0; t < n; t++) {
        assertSame(all.get(t).get(), 0, expected, t);
      }
      Classification result = classifier.newResult(1);
      float[] one = image(x, 0);
      classifier.warmUp(1);
      var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
      long self = Thread.currentThread().getId();
      long least = Long.MAX_VALUE;
      for (int i = 0; i < 20; i++) {
        long before = threads.getThreadAllocatedBytes(self);
        classifier.classify(one, result);
        least = Math.min(least, threads.getThreadAllocatedBytes(self) - before);
      }
      assertThat(least).isZero();
    } finally {
      pool.shutdown();
    }
  }

  @Test
  void libtorchComputesABundleOfPrecisionHighAtHighest() {
    Path high = inArithmetic("layer4", TWO_DRAWS, "highest", "float32", "high");
    Path half = inArithmetic("layer4", TWO_DRAWS, "highest", "bfloat16", "highest");
    Path plain = Bundles.file(folder, "layer4", TWO_DRAWS);
    ClassifierOptions libtorch = NATIVE.withEngine(Engine.LIBTORCH);
    float[] x = Bundles.images(2, 14);
    try (DefendedClassifier usual = DefendedClassifier.open(plain, libtorch);
        DefendedClassifier sameHere = DefendedClassifier.open(high, libtorch);
        DefendedClassifier mixed = DefendedClassifier.open(half, libtorch);
        DefendedClassifier inDouble =
            DefendedClassifier.open(half, libtorch.withDtype(Dtype.FLOAT64))) {
      Classification expected = usual.classify(x);
      assertSame(sameHere.classify(x), 1, expected, 1);
      assertThat(sameHere.engine()).isEqualTo("libtorch");
      assertThat(mixed.engine()).contains("; noisy images: libtorch");
      assertThat(inDouble.engine()).isEqualTo("libtorch");
      assertThat(mixed.classify(x).logits(0)).hasSize(10);
      assertThat(inDouble.classify(x).logits(1)).containsExactly(expected.logits(1), within(1e-2f));
    }
  }
}
