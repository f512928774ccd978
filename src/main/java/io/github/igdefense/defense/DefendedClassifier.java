package io.github.igdefense.defense;

import io.github.igdefense.data.ImagePixels;
import io.github.igdefense.data.InputException;
import io.github.igdefense.data.Preprocessing;
import io.github.igdefense.model.CompiledStages;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.DefendedNet;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.NativeRuntime;
import java.awt.image.BufferedImage;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A defended model for services: opened from one {@link Bundle} file, it classifies images until it
 * is closed.
 *
 * <p>Images are [C,H,W] floats in [0,1], one after the other; the caller's memory is copied before
 * anything is computed and is the caller's again when the call returns. With the native engine a
 * call of up to {@value #IMAGES_PER_CROSSING} images crosses into native code once, and with a
 * {@link Classification} of the caller's it makes no garbage on the Java heap.
 *
 * <p>Threads: every method may be called from any thread. At most {@link #maxConcurrency} calls
 * compute at the same time, the others wait in the order they came (not interruptibly). Results are
 * bitwise the same in any thread and at any concurrency, with the native engine in any batch, too;
 * a smoothed bundle draws its noise from its seed and the image's own values ({@link
 * NoiseSource#ofImage}). {@link #close} waits for running calls; later ones, and those that still
 * wait, get an IllegalStateException.
 *
 * <p>Owns native memory until {@code close}: packed weights, and working memory per concurrent call
 * that grows to the largest batch seen.
 */
public final class DefendedClassifier implements AutoCloseable {
  /** Images that one native call takes; larger batches are several. */
  public static final int IMAGES_PER_CROSSING = 64;

  private static final Logger LOG = LoggerFactory.getLogger(DefendedClassifier.class);

  private final BundleManifest manifest;
  private final Preprocessing preprocessing;
  private final StagedNetwork network;
  private final StagedNetwork noisyNetwork;
  private final IgDefense defense;
  private final DefendedNet nativeForm;
  private final int[][] retained;
  private final int imageLength;
  private final ClassifierSlots slots;

  private DefendedClassifier(Bundle bundle, ClassifierOptions options) {
    this.manifest = bundle.manifest();
    this.preprocessing = bundle.preprocessing();
    BundleManifest.Model model = manifest.model();
    this.imageLength = Math.multiplyExact(model.channels() * model.height(), model.width());
    this.retained = retained(bundle.masks());
    BundleManifest.Defense settings = manifest.defense();
    Dtype dtype = options.dtype() == null ? bundle.dtype() : options.dtype();
    this.network = bundle.network(dtype, options.engine());
    StagedNetwork coarse = null;
    IgDefense wrapped = null;
    DefendedNet compiled = null;
    boolean done = false;
    try {
      coarse = bundle.pseudoLabelNetwork(network, options.engine()).orElse(null);
      wrapped = defense(bundle, network, coarse);
      compiled = compile(bundle, coarse);
      this.noisyNetwork = coarse;
      this.defense = wrapped;
      this.nativeForm = compiled;
      this.slots = new ClassifierSlots(concurrency(options), this::workspace);
      done = true;
    } finally {
      if (!done) {
        free(compiled, wrapped, coarse, network);
      }
    }
  }

  private static IgDefense defense(Bundle bundle, StagedNetwork network, StagedNetwork coarse) {
    BundleManifest.Defense settings = bundle.manifest().defense();
    IgDefense alone =
        IgDefense.withImageNoise(
            network, bundle.masks(), settings.temperature(), bundle.smoothing(), settings.seed());
    if (coarse == null) {
      return alone;
    }
    try (alone) {
      return alone.withPseudoLabels(coarse);
    }
  }

  /** One native call for everything; null where libtorch computes any of it. */
  private DefendedNet compile(Bundle bundle, StagedNetwork coarse) {
    BundleManifest.Model model = manifest.model();
    Optional<CompiledStages> clean = network.compiled(model.height(), model.width());
    Optional<CompiledStages> noisy =
        coarse == null ? clean : coarse.compiled(model.height(), model.width());
    if (clean.isEmpty() || noisy.isEmpty()) {
      return null;
    }
    CompiledStages stages = clean.get();
    BundleManifest.Defense settings = manifest.defense();
    boolean smoothed = bundle.smoothing().enabled();
    return new DefendedNet(
        stages.net(),
        coarse == null ? null : noisy.get().net(),
        stages.values()[network.layer(settings.layer()).stage()],
        stages.values()[stages.values().length - 1],
        network.head().weight(),
        network.head().bias(),
        bundle.masks().bits(),
        settings.temperature(),
        settings.sigma(),
        smoothed ? settings.samples() : 1,
        settings.seed());
  }

  private static int[][] retained(ClassMasks masks) {
    int[][] retained = new int[masks.classCount()][];
    for (int c = 0; c < retained.length; c++) {
      int classIndex = c;
      retained[c] =
          java.util.stream.IntStream.range(0, masks.units())
              .filter(unit -> masks.kept(classIndex, unit))
              .toArray();
    }
    return retained;
  }

  private static int concurrency(ClassifierOptions options) {
    int cores = NativeRuntime.defaultThreads();
    int threads = NativeRuntime.threads();
    if (options.maxConcurrency() == 0) {
      return Math.max(1, cores / threads);
    }
    if ((long) options.maxConcurrency() * threads > Math.max(cores, threads)) {
      LOG.warn(
          "{} calls at once with {} threads each on {} cores: more threads than cores are slower,"
              + " not faster",
          options.maxConcurrency(),
          threads,
          cores);
    }
    return options.maxConcurrency();
  }

  private static void free(AutoCloseable... owned) {
    for (AutoCloseable each : owned) {
      if (each instanceof DefendedNet net) {
        net.close();
      } else if (each instanceof IgDefense wrapped) {
        wrapped.close();
      } else if (each instanceof StagedNetwork base) {
        base.close();
      }
    }
  }

  /**
   * Opens a bundle with {@link ClassifierOptions#DEFAULT}.
   *
   * @throws InputException as {@link Bundle#read}
   */
  public static DefendedClassifier open(Path bundle) {
    return open(bundle, ClassifierOptions.DEFAULT);
  }

  /**
   * Opens a bundle. Cost: one pass over the file, packing the weights; the first call in a process
   * loads the native libraries (1 to 3 s).
   *
   * @throws InputException as {@link Bundle#read}, or if the engine cannot run the model
   * @throws io.github.igdefense.tensor.NativeLoadException if a native library is missing
   */
  public static DefendedClassifier open(Path bundle, ClassifierOptions options) {
    NativeRuntime.load();
    if (options.threads() > 0) {
      NativeRuntime.setThreads(options.threads());
    }
    return new DefendedClassifier(Bundle.read(bundle), options);
  }

  /** What the bundle says of itself. */
  public BundleManifest manifest() {
    return manifest;
  }

  /** Number of classes K. */
  public int classCount() {
    return manifest.model().classCount();
  }

  /** Names of the classes; empty if the bundle has none. */
  public List<String> classNames() {
    return manifest.classNames();
  }

  /** Values of one image, C·H·W. */
  public int imageLength() {
    return imageLength;
  }

  /** Calls that compute at the same time. */
  public int maxConcurrency() {
    return slots.count();
  }

  /**
   * What computes: {@code libtorch}, or our native engine with its arithmetic; and that of the
   * noisy images, where it is another.
   */
  public String engine() {
    return network.engine()
        + (noisyNetwork == null ? "" : "; noisy images: " + noisyNetwork.engine());
  }

  /** Whether a call is one native function (else libtorch's operations, with garbage). */
  public boolean singleCrossing() {
    return nativeForm != null;
  }

  /** A result for {@code images} images, to be filled by any number of calls. */
  public Classification newResult(int images) {
    if (images < 1) {
      throw new InputException("expected room for at least 1 image, got " + images);
    }
    return new Classification(images, classCount(), retained);
  }

  /**
   * Classifies one image or several.
   *
   * @param images N × C·H·W values in [0,1]
   * @throws InputException for another length, or a value outside [0,1] (or NaN; with its place)
   * @throws IllegalStateException if this classifier is closed
   */
  public Classification classify(float[] images) {
    Classification result = newResult(count(images.length));
    classify(images, result);
    return result;
  }

  /**
   * The same without garbage.
   *
   * @param images of {@code result.size()} images
   * @param result receives everything; undefined after an exception
   */
  public void classify(float[] images, Classification result) {
    expect(count(images.length), result);
    run(images, null, 0, result);
  }

  /**
   * Classifies images in a buffer, direct or not.
   *
   * @param images N × C·H·W float32 from position to limit, in the buffer's byte order; position
   *     and limit are left as they are
   * @throws InputException as {@link #classify(float[])}
   */
  public Classification classify(ByteBuffer images) {
    Classification result = newResult(count(images));
    classify(images, result);
    return result;
  }

  /** The same without garbage, as {@link #classify(float[], Classification)}. */
  public void classify(ByteBuffer images, Classification result) {
    expect(count(images), result);
    run(null, images, images.position(), result);
  }

  /**
   * Classifies a decoded image of any size: the bundle's preprocessing brings it to the model's, as
   * Pillow would. Makes garbage in proportion to the image.
   *
   * @throws InputException if its size is not the model's and the bundle has no preprocessing
   */
  public Classification classify(BufferedImage image) {
    return classify(List.of(image));
  }

  /** Classifies several decoded images, of any sizes, as one batch. */
  public Classification classify(List<BufferedImage> images) {
    return classify(pixels(images));
  }

  /** Decoded images as the values that {@link #classify(float[])} takes. */
  public float[] pixels(List<BufferedImage> images) {
    if (images.isEmpty()) {
      throw new InputException("expected at least 1 image, got none");
    }
    BundleManifest.Model model = manifest.model();
    float[] values = new float[Math.multiplyExact(images.size(), imageLength)];
    for (int i = 0; i < images.size(); i++) {
      ImagePixels.read(
          images.get(i),
          preprocessing,
          model.channels(),
          model.height(),
          model.width(),
          values,
          i * imageLength);
    }
    return values;
  }

  private int count(int values) {
    if (values == 0 || values % imageLength != 0) {
      BundleManifest.Model model = manifest.model();
      throw new InputException(
          "expected images of %d x %d x %d = %d values (channels, rows, columns), got %d values"
              .formatted(model.channels(), model.height(), model.width(), imageLength, values));
    }
    return values / imageLength;
  }

  private int count(ByteBuffer images) {
    if (images.remaining() % Float.BYTES != 0) {
      throw new InputException(
          "expected float32 values of 4 bytes in the buffer, got "
              + images.remaining()
              + " bytes from its position to its limit");
    }
    return count(images.remaining() / Float.BYTES);
  }

  private void expect(int images, Classification result) {
    Objects.requireNonNull(result, "result");
    if (images != result.size() || result.classCount() != classCount()) {
      throw new InputException(
          "expected a result for %d images of %d classes, got one for %d of %d; make it with"
                  .formatted(images, classCount(), result.size(), result.classCount())
              + " newResult");
    }
  }

  private DefendedNet.Workspace workspace(int images) {
    return nativeForm == null
        ? DefendedNet.plainWorkspace(images, imageLength, classCount())
        : nativeForm.workspace(images);
  }

  /** Either {@code array} or {@code buffer} holds the images. */
  private void run(float[] array, ByteBuffer buffer, int position, Classification result) {
    int images = result.size();
    ClassifierSlots.Slot slot = slots.take();
    try {
      DefendedNet.Workspace memory = slot.memory(Math.min(images, IMAGES_PER_CROSSING));
      for (int done = 0; done < images; done += IMAGES_PER_CROSSING) {
        int now = Math.min(IMAGES_PER_CROSSING, images - done);
        if (array != null) {
          slot.load(array, done * imageLength, now * imageLength);
        } else {
          slot.load(buffer, position + Float.BYTES * done * imageLength, now * imageLength);
        }
        forward(memory, now, done);
        memory.logits().get(0, result.logits, done * classCount(), now * classCount());
        memory.pseudoLabels().get(0, result.pseudoLabels, done, now);
      }
    } finally {
      slots.give(slot);
    }
    result.finish();
  }

  private void forward(DefendedNet.Workspace memory, int images, int before) {
    if (nativeForm == null) {
      PlainForward.run(defense, manifest.model(), memory, images, before);
      return;
    }
    int status = nativeForm.forward(memory, images);
    if (status == DefendedNet.REFUSED) {
      PlainForward.checkPixels(memory, images, before, manifest.model());
    }
    if (status != 0) {
      throw new IllegalStateException(
          "the native forward pass failed (status " + status + "): " + DefendedNet.message());
    }
  }

  /**
   * Makes later calls fast: reserves the memory of every concurrent call and runs grey images in
   * each of these batch sizes, in this thread. Waits until no other call is running. Cost: a few
   * calls of each size.
   *
   * @throws InputException for a size below 1
   */
  public void warmUp(int... batchSizes) {
    for (int size : batchSizes) {
      if (size < 1) {
        throw new InputException("expected batch sizes of at least 1, got " + size);
      }
    }
    for (int size : batchSizes) {
      slots.reserve(Math.min(size, IMAGES_PER_CROSSING));
      float[] grey = new float[Math.multiplyExact(size, imageLength)];
      java.util.Arrays.fill(grey, 0.5f);
      Classification result = newResult(size);
      for (int i = 0; i < WARM_UP_CALLS; i++) {
        classify(grey, result);
      }
    }
  }

  private static final int WARM_UP_CALLS = 3;

  /**
   * Waits for running calls, then frees everything native. Further calls do nothing; a call of any
   * other method of computation throws IllegalStateException. Not from within a call.
   */
  @Override
  public void close() {
    slots.close(() -> free(nativeForm, defense, noisyNetwork, network));
  }

  @Override
  public String toString() {
    return "DefendedClassifier[" + manifest.model().architecture() + ", " + defense.name() + "]";
  }
}
