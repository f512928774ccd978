package io.github.igdefense.tensor;

import io.github.igdefense.kernels.binding.IgdKernels;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The defended classifier (Kulkarni and Weng 2024, Sec. 4) on a {@link CompiledNet}: both passes in
 * one native call (kernels.h: igd_defended_forward).
 *
 * <p>A call of {@link #forward} crosses into native code once and makes no Java object: images and
 * results lie in a {@link Workspace}'s native memory. Values of an image depend neither on the
 * batch nor on the threads. Owns native memory until {@link #close}; the networks must outlive it.
 * Threads: any number may call {@code forward} at the same time, each with a workspace of its own;
 * none may after {@code close}.
 */
public final class DefendedNet implements AutoCloseable {
  static {
    NativeRuntime.load();
  }

  /** The status of images that are refused (IGD_INVALID_ARGUMENT). */
  public static final int REFUSED = 1;

  private final int pixels;
  private final int classCount;
  private long handle;

  /**
   * A defended classifier.
   *
   * @param noisyNet the same network in another precision, which computes the noisy images; null
   *     for {@code net}, and without noise
   * @param layer value of the masked layer
   * @param last value that pooling and classifier follow
   * @param weight [K,U'] of the classifier
   * @param bias [K]
   * @param masks row-major [K,U], 0 or 1
   * @param temperature τ &gt; 0
   * @param sigma σ of the first pass's noise, 0 for none
   * @param samples draws per image, 1 without noise
   * @param seed of the noise
   */
  public DefendedNet(
      CompiledNet net,
      CompiledNet noisyNet,
      int layer,
      int last,
      Tensor weight,
      Tensor bias,
      byte[] masks,
      double temperature,
      double sigma,
      int samples,
      long seed) {
    int[] input = net.shape(0);
    this.pixels = input[0] * input[1] * input[2];
    this.classCount = Math.toIntExact(weight.size(0));
    try (PointerScope scope = new PointerScope();
        LongPointer made = new LongPointer(1);
        BytePointer bits = new BytePointer(masks)) {
      Operands.check(
          IgdKernels.igd_jni_defended_create(
              net.handle(),
              noisyNet == null ? 0 : noisyNet.handle(),
              layer,
              last,
              Tensors.address(weight.to(ScalarType.Float).contiguous()),
              Tensors.address(bias.to(ScalarType.Float).contiguous()),
              classCount,
              bits.address(),
              temperature,
              sigma,
              samples,
              seed,
              made.address()));
      handle = made.get();
    }
  }

  /** Native memory of one call at a time: images in, results out. Confined to one thread. */
  public static final class Workspace implements AutoCloseable {
    private final int images;
    private final BytePointer[] memory = new BytePointer[5];
    private final ByteBuffer pixels;
    private final FloatBuffer logits;
    private final FloatBuffer firstLogits;
    private final IntBuffer pseudoLabels;
    private final long pixelsAt;
    private final long scratchAt;
    private final long logitsAt;
    private final long firstLogitsAt;
    private final long pseudoLabelsAt;

    private Workspace(int images, long pixelBytes, int classCount, long scratch) {
      this.images = images;
      this.pixels = allocate(0, images * pixelBytes);
      this.logits = allocate(1, 4L * images * classCount).asFloatBuffer();
      this.firstLogits = allocate(2, 4L * images * classCount).asFloatBuffer();
      this.pseudoLabels = allocate(3, 4L * images).asIntBuffer();
      memory[4] = new BytePointer(scratch).retainReference();
      pixelsAt = memory[0].address();
      logitsAt = memory[1].address();
      firstLogitsAt = memory[2].address();
      pseudoLabelsAt = memory[3].address();
      scratchAt = memory[4].address();
    }

    private ByteBuffer allocate(int index, long bytes) {
      memory[index] = new BytePointer(Math.toIntExact(bytes)).retainReference();
      return memory[index].asByteBuffer().order(ByteOrder.nativeOrder());
    }

    /** Most images that fit. */
    public int images() {
      return images;
    }

    /** The images [N,C,H,W] to classify: floats in native byte order. Use absolute positions. */
    public ByteBuffer pixels() {
      return pixels;
    }

    /** Logits [N,K] of the last call. Use absolute positions. */
    public FloatBuffer logits() {
      return logits;
    }

    /** Logits of the first pass [N,K] of the last call. */
    public FloatBuffer firstLogits() {
      return firstLogits;
    }

    /** Class of the largest first logit [N]; −1 where one is NaN. */
    public IntBuffer pseudoLabels() {
      return pseudoLabels;
    }

    /** Frees the memory; the buffers must not be used any more. Further calls do nothing. */
    @Override
    public void close() {
      for (int i = 0; i < memory.length; i++) {
        if (memory[i] != null) {
          memory[i].releaseReference();
          memory[i] = null;
        }
      }
    }
  }

  /** Memory for calls of up to {@code images} images; the caller closes it. */
  public Workspace workspace(int images) {
    return new Workspace(images, 4L * pixels, classCount, workspaceBytes(images));
  }

  private long workspaceBytes(int images) {
    long bytes = IgdKernels.igd_jni_defended_workspace(handle(), images);
    if (bytes <= 0) {
      throw new IllegalArgumentException("expected at least 1 image, got " + images);
    }
    return bytes;
  }

  /**
   * Memory without native working space, for the same images and results computed elsewhere.
   *
   * @param pixels values of an image
   */
  public static Workspace plainWorkspace(int images, int pixels, int classCount) {
    return new Workspace(images, 4L * pixels, classCount, 1);
  }

  /**
   * Classifies the first {@code images} images of a workspace.
   *
   * @return 0; {@link #REFUSED} if a value is not in [0,1], with the place in {@link #message}; or
   *     another status
   */
  public int forward(Workspace workspace, int images) {
    if (images > workspace.images) {
      throw new IllegalArgumentException(
          "expected at most " + workspace.images + " images, got " + images);
    }
    return IgdKernels.igd_jni_defended_forward(
        handle(),
        images,
        workspace.pixelsAt,
        workspace.scratchAt,
        workspace.logitsAt,
        workspace.firstLogitsAt,
        workspace.pseudoLabelsAt);
  }

  /** What this thread's last refused call had to say. */
  public static String message() {
    try (PointerScope scope = new PointerScope()) {
      return IgdKernels.igd_jni_last_error().getString();
    }
  }

  private long handle() {
    if (handle == 0) {
      throw new IllegalStateException("the defended network is closed");
    }
    return handle;
  }

  /** Frees the classifier. Further calls do nothing. */
  @Override
  public void close() {
    if (handle != 0) {
      IgdKernels.igd_jni_defended_free(handle);
      handle = 0;
    }
  }
}
